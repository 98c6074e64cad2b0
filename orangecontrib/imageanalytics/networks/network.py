"""What is known of a network before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing

PENULTIMATE, LOGITS = "penultimate", "logits"


class Weights(Protocol):
    """A weight file: where it lies and how it gets there.

    Attributes
    ----------
    fingerprint : str
        What tells these weights from any others.
    megabytes : float
        Size of the download, in units of 10**6 bytes; 0 where there is none, nan
        where it is unknown.
    licence, source : str
        SPDX identifier or address of the licence; who trained them, as an address.
    path : str
        Where the file lies, or will.
    origin : str
        Where it comes from, in words.
    """

    fingerprint: str
    megabytes: float
    licence: str
    source: str
    path: str
    origin: str

    def available(self) -> bool:
        """Whether the file is on this computer; asks no network."""

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file, which is downloaded unless it is there.

        Parameters
        ----------
        name : str
            Of the network, for messages.
        callback : callable, optional
            Called with the fraction done, 0 to 1; what it raises stops the
            download.

        Raises
        ------
        ModelError
            When it cannot be had; says how to put it there by hand.
        """


@dataclass(frozen=True)
class Network:
    """A pretrained network and all that is needed to use it right.

    Attributes
    ----------
    id : str
        The name in scripts and on the command line.
    name, description : str
        For people.
    input_size : int
        Side of the square it sees, in pixels.
    weights : Weights
    preprocessing : Preprocessing
        What the weights expect.
    n_features : int or None
        Length of the vectors of the default layer; None where only the loaded
        network tells.
    layer : {"penultimate", "logits"}
        What the vectors are by default: the input of the classifier, or its
        scores before the softmax.
    classes : tuple of str or str
        Names of the scores, in their order; empty where they are unknown. A
        string names the torchvision weights that list them.
    loader : str
        The module that reads such weight files, imported at first use. It has
        ``load(network, path)``, ``read_layer(model, network, layer)``,
        ``stages(network)`` and, if weights are downloaded, ``build(network)``,
        which are described in `checkpoints`.
    builder : str
        For `loader`: ``module:function`` that makes the network.
    options : tuple of (str, object)
        Arguments of `builder`.
    has_classifier : bool
        Whether there are logits to be read.
    cpu_only : bool
        Whether it cannot run on a GPU.
    compiles : bool
        Whether it can be traced, to be run by another engine than torch.
    """

    id: str
    name: str
    description: str
    input_size: int
    weights: Weights
    preprocessing: Preprocessing
    n_features: int | None = None
    layer: str = PENULTIMATE
    classes: tuple[str, ...] | str = ()
    loader: str = "orangecontrib.imageanalytics.networks.checkpoints"
    builder: str = ""
    options: tuple[tuple[str, object], ...] = ()
    has_classifier: bool = True
    cpu_only: bool = False
    compiles: bool = True

    @property
    def megabytes(self) -> float:
        """Size of the download in MB; 0 where there is none, nan if unknown."""
        return self.weights.megabytes

    @property
    def licence(self) -> str:
        """SPDX identifier or address of the licence of the weights."""
        return self.weights.licence

    @property
    def origin(self) -> str:
        """Where the weights come from, in words."""
        return self.weights.origin

    def available(self) -> bool:
        """Whether the weights are on this computer; asks no network."""
        return self.weights.available()

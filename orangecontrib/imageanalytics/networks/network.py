"""What is known about a network before it is loaded, and how it is loaded.

Nothing here imports torch: only the methods that load or build a network do.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.class_lists import (
    IMAGENET,
    imagenet_classes,
)
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.torch_library import (
    missing_torch,
    without_torch,
)

if TYPE_CHECKING:
    import openvino
    from torch import nn

PENULTIMATE, LOGITS = "penultimate", "logits"
#: Before the name of a layer: its map, before it is averaged to a vector.
MAP_OF = "map of "
#: The layer of networks that know words at which images and texts are comparable.
JOINT = "joint"


class Weights(Protocol):
    """A weight file: its path, and how it is obtained.

    Attributes
    ----------
    fingerprint : str or None
        Identifies these weights. None if that needs the file and it is not available.
    megabytes : float
        Size of the download, in units of 10**6 bytes; 0 if there is none, nan if it
        is unknown.
    licence, source : str
        SPDX identifier or address of the licence; address of those who trained them.
    path : str
        Present or future path of the file.
    origin : str
        Origin of the file, in words.
    """

    fingerprint: str | None
    megabytes: float
    licence: str
    source: str
    path: str
    origin: str

    def available(self) -> bool:
        """Whether the file is on this computer; does not use the internet."""

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file, which is downloaded if necessary.

        Parameters
        ----------
        name : str
            Name of the network, for messages.
        callback : callable, optional
            Called with the fraction done, 0 to 1. An exception that it raises
            stops the download.

        Raises
        ------
        ModelError
            When it cannot be obtained. The message says how to put it there by hand.
        """


@dataclass(frozen=True, kw_only=True)
class Network(ABC):
    """A pretrained network and all that is needed to use it correctly.

    There is one class for each source of networks. Making an object is cheap. The
    methods that load or build it import torch, unless it is in a class of networks that
    run without: `load`, `build`, `read_layer`, `stages`, `check_layer` and
    `count_features`.

    Attributes
    ----------
    id : str
        The name in scripts and on the command line.
    name, description : str
        As shown to users.
    input_size : int
        Side of the square it sees, in pixels.
    weights : Weights
    preprocessing : Preprocessing
        What the weights expect.
    n_features : int or None
        Length of the vectors of the default layer; None if it is only known once
        the network is loaded.
    layer : {"penultimate", "logits", "joint"}
        The default vectors: the input of the classifier; its scores before the
        softmax; or, of length 1, those that can be compared with texts.
    classes : tuple of str or str
        Names of the scores, in their order; empty if they are unknown. `IMAGENET`
        stands for the classes of ImageNet; another string names the torchvision weights
        that list them.
    has_classifier : bool
        Whether it has logits.
    has_layers : bool
        Whether anything but its output can be read.
    cpu_only : bool
        Whether it cannot run on a GPU.
    compiles : bool
        Whether it can be traced, to be run by another engine than torch.
    knows_words : bool
        Whether it also turns texts into vectors; see `engine.text_encoder`. It then
        has the layer ``"joint"``.
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
    has_classifier: bool = True
    has_layers: bool = True
    cpu_only: bool = False
    compiles: bool = True
    knows_words: bool = False

    @property
    def megabytes(self) -> float:
        """Size of the download in MB; 0 if there is none, nan if unknown."""
        return self.weights.megabytes

    @property
    def licence(self) -> str:
        """SPDX identifier or address of the licence of the weights."""
        return self.weights.licence

    @property
    def origin(self) -> str:
        """The origin of the weights, in words."""
        return self.weights.origin

    @property
    def about(self) -> tuple[tuple[str, object], ...]:
        """What is needed, besides the path, to find the network of a file again.

        It is the ``preprocessing`` for `find_network`, empty if the path is enough.
        """
        return ()

    @property
    def fingerprint(self) -> str | None:
        """Identifies its weights; may be None, see `Weights.fingerprint`."""
        return self.weights.fingerprint

    def available(self) -> bool:
        """Whether the weights are on this computer; does not use the internet."""
        return self.weights.available()

    @property
    def missing_package(self) -> str:
        """Name of a package that has to be installed first; empty if there is none."""
        return "" if self.makes_graph else missing_torch()

    @property
    def not_installed(self) -> str:
        """What has to be installed before it can be used, and how; empty if nothing."""
        return without_torch(self.name) if self.missing_package else ""

    def check_installed(self) -> None:
        """
        Raises
        ------
        ModelError
            When a package has to be installed first.
        """
        if self.not_installed:
            raise ModelError(self.not_installed)

    def ensure_weights(self, callback=None) -> str:
        """Path of the weights, which are downloaded if necessary.

        Parameters
        ----------
        callback : callable, optional
            As for `Weights.ensure`.

        Raises
        ------
        ModelError
            As `Weights.ensure`; also when a package is not installed.
        """
        self.check_installed()  # before anybody waits for a download
        return self.weights.ensure(self.name, callback)

    def vouch(self) -> None:  # noqa: B027
        """Remember that the user trusts its file, if the file can run code.

        Raises
        ------
        ModelError
            When the file cannot be read.
        """

    def check_trust(self) -> None:  # noqa: B027
        """Check early whether the file of the network may be opened.

        Raises
        ------
        TrustNeededError
            When it can run code and the user has not vouched for it.
        OSError
            When it cannot be read.
        """

    @abstractmethod
    def load(self, path: str) -> nn.Module:
        """Load the whole network with its weights, on the CPU.

        Parameters
        ----------
        path : str
            Its weight file, from ``weights.ensure``.

        Returns
        -------
        torch.nn.Module
            In evaluation mode; takes a float32 batch, shape (n, 3, size, size).

        Raises
        ------
        ModelError
            When the file cannot be read or is not for this network.
        """

    @abstractmethod
    def read_layer(self, model: nn.Module, layer: str) -> nn.Module:
        """The part of a loaded network that ends with a layer.

        Parameters
        ----------
        model : torch.nn.Module
            From `load` or `build`. Do not use it afterwards.
        layer : str
            ``"penultimate"``, ``"logits"`` or the name of a stage or module.

        Returns
        -------
        torch.nn.Module
            `layers.pool` accepts its output.

        Raises
        ------
        ValueError
            When there is no such layer; the message does not name the network.
        """

    @abstractmethod
    def stages(self) -> tuple[str, ...]:
        """Names of the stages at which it can be read, first to last.

        They are offered besides the penultimate layer and the logits. This does not
        need the weights. It takes seconds the first time.
        """

    def check_layer(self, layer: str) -> None:
        """Check, without the weights, whether there is a layer, if that is possible.

        Parameters
        ----------
        layer : str
            As for `backbone.load_backbone`.

        Raises
        ------
        ValueError
            When there is no such layer. The message names the stages.
        ModelError
            When a package is not installed.
        """
        self.check_installed()
        from orangecontrib.imageanalytics.networks import backbone

        backbone.check_layer(self, layer)

    def count_features(self) -> int:
        """Find the length of the vectors of the default layer with one image.

        Raises
        ------
        ModelError
            When the network is not available or does not work.
        """
        self.check_installed()
        from orangecontrib.imageanalytics.networks import backbone

        return backbone.count_features(self)

    @property
    def makes_graph(self) -> bool:
        """Whether it makes its graph for OpenVINO itself, without torch."""
        return False

    def openvino_graph(self, layer: str) -> openvino.Model | None:
        """Make its graph for OpenVINO; None unless `makes_graph`.

        Parameters
        ----------
        layer : str
            As for `backbone.load_backbone`.

        Returns
        -------
        openvino.Model or None
            Takes a float32 image, shape (1, 3, size, size), and returns the same as the
            network of `backbone.load_backbone`.

        Raises
        ------
        ModelError
            When the weights are not available.
        ValueError
            When there is no such layer. The message names the stages.
        """
        return None

    def no_layer(self, reason: str) -> ValueError:
        """Make the error for a layer that does not exist; it names the stages."""
        known = ", ".join(self.stages()) or "none"
        return ValueError(f"{self.name}: {reason}; named stages: {known}")

    def build(self) -> nn.Module | None:
        """The network without its weights; None if it cannot be built without them."""
        return None

    def load_class_names(self) -> tuple[str, ...]:
        """Names of the scores, in their order; empty if they are unknown."""
        if not isinstance(self.classes, str):
            return self.classes
        if self.classes == IMAGENET:
            return imagenet_classes()
        from torchvision.models import get_weight

        return tuple(get_weight(self.classes).meta["categories"])


def not_here(network: Network) -> ModelError:
    """Make the error for weights that are missing and may not be downloaded now."""
    return ModelError(
        f"The network {network.name} is not on this computer. Choose it in "
        "the widget Image Embedding, or run: python -m "
        f"orangecontrib.imageanalytics download {network.id}"
    )


def with_similar(
    text: str, name: str, names: Iterable[str], cutoff: float = 0.6
) -> str:
    """Add names that are similar to one that does not exist, if there are some.

    Parameters
    ----------
    text : str
        That it does not exist.
    name : str
    names : iterable of str
        Those that exist.
    cutoff : float
        As for `difflib.get_close_matches`.
    """
    near = difflib.get_close_matches(name, names, 6, cutoff)
    return f"{text}; similar: {', '.join(near)}" if near else text

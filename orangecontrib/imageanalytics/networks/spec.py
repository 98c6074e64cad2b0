"""How images are embedded: all that decides which vector an image gets.

A new option is one field of `EmbeddingSpec`: the key of the cache, the columns of
a table and what is pickled with them are made from its fields.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    as_intensity,
)
from orangecontrib.imageanalytics.networks.network import Network, not_here
from orangecontrib.imageanalytics.networks.preprocessing import (
    VERSION,
    Preprocessing,
    check_fit,
)
from orangecontrib.imageanalytics.networks.registry import (
    find_network,
    is_file_name,
)


@dataclass(frozen=True)
class NetworkReference:
    """A reference to a network, for pickles.

    Two references are equal if their networks have the same weights, wherever these
    are.

    Attributes
    ----------
    id : str
        The argument of `find_network` that finds the network.
    fingerprint : str or None
        Fingerprint of its weights; None if it was never known.
    about : tuple of (str, object)
        For weights in a file: the same as `Network.about`.
    """

    id: str = field(compare=False)
    fingerprint: str | None
    about: tuple[tuple[str, object], ...] = field(default=(), compare=False)

    def find(self, preprocessing: Preprocessing) -> Network:
        """Find the network.

        Parameters
        ----------
        preprocessing : Preprocessing
            For the file of a network, whose description may no longer exist.

        Raises
        ------
        ValueError, ModelError
            When there is no such network, when its weights have changed, or when
            they must be on this computer to find that out.
        """
        network = self.named(preprocessing)
        if network.fingerprint is None:
            raise not_here(network)
        if network.fingerprint != self.fingerprint:
            raise ModelError(
                f"{network.name} has changed: it is not the network with which "
                "these columns were made"
            )
        return network

    def named(self, preprocessing: Preprocessing) -> Network:
        """The network that has the name now; its weights may differ or be absent.

        Parameters
        ----------
        preprocessing : Preprocessing
            As for `find`.

        Raises
        ------
        ValueError, ModelError
            When there is no such network.
        """
        of_file = None
        if is_file_name(self.id):
            of_file = dict(self.about) or preprocessing
        return find_network(self.id, of_file)


@dataclass(frozen=True)
class EmbeddingSpec:
    """A network, the layer at which it is read, and how images are prepared.

    The key of the cache is made of the fields in their order: a new one comes last.
    It must have a default, since older pickles lack it.

    Attributes
    ----------
    network : Network or NetworkReference
        A reference in `portable` specifications.
    layer : str
        ``"penultimate"``, ``"logits"`` or the name of a stage.
    preprocessing : Preprocessing
        How an image becomes the network's input, including the fit.
    precision : str or None
        Numbers to compute with, such as ``"float16"``. None for the default of the
        device, which may differ each time.
    intensity : "auto", "full" or (float, float)
        Which values are black and white in images of more than 8 bits; see
        `images.intensity`.
    """

    network: Network | NetworkReference
    layer: str
    preprocessing: Preprocessing
    precision: str | None = None
    intensity: Intensity = AUTOMATIC

    @classmethod
    def choose(
        cls,
        model: str | os.PathLike | Network,
        layer: str | None = None,
        fit: str | None = None,
        preprocessing: Preprocessing | dict | None = None,
        precision: str | None = None,
        intensity: Intensity | None = None,
    ) -> EmbeddingSpec:
        """Make a specification, with defaults for missing arguments.

        Parameters
        ----------
        model, preprocessing
            As for `find_network`.
        layer : str, optional
            By default the network's own.
        fit : {"crop", "stretch", "pad"}, optional
            How images fit into the square. By default, as the network was trained.
        precision : str, optional
            The default depends on the device.
        intensity : "auto", "full", (float, float) or text, optional
            As for `as_intensity`; by default automatic.

        Raises
        ------
        ValueError
            When there is no such network, fit or intensity. Layer and precision are
            checked when the network is loaded.
        ModelError
            When a file cannot be used.
        """
        network = find_network(model, preprocessing)
        if fit is not None:
            check_fit(fit)
        return cls(
            network=network,
            layer=layer or network.layer,
            preprocessing=network.preprocessing.fitted(fit),
            precision=precision,
            intensity=as_intensity(intensity),
        )

    @property
    def fit(self) -> str:
        """How images fit into the square that the network sees."""
        return self.preprocessing.fit

    def key(self, precision: str) -> bytes:
        """Key of the vectors in the cache: all that they depend on except pixels.

        Parameters
        ----------
        precision : str
            Precision with which the vectors are computed.

        Raises
        ------
        ModelError
            When the weights are needed to identify them, but are not available.
        """
        fingerprint = self.network.fingerprint
        if fingerprint is None:
            raise not_here(self.network)
        known = dataclasses.replace(self, precision=precision)
        options = [getattr(known, part.name) for part in dataclasses.fields(self)]
        parts = (VERSION, fingerprint, *options[1:])
        return hashlib.sha256(repr(parts).encode()).digest()[:16]

    def portable(self) -> EmbeddingSpec:
        """The same with a reference instead of the network, for keeping in columns."""
        network = self.network
        reference = NetworkReference(network.id, network.fingerprint, network.about)
        return dataclasses.replace(self, network=reference)

    def found(self) -> EmbeddingSpec:
        """The same with the network of a reference.

        Raises
        ------
        ValueError, ModelError
            As `NetworkReference.find`.
        """
        network = self.network.find(self.preprocessing)
        return dataclasses.replace(self, network=network)

"""What decides which vector an image gets: a network, its layer and its input."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass

from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    as_intensity,
)
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import (
    VERSION,
    Preprocessing,
    check_fit,
)
from orangecontrib.imageanalytics.networks.registry import find_network


@dataclass(frozen=True)
class Extractor:
    """A network, the layer at which it is read, and how images are prepared.

    Attributes
    ----------
    network : Network
    layer : str
        ``"penultimate"``, ``"logits"`` or the name of a stage.
    fit : str or None
        How images meet the square; None: as the network was trained.
    intensity : "auto", "full" or (float, float)
        Which numbers of images of more than 8 bits are black and white; see
        `images.intensity`.
    """

    network: Network
    layer: str
    fit: str | None
    intensity: Intensity = AUTOMATIC

    @classmethod
    def choose(
        cls,
        model: str | os.PathLike,
        layer: str | None = None,
        fit: str | None = None,
        preprocessing: Preprocessing | dict | None = None,
        intensity: Intensity | None = None,
    ) -> Extractor:
        """Fill in what is not said.

        Parameters
        ----------
        model, preprocessing
            As for `find_network`.
        layer : str, optional
            By default the network's own.
        fit : {"crop", "stretch", "pad"}, optional
            By default as the network was trained.
        intensity : "auto", "full", (float, float) or text, optional
            As `as_intensity` takes it; by default automatic.

        Raises
        ------
        ValueError
            When there is no such network, fit or intensity. Whether there is such a
            layer shows when the network is loaded.
        ModelError
            When a file cannot be used.
        """
        network = find_network(model, preprocessing)
        if fit is not None:
            check_fit(fit)
        return cls(network, layer or network.layer, fit, as_intensity(intensity))

    @functools.cached_property
    def preprocessing(self) -> Preprocessing:
        """From an image to the network's input."""
        return self.network.preprocessing.fitted(self.fit)

    def key(self, precision: str) -> bytes:
        """Key of the vectors in the cache: all that they depend on but pixels."""
        parts = (
            VERSION,
            self.network.weights.fingerprint,
            self.layer,
            self.preprocessing,
            precision,
            self.intensity,
        )
        return hashlib.sha256(repr(parts).encode()).digest()[:16]


def load_class_names(network: Network) -> tuple[str, ...]:
    """Names of the network's scores, in their order; empty where unknown."""
    if not isinstance(network.classes, str):
        return network.classes
    from torchvision.models import get_weight

    return tuple(get_weight(network.classes).meta["categories"])

"""Texts become vectors in the same space as images.

The text tower always runs in torch, in single precision.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from orangecontrib.imageanalytics.engine.device import AUTOMATIC
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.registry import find_network


class TextEncoder:
    """The text tower of a network that knows words; loaded when it is first needed.

    Its vectors are comparable with those of images at the layer ``"joint"`` of the
    same network: the cosine similarity is the product of the two.

    Vectors of texts are kept for the process, the latest few thousand, so a text that
    was encoded before needs no network. Encoders of the same network share its memory.
    Safe to use from several threads at once.

    Parameters
    ----------
    model : str, path-like or Network
        As for `find_network`; see `Network.knows_words`.
    device : str
        As for `choose_device`; by default a GPU if there is one.
    may_download : bool
        Whether weights that are not on this computer are downloaded. Whoever sets
        it has asked the user first.

    Raises
    ------
    ValueError
        When there is no such network, or it does not know words.
    ModelError
        When a package is missing or a file cannot be used.
    """

    def __init__(
        self,
        model: str | os.PathLike | Network,
        device: str = AUTOMATIC,
        may_download: bool = False,
    ):
        self.network = find_network(model)
        self._device = device
        self._may_download = may_download

    def load(self, callback: Callable[[float], None] | None = None) -> None:
        """Load the text tower, unless it is loaded.

        Parameters
        ----------
        callback : callable, optional
            Called several times a second, in this thread, with the fraction of a
            download that is done. An exception that it raises stops the work.

        Raises
        ------
        ModelError
            When the weights or the tokenizer are not available or cannot be used.
        ValueError
            When there is no such device.
        """
        raise NotImplementedError

    def encode(
        self,
        texts: Sequence[str],
        callback: Callable[[float], None] | None = None,
    ) -> np.ndarray:
        """Encode texts.

        Texts that are too long for the network are cut, as open_clip does. An empty
        text has a vector, too.

        Parameters
        ----------
        texts : sequence of str
        callback : callable, optional
            Called several times a second, in this thread, with the fraction done, 0 to
            1; 0 while the network is loaded. An exception that it raises stops the
            work; what was encoded is kept for the next call.

        Returns
        -------
        numpy.ndarray
            float32, shape (n texts, n_features); each row has the length 1.

        Raises
        ------
        TypeError
            When `texts` is a single string, or not all of them are strings.
        ModelError, ValueError
            As `load`.
        """
        raise NotImplementedError

    @property
    def scoring(self) -> str:
        """How similarities become probabilities: ``"softmax"`` or ``"sigmoid"``.

        With ``"softmax"``, those of all texts add up to 1. With ``"sigmoid"``, each
        text has its own, whatever the others are. Known without the weights.
        """
        raise NotImplementedError

    @property
    def score_scale(self) -> float:
        """Similarities are multiplied by this first; loads the text tower."""
        raise NotImplementedError

    @property
    def score_bias(self) -> float:
        """This is added next; 0 for most networks. Loads the text tower."""
        raise NotImplementedError

    def probabilities(self, similarities: np.ndarray) -> np.ndarray:
        """Probabilities of texts for images.

        They are ``softmax(scale * similarity + bias)`` over the texts, or
        ``sigmoid(scale * similarity + bias)``.

        Parameters
        ----------
        similarities : numpy.ndarray
            Cosine similarities, shape (..., n texts).

        Returns
        -------
        numpy.ndarray
            The same shape; float64.

        Raises
        ------
        ModelError, ValueError
            As `load`.

        References
        ----------
        Radford et al. 2021, https://arxiv.org/abs/2103.00020 (softmax);
        Zhai et al. 2023, https://arxiv.org/abs/2303.15343 (sigmoid).
        """
        raise NotImplementedError

    def close(self) -> None:
        """Release the memory of the text tower; vectors of texts are still kept."""
        raise NotImplementedError

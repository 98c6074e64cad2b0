"""Vectors of texts, from the networks that know words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orangecontrib.imageanalytics.networks.network import Network


def word_networks() -> tuple[Network, ...]:
    """The networks on offer that know words, in the order shown to users."""


def knows_words(network: Network) -> bool:
    """Whether a network has vectors for texts."""


def text_vectors(
    network: Network, texts: Sequence[str], callback=None, may_download: bool = True
) -> np.ndarray:
    """Embed texts; the last ones are remembered.

    Parameters
    ----------
    network : Network
    texts : sequence of str
    callback : callable, optional
        Called with the fraction of a download that is done. An exception that it
        raises stops the download.
    may_download : bool
        Whether the weights may be downloaded if they are needed.

    Returns
    -------
    numpy.ndarray
        float32, shape (n texts, n_features), each of unit length.

    Raises
    ------
    ModelError
        When the weights or open_clip are not here.
    ValueError
        When the network does not know words.
    """


def class_vectors(
    network: Network,
    names: Sequence[str],
    templates: str | Sequence[str] = "photo",
    callback=None,
    may_download: bool = True,
) -> np.ndarray:
    """Embed the names of classes: the mean over the templates.

    Parameters
    ----------
    network, callback, may_download
        As for `text_vectors`.
    names : sequence of str
    templates : str or sequence of str
        A key of `TEMPLATES`, or texts with ``{}`` in place of the name.

    Returns
    -------
    numpy.ndarray
        As `text_vectors`, for each name: the mean of the unit vectors of its texts,
        scaled to unit length again (Radford et al. 2021, section 3.1.4).

    Raises
    ------
    ModelError, ValueError
        As `text_vectors`; also when a template has no ``{}``.
    """

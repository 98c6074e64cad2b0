"""Information about networks that is available before images are embedded."""

from __future__ import annotations

import os

from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import Preprocessing
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network


class AboutNetworks:
    """Methods of `ImageEmbedder` that need no instance."""

    @staticmethod
    def available(model: str | os.PathLike | Network = DEFAULT) -> bool:
        """Whether the weights are on this computer; does not use the internet."""
        return find_network(model).available()

    @staticmethod
    def stages(
        model: str | os.PathLike | Network = DEFAULT,
        preprocessing: Preprocessing | dict | None = None,
    ) -> tuple[str, ...]:
        """Names of the stages at which a network can be read, first to last.

        This does not need the weights. It takes seconds the first time.

        Parameters
        ----------
        model, preprocessing
            As for `ImageEmbedder`.
        """
        return find_network(model, preprocessing).stages()

    @staticmethod
    def check(
        model: str | os.PathLike | Network = DEFAULT,
        preprocessing: Preprocessing | dict | None = None,
        trust: bool = False,
    ) -> int:
        """Try a network on one image; its weights must be on this computer.

        Parameters
        ----------
        model, preprocessing, trust
            As for `ImageEmbedder`.

        Returns
        -------
        int
            Length of its vectors.

        Raises
        ------
        ValueError
            When there is no such network.
        ModelError
            When it does not work. The message says why.
        """
        return find_network(model, preprocessing, trust).count_features()

    @staticmethod
    def download(model: str | os.PathLike | Network = DEFAULT, callback=None) -> None:
        """Fetch the weights of a network, unless they are on this computer.

        Parameters
        ----------
        model : str, path-like or Network
            As for `ImageEmbedder`.
        callback : callable, optional
            Called with the fraction done, 0 to 1. An exception that it raises
            stops the download.

        Raises
        ------
        ModelError
            When they cannot be fetched. The message says how to put them there by
            hand.
        """
        find_network(model).ensure_weights(callback)

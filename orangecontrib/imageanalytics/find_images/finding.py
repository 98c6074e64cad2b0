"""Find images in tables, with one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.find_images.query import Description
from orangecontrib.imageanalytics.networks.network import Network


def find_images(
    table: Table,
    words: str | Description | Iterable[str | Description] = (),
    like: Table | str | Iterable[str] | None = None,
    model: str | Network | None = None,
    layer: str | None = None,
    top: int | None = None,
    threshold: float | None = None,
    callback=None,
    *,
    column: str | Variable | None = None,
    examples_weight: float = 1.0,
    device: str = "auto",
    cache: bool = True,
    failures: dict[str, str] | None = None,
) -> Table:
    """Find images by words and by example.

    Parameters
    ----------
    table : Table
        With a column of images. If it has vectors that the model made, these are used.
    words : str, Description or iterable of these
        What the images should show, in words; see `Query` for how images are scored.
    like : Table, path-like, or iterable of path-like, optional
        Examples: rows of a table, or paths and addresses of images.
    model : str, path-like or Network, optional
        As for `ImageEmbedder`. Words need a model that knows words. The default is the
        one whose vectors the table has, or else EfficientNet-Lite0 for examples alone,
        and the first that knows words for words.
    layer : str, optional
        As for `ImageEmbedder`; for examples alone.
    top : int, optional
        The number of images at most; by default all.
    threshold : float, optional
        The least score; by default any.
    callback : callable, optional
        Called in this thread with the fraction done, 0 to 1. An exception that it
        raises stops the work; finished vectors stay in the cache.
    column : str or Variable, optional
        The column of images; by default the first.
    examples_weight : float
        Weight of all examples together, when there are words, too.
    device, cache
        As for `ImageEmbedder`.
    failures : dict, optional
        Filled with the path or URL of each image or example that could not be
        embedded, and the reason. If it is not given, a warning tells their number.

    Returns
    -------
    Table
        The images found, best first, with the meta column ``score``. Images that
        cannot be embedded are not in it.

    Raises
    ------
    ValueError
        When an argument is not valid, or there is nothing to search for.
    ExamplesError
        When there are no words, and no example can be embedded.
    ModelError
        When the network's weights are not available.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.find_images import find_images
    >>> found = find_images(table, like=["cat.jpg"], top=20)
    """


def sort_into(
    table: Table,
    classes: Sequence[str],
    model: str | Network | None = None,
    templates: str | Sequence[str] = "photo",
    threshold: float | None = None,
    callback=None,
    *,
    other: str = "other",
    column: str | Variable | None = None,
    device: str = "auto",
    cache: bool = True,
    failures: dict[str, str] | None = None,
) -> Table:
    """Sort images into classes that are described by words, without training.

    Parameters
    ----------
    table : Table
        With a column of images. If it has vectors that the model made, these are used.
    classes : sequence of str
        Names of the classes, such as ``["cat", "dog"]``.
    model : str, path-like or Network, optional
        One that knows words.
    templates : str or sequence of str
        A key of `TEMPLATES`, or texts with ``{}`` in place of the name.
    threshold : float, optional
        Images whose highest probability is lower get the class `other`. By default,
        each gets a class.
    other : str
        Name of that class.
    callback, column, device, cache, failures
        As for `find_images`.

    Returns
    -------
    Table
        All rows in their order, with the columns of `append_classes`; missing values
        for images that cannot be embedded.

    Raises
    ------
    ValueError
        When an argument is not valid.
    ModelError
        When the network's weights are not available.
    """

"""Find images in tables, with one call."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.engine.device import AUTOMATIC, OPENVINO_DEVICES
from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder
from orangecontrib.imageanalytics.find_images.choice import choose_spec
from orangecontrib.imageanalytics.find_images.classes import (
    OTHER,
    WordClasses,
)
from orangecontrib.imageanalytics.find_images.columns import (
    append_classes,
    with_scores,
)
from orangecontrib.imageanalytics.find_images.query import (
    Description,
    Query,
    as_descriptions,
    best_first,
    check_limits,
    check_weights,
)
from orangecontrib.imageanalytics.find_images.vectors import (
    ExamplesError,
    LazyEmbedder,
)
from orangecontrib.imageanalytics.images.sources import image_column
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

Examples = Table | str | os.PathLike | Iterable[str | os.PathLike]
Model = str | os.PathLike | Network

# The part of the progress that belongs to the query.
_QUERY = 0.1


def find_images(
    table: Table,
    words: str | Description | Iterable[str | Description] = (),
    like: Examples | None = None,
    model: Model | None = None,
    layer: str | None = None,
    top: int | None = None,
    threshold: float | None = None,
    callback: Callable[[float], None] | None = None,
    *,
    column: str | Variable | None = None,
    examples_weight: float = 1.0,
    failures: dict[str, str] | None = None,
    **options,
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
    failures : dict, optional
        Filled with the path or URL of each image and example that could not be
        embedded, and the reason. If it is not given, a warning tells their number.
    **options
        ``device``, ``batch_size``, ``precision``, ``cache``, ``fit``, ``intensity``
        and ``engine``, as for `ImageEmbedder`.

    Returns
    -------
    Table
        The images that were found, best first, with the meta column ``score``. Images
        that cannot be embedded are left out.

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
    descriptions = as_descriptions(words)
    check_limits(top, threshold)
    if not descriptions and like is None:
        raise ValueError("There is nothing to search for: no words, no examples.")
    check_weights(descriptions, None if like is None else examples_weight)
    column = image_column(table, column)
    image_options, run_options = _split(options)
    spec = choose_spec(table, column, model, layer, bool(descriptions), **image_options)
    with (
        _told(failures) as failures,
        LazyEmbedder(spec, **run_options) as embedder,
    ):
        # Texts first: this may download the network, whose vectors the table may have.
        texts = examples = np.empty((0, 0), np.float32)
        if descriptions:
            texts = _text_encoder(spec, run_options).encode(
                [description.text for description in descriptions],
                _part(callback, 0, _QUERY / 2),
            )
        if like is not None:
            try:
                examples = embedder.examples(
                    like,
                    _part(callback, _QUERY / 2, _QUERY),
                    failures=failures,
                    column=_column_of(like, column),
                )
            except ExamplesError:
                if not descriptions:  # otherwise words are enough
                    raise
        query = Query(descriptions, texts, examples, examples_weight)
        vectors = embedder.table(
            table, column, _part(callback, _QUERY, 1), failures=failures
        )
    scores = vectors.scores(query)
    scored = with_scores(table, vectors.compute, query, scores)
    return scored[best_first(scores, top, threshold)]


def sort_into(
    table: Table,
    classes: Sequence[str],
    model: Model | None = None,
    templates: str | Sequence[str] = "photo",
    threshold: float | None = None,
    callback: Callable[[float], None] | None = None,
    *,
    other: str = OTHER,
    column: str | Variable | None = None,
    failures: dict[str, str] | None = None,
    **options,
) -> Table:
    """Sort images into classes that are described by words, without training.

    Parameters
    ----------
    table : Table
        With a column of images. If it has vectors that the model made, these are used.
    classes : sequence of str
        Names of the classes, such as ``["cat", "dog"]``.
    model : str, path-like or Network, optional
        One that knows words; by default the one whose vectors the table has, or else
        the first on offer.
    templates : str or sequence of str
        A key of `TEMPLATES`, or texts with ``{}`` in place of the name.
    threshold : float, optional
        Images whose highest probability is lower get the class `other`. By default,
        each image gets one of the classes.
    other : str
        Name of that class.
    callback, column, failures, **options
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
    column = image_column(table, column)
    image_options, run_options = _split(options)
    spec = choose_spec(table, column, model, words=True, **image_options)
    encoder = _text_encoder(spec, run_options)
    described = WordClasses.of(
        encoder, classes, templates, threshold, other, _part(callback, 0, _QUERY)
    )
    with (
        _told(failures) as failures,
        LazyEmbedder(spec, **run_options) as embedder,
    ):
        vectors = embedder.table(
            table, column, _part(callback, _QUERY, 1), failures=failures
        )
    return append_classes(table, vectors, described)


def _column_of(like: Examples, column: Variable) -> str | None:
    """The column of images of examples, if it is called like that of the table."""
    is_same = isinstance(like, Table) and column.name in like.domain
    return column.name if is_same else None


def _split(options: dict) -> tuple[dict, dict]:
    """Options for `choose_spec`, and those for `LazyEmbedder`."""
    run_options = dict(options)
    names = ("fit", "precision", "intensity")
    image_options = {name: run_options.pop(name, None) for name in names}
    run_options["use_cache"] = run_options.pop("cache", True)
    return image_options, run_options


def _text_encoder(spec: EmbeddingSpec, run_options: dict) -> TextEncoder:
    device = run_options.get("device", AUTOMATIC)
    if device in OPENVINO_DEVICES:  # texts are encoded by torch
        device = "cpu"
    return TextEncoder(spec.network, device, may_download=True)


def _part(callback, start: float, end: float):
    """A callback for a part of the work."""
    if callback is None:
        return None
    return lambda fraction: callback(start + (end - start) * fraction)


@contextlib.contextmanager
def _told(failures: dict[str, str] | None):
    """The dictionary of failures; if there is none, a warning tells of them."""
    if failures is not None:
        yield failures
        return
    failures = {}
    yield failures
    if failures:
        source, reason = next(iter(failures.items()))
        warnings.warn(
            f"Images that could not be embedded: {len(failures)}, the first: "
            f"{source}: {reason}",
            RuntimeWarning,
            stacklevel=4,
        )

"""Explain the images of a table, step by step."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
from Orange.base import Model
from Orange.data import Table, Variable

from orangecontrib.imageanalytics.engine.device import AUTOMATIC
from orangecontrib.imageanalytics.engine.embedder import Embedder
from orangecontrib.imageanalytics.engine.runner import look
from orangecontrib.imageanalytics.errors import ImageError, NotAveragedError
from orangecontrib.imageanalytics.explain.methods import (
    Activation,
    Method,
    NotExact,
    Occlusion,
)
from orangecontrib.imageanalytics.explain.models import (
    ExplainedModel,
    table_embeddings,
)
from orangecontrib.imageanalytics.explain.passes import Passes
from orangecontrib.imageanalytics.explain.questions import (
    Question,
    WhyAlike,
    WhyPredicted,
)
from orangecontrib.imageanalytics.explain.results import (
    ACTIVATION,
    METHODS,
    OCCLUSION,
    Explanation,
    explained_table,
)
from orangecontrib.imageanalytics.images.sources import column_sources, image_columns
from orangecontrib.imageanalytics.networks.network import MAP_OF, Network
from orangecontrib.imageanalytics.networks.registry import DEFAULT
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec

SIMILARITY = "similarity"  # the name of a column


class Explaining:
    """Explains images: those that are asked for first, and coarsely first.

    Parameters
    ----------
    table : Table
        Images, one a row.
    model : Orange.base.Model, optional
        A classifier or regressor that was trained on vectors of images. Without one,
        `like` says with which image the others are compared.
    target : str, optional
        The class to explain. By default, for each image the one that is predicted.
    like : int, optional
        The row of an image: explain why the others are similar to it.
    method : {"auto", "activation", "occlusion"}
        By default class activation maps if they are exact, otherwise occlusion.
    column : str or Variable, optional
        The column with the images. By default that of which the model's vectors are
        computed, or else the first of `image_columns`.
    network : str, path-like or Network, optional
        As for `ImageEmbedder`, for `like`. By default the one with which the table was
        embedded, or else the default network.
    device, engine : str
        As for `ImageEmbedder`.

    Attributes
    ----------
    explanations : dict of int to Explanation
        By row; filled during `run`.
    failures : dict of int to str
        By row: why an image could not be explained; filled during `run`.
    column : str
        Name of the column with the images.
    sources : list of (str or None)
        Path or URL for each row.
    classes : tuple of str
        Names of the classes of the model; empty if it has none.
    result_name : str
        What `Explanation.result` is.
    method : str or None
        The method that is used; None until it is known.
    reason : str
        Why the method is not exact; empty if it is, or if occlusion was asked for.

    Raises
    ------
    ValueError
        When the arguments are none of these, or the model or table cannot be used.
    ModelError
        When the network is not the one of the model's columns, or not available.
    """

    def __init__(
        self,
        table: Table,
        model: Model | None = None,
        *,
        target: str | None = None,
        like: int | None = None,
        method: str = AUTOMATIC,
        column: str | Variable | None = None,
        network: str | os.PathLike | Network | None = None,
        device: str = AUTOMATIC,
        engine: str = AUTOMATIC,
    ):
        if method not in METHODS:
            raise ValueError(f"'{method}' should be one of: {', '.join(METHODS)}")
        if (model is None) == (like is None):
            raise ValueError("either a model or an image to compare with is needed")
        self.table = table
        self.explanations: dict[int, Explanation] = {}
        self.failures: dict[int, str] = {}
        self.method: str | None = None
        self.reason = ""
        self._wanted_method, self._like = method, like
        self._cancelled = threading.Event()
        self._question: Question | None = None
        explained = None if model is None else ExplainedModel(model, table)
        if explained is not None:
            self._question = WhyPredicted(explained, target)
            self._spec = explained.compute.spec.found()
            column = column or explained.compute.column
        else:
            self._spec = _spec_of(table, network)
        self.column = _column(table, column)
        self.sources = column_sources(table, self.column)
        if like is not None and self.sources[like] is None:
            raise ValueError("there is no image in the row to be compared with")
        # Networks of models are never downloaded unasked.
        self._options = {
            "device": device,
            "engine": engine,
            "may_download": model is None and network is not None,
        }

    @property
    def classes(self) -> tuple[str, ...]:
        """As above."""
        return self._question.classes if self._question is not None else ()

    @property
    def result_name(self) -> str:
        """As above."""
        if self._like is not None:
            return SIMILARITY
        return "probability" if self.classes else "prediction"

    def cancel(self) -> None:
        """Make `run` in another thread raise `Cancelled` within a second."""
        self._cancelled.set()

    def explained(self) -> Table:
        """The table with what is known so far; see `explained_table`."""
        # `run` may add others meanwhile, in another thread.
        known = dict(self.explanations)
        return explained_table(self.table, known, self.classes, self.result_name)

    def run(
        self,
        callback: Callable[[float], None] | None = None,
        first: Callable[[], int | None] | None = None,
    ) -> Iterator[list[Explanation]]:
        """Explain all images.

        Parameters
        ----------
        callback : callable, optional
            Called in this thread, several times a second, with the fraction done, 0 to
            1. An exception that it raises stops the work.
        first : callable, optional
            Returns the row that should be next, or None.

        Yields
        ------
        list of Explanation
            New ones; later ones of the same image are finer.

        Raises
        ------
        Cancelled
            When stopped by `cancel`.
        ModelError, ValueError
            When the network cannot be used.
        """
        work = _Work(self.sources)
        callback = callback or (lambda _fraction: None)

        def tick():
            look(self._cancelled)
            callback(work.fraction)

        tick()
        for make in self._methods():
            with contextlib.ExitStack() as stack:
                try:
                    method = make(stack, tick)
                    yield from self._steps(method, work, tick, first)
                except NotExact as reason:
                    if self._wanted_method == ACTIVATION:
                        raise ValueError(f"there is no exact map: {reason}") from reason
                    self.reason = str(reason)
                    continue
            tick()
            return

    # Choosing a method ----------------------------------------------------------------

    def _methods(self):
        if self._wanted_method != OCCLUSION:
            yield self._activation
        yield self._occlusion

    def _activation(self, stack, tick) -> Method:
        if self._question is not None and not self._question.may_be_linear:
            raise NotExact("the model is not linear in the vectors")
        layer = MAP_OF + self._spec.layer
        passes = self._load(dataclasses.replace(self._spec, layer=layer), stack, tick)
        if self._like is not None:
            self._compare(
                lambda seen: passes.positions(seen.square).mean(axis=0), passes
            )
        return Activation(passes, self._question)

    def _occlusion(self, stack, tick) -> Method:
        passes = self._load(self._spec, stack, tick)
        if self._like is not None:
            self._compare(lambda seen: passes.vectors(seen.square[None])[0], passes)
        return Occlusion(passes, self._question)

    def _load(self, spec: EmbeddingSpec, stack, tick) -> Passes:
        embedder = Embedder(spec, use_cache=False, **self._options)
        stack.callback(embedder.close)
        try:
            embedder.runner.load(lambda _fraction: tick())
        except NotAveragedError as error:
            raise NotExact("the network's vectors are not averages") from error
        tick()
        return stack.enter_context(Passes(embedder.runner, self._cancelled))

    def _compare(self, vector: Callable, passes: Passes) -> None:
        """Find the vector of the image with which the others are compared."""
        try:
            seen = passes.see(self.sources[self._like])
        except ImageError as error:
            source = self.sources[self._like]
            raise ValueError(f"{source} cannot be compared: {error}") from error
        self._question = WhyAlike(vector(seen))

    # Working --------------------------------------------------------------------------

    def _steps(self, method: Method, work, tick, first) -> Iterator[list[Explanation]]:
        work.begin(method.n_steps)
        while batch := work.next(method.rows_at_once, first):
            rows, number = batch
            sources = [self.sources[row] for row in rows]
            outcomes = method.step(rows, sources, number, tick)
            self.method = method.name
            done = []
            for row, outcome in zip(rows, outcomes, strict=True):
                if isinstance(outcome, ImageError):
                    self.failures[row] = str(outcome)
                    work.drop(row)
                else:
                    outcome.heat_map.shares()  # here, so that no window waits for them
                    self.explanations[row] = outcome
                    work.advance(row)
                    done.append(outcome)
            yield done
            tick()


class _Work:
    """Which steps of which images are to be done.

    Parameters
    ----------
    sources : list of (str or None)
    """

    def __init__(self, sources: list[str | None]):
        there = [row for row, source in enumerate(sources) if source is not None]
        self._rows = np.array(there, int)
        self._places = {row: place for place, row in enumerate(there)}
        self.begin(1)

    def begin(self, n_steps: int) -> None:
        """Start again, with a number of steps for each image."""
        self._n_steps = n_steps
        self._done = np.zeros(len(self._rows), int)

    @property
    def fraction(self) -> float:
        """The fraction that is done."""
        return float(self._done.mean() / self._n_steps) if len(self._rows) else 1.0

    def next(self, count: int, first) -> tuple[list[int], int] | None:
        """Some rows and the number of their next step; None if all is done.

        The row that is wanted first goes before the others, which are all done
        coarsely before one becomes finer.
        """
        least = int(self._done.min(initial=self._n_steps))
        wanted = None if first is None else self._places.get(first())
        if wanted is not None and self._done[wanted] < self._n_steps:
            step = int(self._done[wanted])
            return [int(self._rows[wanted])], step
        if least == self._n_steps:
            return None
        places = np.flatnonzero(self._done == least)[:count]
        return self._rows[places].tolist(), least

    def advance(self, row: int) -> None:
        """Note that a step is done."""
        self._done[self._places[row]] += 1

    def drop(self, row: int) -> None:
        """Do no more for a row."""
        self._done[self._places[row]] = self._n_steps


def _spec_of(table: Table, network) -> EmbeddingSpec:
    if network is None and (embeddings := table_embeddings(table)):
        return embeddings[0].spec.found()
    return EmbeddingSpec.choose(DEFAULT if network is None else network)


def _column(table: Table, column: str | Variable | None) -> str:
    """Name of the column with the images."""
    if column is None:
        columns = image_columns(table)
        if not columns:
            raise ValueError("the table has no column that could name images")
        column = columns[0]
    if column not in table.domain:
        raise ValueError(
            f"the images have no column '{column}', from which the model's vectors "
            "are computed"
        )
    return table.domain[column].name


def explain_images(
    table: Table,
    model: Model | None = None,
    target: str | None = None,
    method: str = AUTOMATIC,
    callback: Callable[[float], None] | None = None,
    **options,
) -> Explaining:
    """Find out which parts of images make a model predict what it predicts.

    Parameters
    ----------
    table, model, target, method
        As for `Explaining`.
    callback : callable, optional
        Called with the fraction done, 0 to 1. An exception that it raises stops the
        work.
    **options
        As for `Explaining`: `like`, `column`, `network`, `device`, `engine`.

    Returns
    -------
    Explaining
        With its `explanations`, `failures` and the table from `explained`.

    Raises
    ------
    ValueError, ModelError
        As `Explaining`.

    Examples
    --------
    >>> result = explain_images(images, model, target="cat")
    >>> result.explanations[0].heat_map.peak()
    >>> table = result.explained()
    """
    explaining = Explaining(table, model, target=target, method=method, **options)
    for _ in explaining.run(callback):
        pass
    return explaining

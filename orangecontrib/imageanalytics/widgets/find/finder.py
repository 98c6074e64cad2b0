"""Answers what is looked for, in a thread."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from Orange.data import Table

from orangecontrib.imageanalytics.engine.text_encoder import TextEncoder
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.find_images import (
    ExamplesError,
    LazyEmbedder,
    Query,
    WordClasses,
    append_classes,
    best_first,
)
from orangecontrib.imageanalytics.find_images.columns import with_scores
from orangecontrib.imageanalytics.find_images.vectors import spread
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.widgets.find.find_task import Vectors
from orangecontrib.imageanalytics.widgets.find.question import Question, Sorting


@dataclass(frozen=True)
class Found:
    """
    Images by their scores.

    Attributes
    ----------
    query : Query
    scores : numpy.ndarray
        float32, shape (n rows,); nan for rows without a vector.
    order : numpy.ndarray
        int: rows with a score, the best first.
    failures : dict of str to str
        Examples that could not be used, and why.
    """

    query: Query
    scores: np.ndarray
    order: np.ndarray
    failures: Mapping[str, str] = field(default_factory=dict)

    def text(self, row: int) -> str:
        """The score of a row, for people."""
        return f"{self.scores[row]:.3f}"


@dataclass(frozen=True)
class Sorted:
    """
    Images by their classes.

    Attributes
    ----------
    classes : WordClasses
    indices : numpy.ndarray
        int, shape (n rows,): the index of the class in the classes' values; -1 for
        rows without a vector.
    confidence : numpy.ndarray
        The highest probability of each row; nan for rows without a vector.
    order : numpy.ndarray
        int: rows with a class, class by class, the most probable first.
    """

    classes: WordClasses
    indices: np.ndarray
    confidence: np.ndarray
    order: np.ndarray

    def text(self, row: int) -> str:
        """The probability of a row's class, for people."""
        probability = self.confidence[row]
        # Those of networks with the sigmoid are often small.
        return f"{probability:.{0 if probability >= 0.1 else 1}%}"


@dataclass(frozen=True)
class _Like:
    """Examples in a column of a table: their vectors, and why some have none."""

    table: Table
    column: str | None
    vectors: np.ndarray
    failures: Mapping[str, str]


class Finder:
    """
    Searches the images of a table.

    A search may begin before the last one, which was stopped, has noticed it.

    Parameters
    ----------
    vectors : Vectors
    """

    def __init__(self, vectors: Vectors):
        self.vectors = vectors
        self._text_encoder: TextEncoder | None = None
        # Vectors of examples that are not in the table: no network is needed again.
        self._examples: dict[str, np.ndarray] = {}
        # Of the last search; another may be running, so they are only replaced.
        self._failures: dict[str, str] = {}
        self._like: _Like | None = None

    @property
    def network(self):
        """The network that the vectors are of."""
        return self.vectors.facts.network

    def find(self, question: Question, say, check) -> Found:
        """
        Score the images.

        Parameters
        ----------
        question : Question
            Without words if the network knows none.
        say : callable
            Called with a text before something that may take long.
        check : callable
            Called from time to time; what it raises stops the work.

        Raises
        ------
        ExamplesError
            When there are no words, and none of the examples can be used.
        ModelError
            When the words need the network, but it cannot be used.
        """
        failures: dict[str, str] = {}
        texts = np.empty((0, 0))
        examples = self._examples_of(question, failures, say, check)
        if question.descriptions:
            say("Reading the words…")
            words = [description.text for description in question.descriptions]
            texts = self._encoder().encode(words, lambda _: check())
        elif not len(examples):
            raise ExamplesError(failures)
        check()
        query = Query(question.descriptions, texts, examples)
        scores = self.vectors.images.scores(query)
        check()
        return Found(query, scores, best_first(scores), failures)

    def sort(self, sorting: Sorting, say, check) -> Sorted:
        """
        Sort the images into classes.

        Parameters
        ----------
        sorting : Sorting
        say, check
            As for `find`.

        Raises
        ------
        ModelError, ValueError
            As for `WordClasses.of`.
        """
        say("Reading the words…")
        classes = WordClasses.of(
            self._encoder(),
            sorting.names,
            sorting.templates,
            sorting.threshold,
            callback=lambda _: check(),
        )
        check()
        images = self.vectors.images
        probabilities = classes.probabilities(images.vectors)
        highest = probabilities.max(axis=1).astype(np.float32)
        confidence = spread(images.rows, highest)
        known = np.flatnonzero(images.rows >= 0)
        indices = np.full(len(images), -1)
        indices[known] = classes.indices(probabilities)[images.rows[known]]
        order = known[np.lexsort((-confidence[known], indices[known]))]
        return Sorted(classes, indices, confidence, order)

    def table(self, answer: Found | Sorted) -> Table:
        """The table with its scores, or its classes, as computed columns."""
        data, images = self.vectors.task.data, self.vectors.images
        if isinstance(answer, Found):
            return with_scores(data, images.compute, answer.query, answer.scores)
        return append_classes(data, images, answer.classes)

    def close(self) -> None:
        """Release the memory of the network that reads words."""
        if self._text_encoder is not None:
            self._text_encoder.close()

    def _encoder(self) -> TextEncoder:
        if self._text_encoder is None:
            self._text_encoder = TextEncoder(self.network)
        return self._text_encoder

    # Examples

    def _examples_of(self, question, failures, say, check) -> np.ndarray:
        vectors = self._of_sources(question.examples, failures, say, check)
        if question.like is not None:
            like = self._of_table(question, say, check)
            failures.update(like.failures)
            vectors = _stacked(vectors, like.vectors)
        return vectors

    def _of_sources(self, sources, failures, say, check) -> np.ndarray:
        known = self.vectors.rows
        others = [source for source in sources if source not in known]
        # What has failed is tried again after it was removed.
        before, failed = self._failures, {}
        for source in others:
            if source in before:
                failed[source] = before[source]
            elif source not in self._examples:
                say("Looking at the examples…")
                vectors, reasons = self._embed([source], check)
                if len(vectors):
                    self._examples[source] = vectors
                else:
                    failed[source] = next(iter(reasons.values()))
        self._failures = failed
        failures.update(failed)
        rows = [known[source] for source in sources if source in known]
        found = [self._examples[source] for source in others if source not in failed]
        return _stacked(self.vectors.images.of_rows(rows), *found)

    def _of_table(self, question: Question, say, check) -> _Like:
        table, column, like = question.like, question.like_column, self._like
        if like is None or like.table is not table or like.column != column:
            say("Looking at the examples…")
            vectors, failures = self._embed(table, check, column)
            like = self._like = _Like(table, column, vectors, failures)
        return like

    def _embed(self, like, check, column=None) -> tuple[np.ndarray, dict[str, str]]:
        """Vectors of examples, and why some have none."""
        spec, failures = self.vectors.images.compute.spec, {}
        vectors = np.empty((0, 0))
        with (
            contextlib.suppress(ExamplesError),  # the failures say why
            LazyEmbedder(spec, may_download=False) as embedder,
        ):
            try:
                vectors = embedder.examples(
                    like, lambda _: check(), failures=failures, column=column
                )
            except ModelError as error:
                # Images that have vectors in the table can be examples nevertheless.
                if isinstance(like, Table):
                    like = filter(None, column_sources(like, column))
                failures = dict.fromkeys(like, str(error))
        return vectors, failures


def _stacked(*parts: np.ndarray) -> np.ndarray:
    """Vectors below each other; there may be none."""
    parts = [part for part in parts if len(part)]
    return np.concatenate(parts) if parts else np.empty((0, 0))

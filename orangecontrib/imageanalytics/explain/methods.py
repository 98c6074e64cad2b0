"""The ways to a heat map: exact where the network allows it, otherwise by trying."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.explain.heat_maps import HeatMap
from orangecontrib.imageanalytics.explain.occlusion import LEVELS, Windows
from orangecontrib.imageanalytics.explain.passes import Passes, Seen
from orangecontrib.imageanalytics.explain.questions import Question
from orangecontrib.imageanalytics.explain.results import (
    ACTIVATION,
    OCCLUSION,
    Explanation,
)

Tick = Callable[[], None]
Outcome = Explanation | ImageError


class NotExact(Exception):
    """There is no exact map; the message is the reason."""


class Method(ABC):
    """A way to a heat map.

    Parameters
    ----------
    passes : Passes
        Through the network that it needs.
    question : Question

    Attributes
    ----------
    name : {"activation", "occlusion"}
    n_steps : int
        Number of steps that each image takes.
    rows_at_once : int
        For how many images a step should be done together.
    """

    name: str
    n_steps: int
    rows_at_once: int

    def __init__(self, passes: Passes, question: Question):
        self._passes, self._question = passes, question

    @abstractmethod
    def step(
        self, rows: list[int], sources: list[str], number: int, tick: Tick
    ) -> list[Outcome]:
        """Do a step for some images.

        Parameters
        ----------
        rows : list of int
        sources : list of str
        number : int
            The step, from 0.
        tick : callable
            As for `Passes.each`.

        Returns
        -------
        list of (Explanation or ImageError)
            For each image.

        Raises
        ------
        Cancelled
        """


class Activation(Method):
    """Class activation maps: exact, in one pass of the network up to its map."""

    name, n_steps, rows_at_once = ACTIVATION, 1, 16

    def step(
        self, rows: list[int], sources: list[str], number: int, tick: Tick
    ) -> list[Outcome]:
        """As `Method.step`.

        Raises
        ------
        NotExact
            When the question has no exact answer.
        """
        outcomes = list(self._passes.each(self._read, sources, tick))
        there = [
            index
            for index, outcome in enumerate(outcomes)
            if not isinstance(outcome, ImageError)
        ]
        if not there:
            return outcomes
        maps = [outcomes[index][1] for index in there]
        vectors = np.stack([vectors.mean(axis=0) for vectors in maps])
        numbers = np.array([rows[index] for index in there])
        weights = self._question.weights(numbers, vectors)
        if weights is None:
            raise NotExact("the model is not linear in the vectors")
        targets = self._question.targets(numbers, vectors)
        results = self._question.results(numbers, vectors, targets)
        for order, index in enumerate(there):
            seen = outcomes[index][0]
            outcomes[index] = Explanation(
                rows[index],
                HeatMap(_mapped(maps[order], weights[order]), seen.edges, seen.size),
                self.name,
                self._question.name(targets[order]),
                float(results[order]),
            )
        return outcomes

    def _read(self, source: str) -> tuple[Seen, np.ndarray]:
        """The image, and the vectors at the positions in it."""
        seen = self._passes.see(source)
        return seen, self._passes.positions(seen.square)


def _mapped(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """What positions contribute to the mean."""
    side = round(len(vectors) ** 0.5)
    values = vectors @ weights / len(vectors)
    return values.reshape(side, side).astype(np.float32)


class Occlusion(Method):
    """Hides parts of the image, larger ones first; for any model."""

    name, n_steps, rows_at_once = OCCLUSION, len(LEVELS), 1

    def __init__(self, passes: Passes, question: Question):
        super().__init__(passes, question)
        self._sums: dict[int, np.ndarray] = {}
        self._answers: dict[int, tuple[int, float]] = {}

    def step(
        self, rows: list[int], sources: list[str], number: int, tick: Tick
    ) -> list[Outcome]:
        """As `Method.step`."""
        pairs = zip(rows, sources, strict=True)
        return [self._explain(row, source, number, tick) for row, source in pairs]

    def _explain(self, row, source, number, tick) -> Outcome:
        (seen,) = self._passes.each(self._passes.see, [source], tick)
        if isinstance(seen, ImageError):
            return seen
        if row not in self._answers:
            self._answer(row, seen, tick)
        target, result = self._answers[row]
        windows = Windows(LEVELS[number], seen.square, seen.edges)
        vectors = self._vectors(windows, tick)
        others = self._question.results(row, vectors, target)
        drops = np.nan_to_num(result - others)
        weight = LEVELS[number].weight
        self._sums[row] = self._sums.get(row, 0) + weight * windows.values(drops)
        values = self._sums[row] / sum(level.weight for level in LEVELS[: number + 1])
        if number + 1 == self.n_steps:
            del self._sums[row], self._answers[row]
        return Explanation(
            row,
            HeatMap(values, seen.edges, seen.size),
            self.name,
            self._question.name(target),
            result,
            number + 1,
            self.n_steps,
        )

    def _answer(self, row: int, seen: Seen, tick: Tick) -> None:
        """Find what is explained for an image, and its result."""
        (vector,) = self._passes.each(self._passes.vectors, [seen.square[None]], tick)
        (target,) = self._question.targets(np.array([row]), vector)
        (result,) = self._question.results(row, vector, target)
        self._answers[row] = int(target), float(result)

    def _vectors(self, windows: Windows, tick: Tick) -> np.ndarray:
        size = self._passes.runner.batch_size
        everything = range(len(windows))
        parts = [everything[start : start + size] for start in everything[::size]]

        def embed(part: range) -> np.ndarray:
            return self._passes.vectors(windows.squares(part))

        return np.concatenate(list(self._passes.each(embed, parts, tick)))

"""What is searched for: descriptions and examples, and how images are scored."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from orangecontrib.imageanalytics.engine.unit_length import normalised, similarities
from orangecontrib.imageanalytics.i18n import pl


@dataclass(frozen=True)
class Description:
    """A text that images should or should not match.

    Attributes
    ----------
    text : str
        Spaces around it do not matter.
    weight : float
        How much it counts, compared to the others; at least 0.
    negative : bool
        Whether images that match get lower scores.

    Raises
    ------
    ValueError
        When the text is blank, or the weight is negative or not finite.
    """

    text: str
    weight: float = 1.0
    negative: bool = False

    def __post_init__(self):
        object.__setattr__(self, "text", self.text.strip())
        object.__setattr__(self, "weight", float(self.weight))
        if not self.text:
            raise ValueError("A description is empty.")
        check_weight(self.weight)

    @property
    def factor(self) -> float:
        """The weight, below 0 for a negative description."""
        return -self.weight if self.negative else self.weight

    def __str__(self) -> str:
        text = f"not {self.text}" if self.negative else self.text
        return text if self.weight == 1 else f"{text} ({self.weight:g})"


def check_weight(weight: float) -> None:
    """
    Raises
    ------
    ValueError
        When the weight is negative or not finite.
    """
    if not (math.isfinite(weight) and weight >= 0):
        raise ValueError(f"A weight should be a number from 0 up, not {weight:g}.")


def as_descriptions(
    words: str | Description | Iterable[str | Description],
) -> tuple[Description, ...]:
    """Make descriptions of texts.

    Parameters
    ----------
    words : str, Description or iterable of these
        Texts become descriptions of weight 1.

    Raises
    ------
    ValueError
        When a text is blank.
    """
    if isinstance(words, str | Description):
        words = [words]
    return tuple(
        word if isinstance(word, Description) else Description(word) for word in words
    )


@dataclass(frozen=True, eq=False)
class Query:
    """Descriptions and examples, with their vectors.

    An image's score is the weighted mean of its cosine similarities to what is
    searched for::

        (sum_j f_j cos(x, t_j) + w cos(x, e)) / (sum_j |f_j| + w)

    x is the vector of the image; t_j are those of the descriptions, and their factors
    f_j are the weights, below 0 for negative ones. e is the mean of the examples'
    vectors, each scaled to unit length, and w is their weight. Adding what is relevant
    and subtracting what is not is the rule of Rocchio, "Relevance feedback in
    information retrieval", in: Salton (ed.), The SMART Retrieval System, 1971. Scores
    are between -1 and 1. As all this is linear, it takes one product.

    Two queries are equal if they give the same scores. Pickles contain the texts and
    the vectors.

    Parameters
    ----------
    descriptions : sequence of Description
    texts : numpy.ndarray
        Vectors of the descriptions, shape (n descriptions, n_features).
    examples : numpy.ndarray
        Vectors of the examples, shape (n examples, n_features). Equal ones count once.
    examples_weight : float
        Weight of all examples together.

    Raises
    ------
    ValueError
        When there is nothing to search for: neither descriptions nor examples, or only
        such of weight 0. When vectors of texts and examples differ in length.
    """

    descriptions: Sequence[Description] = ()
    texts: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    examples: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    examples_weight: float = 1.0

    def __post_init__(self):
        object.__setattr__(self, "descriptions", tuple(self.descriptions))
        for name in ("texts", "examples"):
            object.__setattr__(self, name, normalised(getattr(self, name)))
        object.__setattr__(self, "examples", _different(self.examples))
        self._check()

    def _check(self):
        if len(self.descriptions) != len(self.texts):
            raise ValueError("Each description should have a vector.")
        if not self.descriptions and not len(self.examples):
            raise ValueError("There is nothing to search for: no words, no examples.")
        check_weights(
            self.descriptions, self.examples_weight if len(self.examples) else None
        )
        if (
            len(self.texts)
            and len(self.examples)
            and self.texts.shape[1] != self.examples.shape[1]
        ):
            raise ValueError("The vectors of texts and examples differ in length.")

    @property
    def _total(self) -> float:
        examples_weight = self.examples_weight if len(self.examples) else 0
        return _total_weight(self.descriptions, examples_weight)

    @functools.cached_property
    def direction(self) -> np.ndarray:
        """The product of this and an image's vector is its score.

        float32, shape (n_features,).
        """
        factors = [description.factor for description in self.descriptions]
        direction = 0
        if factors:
            direction = np.array(factors) @ self.texts
        if len(self.examples):
            mean = normalised(self.examples.mean(axis=0, keepdims=True))[0]
            direction = direction + self.examples_weight * mean
        return (direction / self._total).astype(np.float32)

    def scores(self, vectors: np.ndarray) -> np.ndarray:
        """Score images.

        Parameters
        ----------
        vectors : numpy.ndarray
            float32, shape (n images, n_features), each of unit length; see
            `normalised`.

        Returns
        -------
        numpy.ndarray
            float32, shape (n images,).

        Raises
        ------
        ValueError
            When the vectors have another length than those of the query.
        """
        return similarities(vectors, self.direction)

    def __eq__(self, other):
        return (
            type(self) is type(other)
            and self._key == other._key
            and np.array_equal(self.texts, other.texts)
            and np.array_equal(self.examples, other.examples)
        )

    def __hash__(self):
        return hash((self._key, self.examples.tobytes()))

    @property
    def _key(self):
        return self.descriptions, self.examples_weight

    def __getstate__(self):
        state = dict(self.__dict__)
        state.pop("direction", None)
        return state

    def __str__(self) -> str:
        """The descriptions and the number of examples, for people."""
        parts = [str(description) for description in self.descriptions]
        if len(self.examples):
            count = len(self.examples)
            parts.append(f"like {count} {pl(count, 'image')}")
        return ", ".join(parts)


def _total_weight(descriptions: Iterable[Description], examples_weight: float):
    return sum(description.weight for description in descriptions) + examples_weight


def check_weights(
    descriptions: Iterable[Description], examples_weight: float | None
) -> None:
    """
    Parameters
    ----------
    descriptions : iterable of Description
    examples_weight : float or None
        None if there are no examples.

    Raises
    ------
    ValueError
        When all weights are 0, or that of the examples is negative or not finite.
    """
    if examples_weight is not None:
        check_weight(examples_weight)
    if not _total_weight(descriptions, examples_weight or 0):
        raise ValueError("All weights are 0. At least one should be above 0.")


def _different(vectors: np.ndarray) -> np.ndarray:
    """The vectors without repetitions, in their order."""
    _, first = np.unique(vectors, axis=0, return_index=True)
    return vectors[np.sort(first)]


def check_limits(top: int | None, threshold: float | None) -> None:
    """
    Raises
    ------
    ValueError
        As `best_first`.
    """
    if top is not None and (top < 1 or top % 1):
        raise ValueError(f"top should be a whole number above 0, not {top}.")
    if threshold is not None and math.isnan(threshold):
        raise ValueError("threshold should be a number, not nan.")


def best_first(
    scores: np.ndarray, top: int | None = None, threshold: float | None = None
) -> np.ndarray:
    """Rows with the best scores, the best first.

    Parameters
    ----------
    scores : numpy.ndarray
        Shape (n rows,); nan where there is none.
    top : int, optional
        How many at most; by default all.
    threshold : float, optional
        The least score; by default any.

    Returns
    -------
    numpy.ndarray
        int. Rows without a score are left out; equal ones keep their order.

    Raises
    ------
    ValueError
        When `top` is not a whole number above 0, or `threshold` is not a number.
    """
    check_limits(top, threshold)
    is_kept = ~np.isnan(scores) if threshold is None else scores >= threshold
    rows = np.flatnonzero(is_kept)
    if top is not None and len(rows) > top:
        top = int(top)
        # Sorting a few takes much less time than sorting all.
        least = np.partition(scores[rows], -top)[-top]
        rows = rows[scores[rows] >= least]
    return rows[np.argsort(-scores[rows], kind="stable")][:top]

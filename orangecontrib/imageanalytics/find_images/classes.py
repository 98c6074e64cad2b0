"""Classes that are described by words: probabilities of images without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from orangecontrib.imageanalytics.engine.text_encoder import (
    TextEncoder,
    probabilities_of,
)
from orangecontrib.imageanalytics.engine.unit_length import normalised, similarities
from orangecontrib.imageanalytics.networks.clip_networks import SOFTMAX

#: Texts into which the name of a class is put, by the name of the set. ``"photo"`` is
#: the template of Radford et al., "Learning Transferable Visual Models From Natural
#: Language Supervision", 2021, https://arxiv.org/abs/2103.00020, section 3.1.4.
#: ``"ensemble"`` are the seven that its authors found to do best together on ImageNet,
#: in the notebook Prompt_Engineering_for_ImageNet.ipynb of
#: https://github.com/openai/CLIP.
TEMPLATES: dict[str, tuple[str, ...]] = {
    "photo": ("a photo of a {}.",),
    "ensemble": (
        "itap of a {}.",
        "a bad photo of the {}.",
        "a origami {}.",
        "a photo of the large {}.",
        "a {} in a video game.",
        "art of the {}.",
        "a photo of the small {}.",
    ),
    "none": ("{}",),
}

OTHER = "other"


@dataclass(frozen=True, eq=False)
class WordClasses:
    """Names of classes with the vectors of their texts; see `WordClasses.of`.

    The cosine similarities of an image to the classes are multiplied by the scale that
    the network was trained with, and the bias is added. Their softmax gives the
    probabilities (Radford et al. 2021, figure 3). Networks that were trained with a
    sigmoid, such as SigLIP (Zhai et al. 2023, https://arxiv.org/abs/2303.15343), give
    each class a probability by itself: they do not add up to 1.

    Two objects are equal if they give the same probabilities and classes. Pickles
    contain the names and the vectors.

    Parameters
    ----------
    names : sequence of str
        Spaces around them do not matter.
    vectors : numpy.ndarray
        Shape (n classes, n_features).
    scale, bias : float
    scoring : {"softmax", "sigmoid"}
    threshold : float, optional
        Images whose highest probability is lower become `other`; by default none.
    other : str
        The name of the class of these.

    Raises
    ------
    ValueError
        When there are too few names, one is blank, or two are equal. When the
        threshold is not between 0 and 1.
    """

    names: Sequence[str]
    vectors: np.ndarray
    scale: float
    bias: float = 0.0
    scoring: str = SOFTMAX
    threshold: float | None = None
    other: str = OTHER

    def __post_init__(self):
        object.__setattr__(self, "names", checked_names(self.names, self.scoring))
        object.__setattr__(self, "vectors", normalised(self.vectors))
        check_threshold(self.threshold)
        if self.threshold is not None and self.other in self.names:
            raise ValueError(
                f"A class is called {self.other}, like the images that are in none."
            )

    @classmethod
    def of(
        cls,
        encoder: TextEncoder,
        names: Sequence[str],
        templates: str | Sequence[str] = "photo",
        threshold: float | None = None,
        other: str = OTHER,
        callback=None,
    ) -> WordClasses:
        """Describe classes by their names.

        Parameters
        ----------
        encoder : TextEncoder
        names : sequence of str
        templates : str or sequence of str
            A key of `TEMPLATES`, or texts with ``{}`` in place of the name. The vector
            of a class is the mean of the unit vectors of its texts, scaled to unit
            length again (Radford et al. 2021, section 3.1.4).
        threshold, other
            As for the class.
        callback : callable, optional
            As for `TextEncoder.encode`.

        Raises
        ------
        ValueError
            As for the class; also when a template has no ``{}``.
        ModelError
            As `TextEncoder.encode`.
        """
        names = checked_names(names, encoder.scoring)
        check_threshold(threshold)
        templates = as_templates(templates)
        texts = [text.replace("{}", name) for name in names for text in templates]
        vectors = encoder.encode(texts, callback)
        return cls(
            names,
            vectors.reshape(len(names), len(templates), -1).mean(axis=1),
            float(encoder.score_scale),
            float(encoder.score_bias),
            encoder.scoring,
            threshold,
            other,
        )

    @property
    def values(self) -> tuple[str, ...]:
        """Values of the class column: the names, and `other` with a threshold."""
        return self.names if self.threshold is None else (*self.names, self.other)

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        vectors : numpy.ndarray
            float32, shape (n images, n_features), each of unit length.

        Returns
        -------
        numpy.ndarray
            float64, shape (n images, n classes).

        Raises
        ------
        ValueError
            When the vectors have another length than those of the classes.
        """
        cosines = similarities(vectors, self.vectors)
        return probabilities_of(cosines, self.scale, self.bias, self.scoring)

    def indices(self, probabilities: np.ndarray) -> np.ndarray:
        """The most probable classes.

        Parameters
        ----------
        probabilities : numpy.ndarray
            Shape (n images, n classes).

        Returns
        -------
        numpy.ndarray
            int, shape (n images,): indices in `values`.
        """
        indices = probabilities.argmax(axis=1)
        if self.threshold is not None:
            indices[probabilities.max(axis=1) < self.threshold] = len(self.names)
        return indices

    def __eq__(self, other):
        return (
            type(self) is type(other)
            and self._key == other._key
            and np.array_equal(self.vectors, other.vectors)
        )

    def __hash__(self):
        return hash(self._key)

    @property
    def _key(self):
        return (*self.values, self.scale, self.bias, self.scoring, self.threshold)


def checked_names(names: Sequence[str], scoring: str = SOFTMAX) -> tuple[str, ...]:
    """Names of classes without spaces around them.

    Parameters
    ----------
    names : sequence of str
    scoring : {"softmax", "sigmoid"}
        With the softmax, at least two are needed.

    Raises
    ------
    ValueError
        When there are too few names, one is blank, or two are equal.
    """
    if isinstance(names, str):
        names = [names]
    names = tuple(name.strip() for name in names)
    if not all(names):
        raise ValueError("The name of a class is empty.")
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"The class {name} is listed twice.")
    if not names:
        raise ValueError("There are no names of classes.")
    if len(names) == 1 and scoring == SOFTMAX:
        raise ValueError(
            f"With the single class {names[0]}, all images would be in it. Give at "
            "least two classes."
        )
    return names


def as_templates(templates: str | Sequence[str]) -> tuple[str, ...]:
    """The templates of a key of `TEMPLATES`, or the given ones.

    Raises
    ------
    ValueError
        When there are none, or one has no ``{}``.
    """
    if isinstance(templates, str):
        templates = TEMPLATES.get(templates, (templates,))
    for text in templates:
        if "{}" not in text:
            raise ValueError(
                f"'{text}' has no {{}} for the name of the class, as in 'a photo of a "
                "{}.'."
            )
    if not templates:
        raise ValueError("There are no templates.")
    return tuple(templates)


def check_threshold(threshold: float | None) -> None:
    """
    Raises
    ------
    ValueError
        When a threshold of probabilities is not between 0 and 1.
    """
    if threshold is not None and not 0 <= threshold <= 1:  # nan is not, either
        raise ValueError(f"The threshold should be between 0 and 1, not {threshold:g}.")

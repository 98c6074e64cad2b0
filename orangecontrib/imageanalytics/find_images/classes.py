"""Classes that are described by words: probabilities of images without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Texts into which the name of a class is put, by the name of the set. ``"photo"`` is
#: the template of Radford et al., "Learning Transferable Visual Models From Natural
#: Language Supervision", 2021, section 3.1.4. ``"ensemble"`` are the seven that its
#: authors found to do best together on ImageNet, in the notebook
#: Prompt_Engineering_for_ImageNet.ipynb of https://github.com/openai/CLIP.
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
    """Names of classes with the vectors of their texts.

    The probabilities of an image are the softmax of its cosine similarities to the
    classes, multiplied by the scale that the network was trained with (Radford et al.
    2021, figure 3). Networks that were trained with a sigmoid, such as SigLIP (Zhai et
    al., "Sigmoid Loss for Language Image Pre-Training", 2023, section 3.2), have a bias:
    the sigmoid of the scaled similarity plus the bias says for each class by itself how
    probable it is, and the probabilities do not sum to 1.

    Two objects are equal if they give the same probabilities and classes.

    Parameters
    ----------
    names : sequence of str
    vectors : numpy.ndarray
        float32, shape (n classes, n_features), see `class_vectors`.
    scale : float
        The factor of the similarities.
    bias : float, optional
        For the sigmoid; None for the softmax.
    threshold : float, optional
        Images whose highest probability is lower become `other`; by default none.
    other : str
        The value of these.

    Raises
    ------
    ValueError
        When there are too few names, some are equal, or the threshold is not between
        0 and 1.
    """

    names: Sequence[str]
    vectors: np.ndarray
    scale: float
    bias: float | None = None
    threshold: float | None = None
    other: str = OTHER

    @property
    def values(self) -> tuple[str, ...]:
        """Values of the class column: the names, and "other" if there is a threshold."""

    def probabilities(self, vectors: np.ndarray) -> np.ndarray:
        """Probabilities of the classes.

        Parameters
        ----------
        vectors : numpy.ndarray
            float32, shape (n images, n_features), each of unit length.

        Returns
        -------
        numpy.ndarray
            float32, shape (n images, n classes).
        """

    def indices(self, probabilities: np.ndarray) -> np.ndarray:
        """The index in `values` for each row of probabilities; int, shape (n images,)."""

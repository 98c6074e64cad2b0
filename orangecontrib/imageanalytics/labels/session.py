"""A labelling session: classes, the images that a person has given one, and undo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.labels.colors import next_color
from orangecontrib.imageanalytics.labels.history import Undoable

#: Marks images without a class.
NO_CLASS = -1


@dataclass(frozen=True)
class LabelClass:
    """
    A class to choose from.

    Attributes
    ----------
    name : str
    color : str
        As ``#rrggbb``.
    """

    name: str
    color: str


@dataclass(frozen=True)
class _State:
    """All that can be undone. Arrays are replaced, never changed."""

    classes: dict[int, LabelClass]
    labels: np.ndarray
    skipped: np.ndarray

    def same(self, other: _State) -> bool:
        """Whether another state differs in nothing, the order of classes included."""
        return (
            list(self.classes.items()) == list(other.classes.items())
            and np.array_equal(self.labels, other.labels)
            and np.array_equal(self.skipped, other.skipped)
        )


class LabelSession(Undoable):
    """
    The classes of images as a person gives them, with undo.

    Images are numbers from 0. Classes have numbers that never change, so that removing
    one does not renumber the others.

    Parameters
    ----------
    n_images : int
        Number of images.
    classes : sequence of LabelClass
        The classes at the start.

    Attributes
    ----------
    classes : dict of int to LabelClass
        The classes by their numbers, in the order of their keys.
    labels : numpy.ndarray of int, shape (n_images,)
        Numbers of the classes; `NO_CLASS` for images without one. Read-only.
    skipped : numpy.ndarray of bool, shape (n_images,)
        Images without a class that the person has passed over. Read-only.

    Examples
    --------
    >>> session = LabelSession(3)
    >>> cat = session.add_class("cat")
    >>> session.label([0, 2], cat)
    >>> session.undo()
    'Label 2 images'
    """

    def __init__(self, n_images: int, classes: Sequence[LabelClass] = ()):
        labels, skipped = np.full(n_images, NO_CLASS), np.zeros(n_images, dtype=bool)
        super().__init__(_State(dict(enumerate(classes)), labels, skipped))
        self._next_number = len(classes)

    @property
    def classes(self) -> dict[int, LabelClass]:
        return dict(self._state.classes)

    @property
    def labels(self) -> np.ndarray:
        return _read_only(self._state.labels)

    @property
    def skipped(self) -> np.ndarray:
        return _read_only(self._state.skipped)

    @property
    def n_labeled(self) -> int:
        """Number of images with a class."""
        return int((self._state.labels != NO_CLASS).sum())

    def counts(self) -> dict[int, int]:
        """Number of images of each class."""
        numbers, counts = np.unique(self._state.labels, return_counts=True)
        found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        return {number: found.get(number, 0) for number in self._state.classes}

    def number_of(self, name: str) -> int | None:
        """The number of the class with a name; None if there is none."""
        return next((n for n, c in self._state.classes.items() if c.name == name), None)

    # Classes

    def add_class(self, name: str, color: str | None = None) -> int:
        """
        Add a class.

        Parameters
        ----------
        name : str
            Blanks around it are removed.
        color : str, optional
            As ``#rrggbb``; the next free one if it is left out.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ValueError
            The name is empty, or another class has it.
        """
        name = self._checked(name, None)
        classes = self.classes
        if color is None:
            color = next_color(c.color for c in classes.values())
        number, self._next_number = self._next_number, self._next_number + 1
        classes[number] = LabelClass(name, color)
        self._do(f"Add class {name}", classes=classes)
        return number

    def rename_class(self, number: int, name: str) -> None:
        """
        Give a class another name.

        Raises
        ------
        ValueError
            The name is empty, or another class has it.
        """
        classes = self.classes
        name = self._checked(name, number)
        if name != classes[number].name:
            classes[number] = replace(classes[number], name=name)
            self._do(f"Rename class to {name}", classes=classes)

    def recolor_class(self, number: int, color: str) -> None:
        """Give a class another color, as ``#rrggbb``."""
        classes = self.classes
        if color != classes[number].color:
            classes[number] = replace(classes[number], color=color)
            self._do(f"Color of class {classes[number].name}", classes=classes)

    def remove_class(self, number: int) -> None:
        """Remove a class; its images are then without one."""
        classes = self.classes
        name = classes.pop(number).name
        labels = self._state.labels.copy()
        labels[labels == number] = NO_CLASS
        self._do(f"Remove class {name}", classes=classes, labels=labels)

    def _checked(self, name: str, own: int | None) -> str:
        name = " ".join(name.split())
        if not name:
            raise ValueError("A class needs a name.")
        if self.number_of(name) not in (None, own):
            raise ValueError(f"There is already a class '{name}'.")
        return name

    # Images

    def label(self, images: Iterable[int], number: int) -> None:
        """
        Give images a class, or take it from them.

        Parameters
        ----------
        images : iterable of int
            The images.
        number : int
            Number of the class; `NO_CLASS` for none.

        Raises
        ------
        KeyError
            There is no such class.
        """
        images = _indices(images)
        self.label_each(images, np.full(len(images), number))

    def label_each(
        self, images: Iterable[int], numbers: Iterable[int], text: str = ""
    ) -> None:
        """
        Give each of some images its own class, in one step.

        Parameters
        ----------
        images : iterable of int
            The images.
        numbers : iterable of int
            Numbers of their classes; `NO_CLASS` for none.
        text : str, optional
            What the step is called.

        Raises
        ------
        KeyError
            There is no such class.
        """
        images, numbers = _indices(images), _indices(numbers)
        for number in set(numbers.tolist()) - {NO_CLASS}:
            if number not in self._state.classes:
                raise KeyError(f"there is no class {number}")
        if not len(images):
            return
        labels, skipped = self._state.labels.copy(), self._state.skipped.copy()
        labels[images], skipped[images] = numbers, False
        n = len(images)
        text = text or f"Label {n:,} {pl(n, 'image')}"
        self._do(text, labels=labels, skipped=skipped)

    def skip(self, images: Iterable[int]) -> None:
        """Pass over those of these images that are without a class."""
        images = _indices(images)
        images = images[self._state.labels[images] == NO_CLASS]
        if len(images):
            skipped = self._state.skipped.copy()
            skipped[images] = True
            n = len(images)
            self._do(f"Skip {n:,} {pl(n, 'image')}", skipped=skipped)

    def take(
        self,
        classes: Iterable[LabelClass],
        names: dict[int, str],
        skipped: Iterable[int] = (),
        text: str = "",
        overwrite: bool = False,
    ) -> int:
        """
        Take over classes of images that come from elsewhere, in one step.

        Parameters
        ----------
        classes : iterable of LabelClass
            Classes to add if there are none with their names.
        names : dict of int to str
            Names of the classes of images; missing classes are added.
        skipped : iterable of int
            Images to pass over.
        text : str, optional
            What the step is called.
        overwrite : bool
            Whether images that have a class get another one, rather than keep it.

        Returns
        -------
        int
            How many images have got a class, or another one.
        """
        found, numbers = self._with_classes(classes, names.values())
        labels, passed = self._state.labels.copy(), self._state.skipped.copy()
        passed[_indices(skipped)] = True
        images = [i for i in names if overwrite or labels[i] == NO_CLASS]
        images = [i for i in images if labels[i] != numbers[names[i]]]
        labels[images] = [numbers[names[image]] for image in images]
        passed[labels != NO_CLASS] = False
        n = len(images)
        text = text or f"Take over {n:,} {pl(n, 'image')}"
        self._do(text, classes=found, labels=labels, skipped=passed)
        return len(images)

    def _with_classes(self, classes, names) -> tuple[dict[int, LabelClass], dict]:
        """The classes and those that are missing; and the numbers of names."""
        found, numbers = self.classes, {}
        colors = {given.name: given.color for given in classes}
        for name in dict.fromkeys([*colors, *names]):
            number = self.number_of(name)
            if number is None:
                number, self._next_number = self._next_number, self._next_number + 1
                free = next_color(given.color for given in found.values())
                found[number] = LabelClass(name, colors.get(name) or free)
            numbers[name] = number
        return found, numbers

    def copy(self) -> LabelSession:
        """A session with the same classes and labels, without steps to undo."""
        copied = LabelSession(0)
        copied._state, copied._next_number = self._state, self._next_number
        return copied


def _indices(numbers: Iterable[int]) -> np.ndarray:
    if not isinstance(numbers, np.ndarray):
        numbers = list(numbers)
    return np.asarray(numbers, dtype=int)


def _read_only(array: np.ndarray) -> np.ndarray:
    array = array.view()
    array.flags.writeable = False
    return array

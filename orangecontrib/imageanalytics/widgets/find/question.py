"""What is looked for, as plain data: in settings, and for the thread."""

from __future__ import annotations

import math
import ntpath
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from Orange.data import Table
from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.find_images import Description
from orangecontrib.imageanalytics.images.sources import is_file, split_page

FIND, SORT = "find", "sort"

LEAST_WEIGHT, GREATEST_WEIGHT = 0.1, 10.0

#: A description as it is in settings: the text, its weight, whether it is negative.
Line = tuple[str, float, bool]
#: An example as it is in settings: its source and, as in `RecentPath` but with slashes
#: on all systems, its place beside the workflow; the last two are "" if there is none.
Example = tuple[str, str, str]


def are_lines(lines: Iterable[Line]) -> bool:
    """Whether all weights of descriptions can be used."""
    return all(
        LEAST_WEIGHT <= weight <= GREATEST_WEIGHT and math.isfinite(weight)
        for _, weight, _ in lines
    )


def descriptions_of(lines: Iterable[Line]) -> tuple[Description, ...]:
    """The descriptions that are not blank."""
    return tuple(
        Description(text, weight, bool(negative))
        for text, weight, negative in lines
        if text.strip()
    )


def class_names_of(text: str) -> tuple[str, ...]:
    """The different names in a text, one on each line."""
    names = (line.strip() for line in text.splitlines())
    return tuple(dict.fromkeys(name for name in names if name))


def examples_to_save(
    examples: Iterable[Example], places: Sequence[tuple[str, str]]
) -> list[Example]:
    """Examples with their places beside a workflow, to be saved with it.

    Parameters
    ----------
    examples : iterable of Example
    places : sequence of (str, str)
        Where the workflow is, as search paths of `RecentPath`.
    """
    saved = []
    for source, prefix, relpath in examples:
        if is_file(source) and os.path.isabs(source) and places:
            recent = RecentPath.create(source, places)
            prefix, relpath = recent.prefix or "", recent.relpath or ""
        saved.append((source, prefix, relpath.replace(os.path.sep, "/")))
    return saved


def examples_located(
    examples: Iterable[Example], places: Sequence[tuple[str, str]]
) -> list[Example]:
    """Examples where they are now that a workflow is opened.

    Parameters
    ----------
    examples, places
        As for `examples_to_save`. A file beside the workflow takes precedence.
    """
    bases = dict(places)
    found = []
    for source, prefix, relpath in examples:
        beside = ""
        if prefix in bases and relpath:
            beside = os.path.normpath(os.path.join(bases[prefix], relpath))
        is_there = beside and os.path.exists(split_page(beside)[0])
        if is_there or (beside and not ntpath.isabs(source)):
            source = beside
        found.append((source, prefix, relpath))
    return found


@dataclass(frozen=True)
class Question:
    """
    What is looked for.

    Attributes
    ----------
    descriptions : tuple of Description
    examples : tuple of str
        Paths and addresses of images.
    like : Table or None
        Rows with more examples.
    like_column : str or None
        Their column of images.
    """

    descriptions: tuple[Description, ...] = ()
    examples: tuple[str, ...] = ()
    like: Table | None = None
    like_column: str | None = None

    def __bool__(self) -> bool:
        """Whether anything is looked for."""
        return bool(self.descriptions or self.examples or self.like is not None)


@dataclass(frozen=True)
class Sorting:
    """
    The classes into which images are sorted.

    Attributes
    ----------
    names : tuple of str
    templates : str
        A key of `TEMPLATES`.
    threshold : float or None
        As for `WordClasses`.
    least : int
        How many classes the network needs to choose from.
    """

    names: tuple[str, ...] = ()
    templates: str = "photo"
    threshold: float | None = None
    least: int = 2

    def __bool__(self) -> bool:
        """Whether there are classes to choose from."""
        return len(self.names) >= self.least

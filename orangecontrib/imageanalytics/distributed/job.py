"""What a run computes: which images, in which parts, with which network.

A job is the same, wherever and in how many goes it is computed. Its description lies
beside its parts, so that a later run can tell whether it may go on with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ImageAnalyticsError
from orangecontrib.imageanalytics.networks.spec import EmbeddingSpec
from orangecontrib.imageanalytics.vector_files import describe

FORMAT = 1  # of the description

# What does not change the vectors.
_INCIDENTAL = ("version",)
_NETWORK = "embedding network id"


class JobError(ImageAnalyticsError):
    """The run cannot begin or go on; its message says why and what can be done."""


@dataclass(frozen=True)
class Job:
    """
    A computation of many vectors.

    Attributes
    ----------
    spec : EmbeddingSpec
        With a network whose fingerprint is known.
    listing : dict
        What identifies the list of images; values that JSON can hold.
    part_size : int
        Number of images in a part.
    class_names : tuple of str
        As for `vector_files.describe`.
    """

    spec: EmbeddingSpec
    listing: dict
    part_size: int
    class_names: tuple[str, ...] = ()

    def describe(self) -> dict:
        """The description, as values that JSON can hold."""
        return {
            "format": FORMAT,
            "embedding": describe(self.spec, self.class_names),
            "listing": self.listing,
            "part_size": self.part_size,
        }


def differences(old: Mapping, new: Mapping) -> list[str]:
    """
    What two descriptions of jobs disagree on.

    Parameters
    ----------
    old, new : mapping
        From `Job.describe`, also after JSON.

    Returns
    -------
    list of str
        One text for each value, such as ``"network: squeezenet, now resnet50"``.
    """
    old_values, new_values = dict(_values(old)), dict(_values(new))
    names = [
        name
        for name in dict.fromkeys([*old_values, *new_values])
        if old_values.get(name) != new_values.get(name)
    ]
    if _NETWORK in names:  # which has other weights and preprocessing, too
        names = [name for name in names if not name.startswith("embedding")]
        names = [_NETWORK, *names]
    return [
        f"{_shown(name)}: {_text(old_values.get(name))}, "
        f"now {_text(new_values.get(name))}"
        for name in names
    ]


def _shown(name: str) -> str:
    return "network" if name == _NETWORK else name.partition(" ")[2] or name


def _values(description: Mapping, path: str = "") -> Iterator[tuple[str, object]]:
    """The single values of nested objects, with their names."""
    for name, value in description.items():
        if name in _INCIDENTAL:
            continue
        full = f"{path} {name}".strip()
        if isinstance(value, Mapping):
            yield from _values(value, full)
        else:
            yield full, list(value) if isinstance(value, tuple) else value


def _text(value: object) -> str:
    return "none" if value in (None, "", []) else str(value)

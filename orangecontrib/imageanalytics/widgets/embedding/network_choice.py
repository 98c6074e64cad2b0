"""The network that is chosen in a widget: in settings, in lists, and looked up."""

from __future__ import annotations

import dataclasses
import math
import ntpath
import os
from collections.abc import Iterable
from dataclasses import dataclass

from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.networks.registry import (
    FAMILIES,
    NETWORKS,
    Network,
    find_network,
    is_file_name,
)

MOST_RECENT = 5


@dataclass(frozen=True)
class Choice:
    """What is known about a chosen network without looking it up, which takes long.

    Attributes
    ----------
    model : str
        As for `find_network`; for a file, its absolute path.
    preprocessing : dict or None
        For a file: what the user said about its input, if no file beside it does.
    prefix, relpath : str or None
        For a file: as in `RecentPath`, but with slashes on all systems, so that it is
        found again after it was moved together with the workflow. They are only for
        workflows: elsewhere they would lead to another file of the same name.
    """

    model: str
    preprocessing: dict | None = None
    prefix: str | None = None
    relpath: str | None = None

    @classmethod
    def of_file(cls, path: str, preprocessing=None, places=()) -> Choice:
        """The network in a file; `places` are search paths as of `RecentPath`."""
        recent = RecentPath.create(path, places)
        relpath = recent.relpath and recent.relpath.replace(os.path.sep, "/")
        return cls(recent.abspath, preprocessing, recent.prefix, relpath)

    @classmethod
    def from_settings(cls, values) -> Choice | None:
        """Restore the result of `as_settings`; None if it is anything else."""
        try:
            choice = cls(**values)
        except TypeError:
            return None
        texts = (choice.model, choice.prefix or "", choice.relpath or "")
        if not all(isinstance(text, str) for text in texts):
            return None
        if not isinstance(choice.preprocessing, dict | None):
            return None
        if bool(choice.prefix) != bool(choice.relpath):
            return None
        return choice if choice.family or choice.is_file else None

    def as_settings(self) -> dict:
        """A value that consists of literals, so that workflows need no pickles."""
        values = dataclasses.asdict(self)
        return {key: value for key, value in values.items() if value is not None}

    @property
    def is_listed(self) -> bool:
        """Whether it is one of the networks that are always offered."""
        return any(network.id == self.model for network in NETWORKS)

    @property
    def family(self) -> str:
        """The key of `FAMILIES` for a network by name, otherwise empty."""
        family, colon, _ = self.model.partition(":")
        return family if colon and family in FAMILIES else ""

    @property
    def is_file(self) -> bool:
        """Whether it is the file of a network."""
        return is_file_name(self.model)

    @property
    def label(self) -> str:
        """The name as shown to users."""
        if self.is_listed:
            return find_network(self.model).name
        if self.is_file:
            return ntpath.basename(self.model)  # workflows come from Windows, too
        name = self.model.partition(":")[2]
        # Which weights matters to nobody as long as they stay the same.
        return name.partition(".")[0] if self.family == "torchvision" else name

    @property
    def origin(self) -> str:
        """Its origin, in a word or two."""
        return "file" if self.is_file else self.family

    def relocated(self, places) -> Choice:
        """The file as found from the present folder of the workflow, if it is found."""
        if not self.is_file:
            return self
        beside = self.beside_workflow(places)
        paths = (beside, self.model) if self.relpath else (self.model, beside)
        for path in paths:
            if path and os.path.exists(path):
                return Choice.of_file(path, self.preprocessing)
        return self

    def seen_from(self, places) -> Choice:
        """The file with its path relative to the workflow, to be saved with it."""
        is_lost = self.relpath or not os.path.isabs(self.model)
        if not self.is_file or is_lost:
            return self
        return Choice.of_file(self.model, self.preprocessing, places)

    def absolute(self) -> Choice:
        """The choice without the path relative to the workflow, for other workflows."""
        return dataclasses.replace(self, prefix=None, relpath=None)

    def beside_workflow(self, places) -> str:
        """The place relative to the workflow where a missing file was looked for."""
        for name, base in places:
            if name == "basedir":
                known = self.prefix == name and self.relpath
                part = self.relpath.replace("\\", "/") if known else self.label
                return os.path.normpath(os.path.join(base, part))
        return ""


def read_choices(values) -> list[Choice]:
    """Restore a list of `Choice.as_settings`, without invalid entries."""
    if not isinstance(values, list | tuple):
        return []
    choices = map(Choice.from_settings, values)
    return [choice for choice in choices if choice is not None]


def as_settings(choices: Iterable[Choice]) -> list[dict]:
    """Convert choices to a list for `read_choices`, for any workflow."""
    return [choice.absolute().as_settings() for choice in choices]


def most_recent(*choices: Choice) -> list[Choice]:
    """The first few of the user's own networks, without duplicates."""
    different = {}
    for choice in choices:
        if not choice.is_listed:
            different.setdefault(choice.model, choice)
    return list(different.values())[:MOST_RECENT]


@dataclass(frozen=True)
class Facts:
    """What is known about a network that was looked up.

    Attributes
    ----------
    choice : Choice
        The choice that was looked up.
    network : Network
    available : bool
        Whether its weights are on this computer.
    megabytes : float
        Size of the download; 0 if there is none, nan if it is unknown.
    not_installed : str
        As `Network.not_installed`.
    """

    choice: Choice
    network: Network
    available: bool
    megabytes: float
    not_installed: str = ""

    @property
    def pinned(self) -> Choice:
        """The choice with named weights, since versions differ in their defaults."""
        return Choice(self.network.id) if self.choice.family else self.choice

    @property
    def must_download(self) -> bool:
        """Whether the weights have to be downloaded first, and can be used then."""
        return not (self.available or self.megabytes == 0 or self.not_installed)

    @property
    def size(self) -> str:
        """The size of the download, in words."""
        if math.isnan(self.megabytes):
            return "size unknown"
        return f"{self.megabytes:,.0f} MB"

    def describe(self, n_features: int | None) -> str:
        """The length of the vectors, if it is known, and the place of the weights."""
        parts = [f"{n_features:,} features"] if n_features else []
        if self.not_installed:
            parts.append(f"needs {self.network.missing_package}")
        elif self.available:
            parts.append("on this computer")
        elif not self.megabytes:
            parts.append("not installed")
        elif math.isnan(self.megabytes):
            parts.append("to be downloaded")
        else:
            parts.append(f"download of {self.size}")
        return ", ".join(parts)


def look_up(choice: Choice) -> Facts:
    """Look up a network; imports torchvision, timm or open_clip for their networks.

    Raises
    ------
    ModelError
        When the file of a network is missing or cannot be used, or its package is
        not installed.
    ValueError
        When there is no such network.
    """
    network = find_network(choice.model, choice.preprocessing)
    return Facts(
        choice,
        network,
        network.available(),
        network.megabytes,
        network.not_installed,
    )


def look_up_stages(choice: Choice) -> tuple[str, ...]:
    """Names of the stages at which a network can be read; imports torch."""
    return find_network(choice.model, choice.preprocessing).stages()

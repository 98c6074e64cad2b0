"""Weight files of the Hugging Face hub, in the hub's own cache.

Files are shared with other programs that fetch them from the hub. Importing this
module imports neither torch nor the hub's client.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.networks.quiet import QuietHere
from orangecontrib.imageanalytics.networks.stoppable import StoppableWork
from orangecontrib.imageanalytics.networks.weights import file_sha256

SAFE = "model.safetensors"
# In the order in which timm looks for them.
FILES = (SAFE, "pytorch_model.bin")
INSTALL = 'pip install "Orange3-ImageAnalytics[timm]"'


@dataclass(frozen=True)
class HubFile:
    """A file of a repository of the Hugging Face hub.

    Attributes
    ----------
    repository : str
        As for `HubWeights`.
    names : tuple of str
        Its name; if there are several, the first that the repository has.
    """

    repository: str
    names: tuple[str, ...]

    @property
    def id(self) -> str:
        """The repository, without a revision."""
        return self.repository.partition("@")[0]

    @property
    def revision(self) -> str | None:
        """The revision; None for the newest."""
        return self.repository.partition("@")[2] or None

    @property
    def folder(self) -> str:
        """The repository's folder in the cache."""
        from huggingface_hub import constants

        folder = "--".join(("models", *self.id.split("/")))
        return os.path.join(constants.HF_HUB_CACHE, folder)

    def cached(self) -> str | None:
        """Path of the file; None if it is not on this computer.

        The hub's client has a function for this, whose import takes half a second.
        Source of the layout: https://huggingface.co/docs/hub/local-cache
        """
        try:
            folder = self.folder
        except ImportError:
            return None
        commit = self.revision or "main"
        with (
            contextlib.suppress(FileNotFoundError, NotADirectoryError),
            open(os.path.join(folder, "refs", commit), encoding="ascii") as file,
        ):
            commit = file.read()
        for name in self.names:
            path = os.path.join(folder, "snapshots", commit, name)
            if os.path.isfile(path):
                return path
        return None


@dataclass(frozen=True)
class HubWeights:
    """A weight file of a repository of the Hugging Face hub.

    The settings of the hub's client decide where the cache is, whether the internet
    may be used and with which token: ``HF_HOME``, ``HF_HUB_CACHE``,
    ``HF_HUB_OFFLINE`` and so on.

    Attributes
    ----------
    repository : str
        Such as ``"timm/resnet18.a1_in1k"``; a revision may follow an ``@``.
    licence : str
        SPDX identifier, or the hub's name of the licence; empty where unknown.
    network : str
        The network that the weights are for. Some networks have the same weights but
        compute something else.
    files : tuple of str
        Possible names of the file; the first that the repository has is used.
    others : tuple of HubFile
        Small files that are needed, too, such as those of a tokenizer.
    download_megabytes : float
        Size of the download, in units of 10**6 bytes; nan if it is unknown.
    install : str
        The command that installs the hub's client together with the network's package.
    """

    repository: str
    licence: str
    network: str
    files: tuple[str, ...] = FILES
    others: tuple[HubFile, ...] = ()
    # In Python 3.13, classes with nan are not equal to themselves.
    download_megabytes: float = field(default=math.nan, compare=False)
    install: str = INSTALL

    @property
    def fingerprint(self) -> str | None:
        """SHA-256 of the files when they were first available, and the network's name.

        None until they are available, since files on the hub may be replaced.

        Raises
        ------
        ModelError
            When the file cannot be read.
        """
        known = vars(self).get("_fingerprint")
        if known is None:
            # Not a field of the dataclass, which is frozen.
            known = vars(self)["_fingerprint"] = self._fingerprint_now()
        return known

    def check_unchanged(self) -> None:
        """
        Raises
        ------
        ModelError
            When the content has changed since `fingerprint` was computed.
        """
        if self._fingerprint_now() != self.fingerprint:
            raise ModelError(
                f"The weight file {self.path} has changed since it was first used. "
                "Choose the network again."
            )

    def _fingerprint_now(self) -> str | None:
        paths = self._cached()
        if paths is None:
            return None
        hashes = []
        for path in paths:
            try:
                hashes.append(_content_hash(path))
            except OSError as error:
                raise ModelError(
                    f"The weight file {path} cannot be read: {error.strerror}"
                ) from error
        return f"{'+'.join(hashes)}:{self.network}"

    @property
    def megabytes(self) -> float:
        """Size in units of 10**6 bytes; that of the download, until it is here."""
        paths = self._cached()
        if paths is None:
            return self.download_megabytes
        return sum(map(os.path.getsize, paths)) / 1e6

    @property
    def source(self) -> str:
        """Who trained them, as an address."""
        return self.origin

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"https://huggingface.co/{self._file.id}"

    @property
    def path(self) -> str:
        """Path of the file, or of its future folder before it is downloaded."""
        return self._file.cached() or self._file.folder

    def path_of(self, name: str) -> str:
        """Path of one of the other files.

        Raises
        ------
        ModelError
            When it is not on this computer.
        """
        for file in self.others:
            if name in file.names and (path := file.cached()):
                return path
        raise ModelError(f"The file {name} of {self.origin} is not on this computer.")

    def available(self) -> bool:
        """Whether all files are on this computer; does not use the internet."""
        return self._cached() is not None

    def ensure(self, name: str, callback=None) -> str:
        """Path of the weight file; what is missing is downloaded first.

        As `network.Weights.ensure`; the fraction is 0 while it is unknown.
        """
        if paths := self._cached():
            return paths[0]
        download = _HubDownload(self._all)
        try:
            download.wait(callback or (lambda _fraction: None))
        except _Failed as failure:
            error = failure.__cause__
            raise ModelError(self._advice(name, error)) from error
        return download.path

    @property
    def _file(self) -> HubFile:
        return HubFile(self.repository, self.files)

    @property
    def _all(self) -> tuple[HubFile, ...]:
        return self._file, *self.others

    def _cached(self) -> list[str] | None:
        """Paths of all files, the weights first; None if one is missing."""
        paths = [file.cached() for file in self._all]
        return None if None in paths else paths

    def _advice(self, name, error) -> str:
        if isinstance(error, ImportError):
            return f"{name}: the package huggingface_hub is missing: {self.install}"
        names = {}
        for file in self._all:
            names.setdefault(file.id, []).append(file.names[0])
        commands = " and ".join(
            f"'hf download {id} {' '.join(files)}'" for id, files in names.items()
        )
        # They are all in the same cache.
        folders = {os.path.basename(file.folder): None for file in self._all}
        return (
            f"{name}: its weights, the file {self.files[0]} of {self.origin}, could "
            f"not be downloaded ({_reason(error)}). Without a connection, run "
            f"{commands} on another computer and put the "
            f"{pl(len(folders), 'folder')} {' and '.join(folders)} of "
            f"its cache into the folder {os.path.dirname(self._file.folder)}."
        )


def _content_hash(path: str) -> str:
    """SHA-256 of a file in the hub's cache, by its name there or of its content.

    The cache contains links to files that are named by the hash that the hub gives
    for them, so they need not be read. They are read if the system has no links or the
    hash is of another kind.
    """
    name = os.path.basename(os.path.realpath(path))
    return name if re.fullmatch("[0-9a-f]{64}", name) else file_sha256(path)


class _Failed(Exception):
    """An error of the download, which is its cause, as opposed to the callback's."""


class _Stopped(Exception):
    """Ends the hub's download from inside its progress bar."""


class _HubDownload(StoppableWork):
    """The hub's own download.

    It cannot be killed from outside. When the caller stops, it ends at its next
    report of progress or with its connection. Until then its thread, which does not
    keep the process alive, goes on alone.
    """

    def __init__(self, files: tuple[HubFile, ...]):
        super().__init__()
        self._files = files
        self.path = ""

    def work(self):
        try:
            # It logs each of its attempts.
            with QuietHere("huggingface_hub.utils._http"):
                first, *others = self._files
                # The small ones first: if one is missing, the others are of no use.
                for file in others:
                    self._download(file, is_counted=False)
                self.path = self._download(first, is_counted=True)
        except Exception as error:  # the hub's client raises those of several others
            raise _Failed from error

    def _download(self, file: HubFile, is_counted: bool) -> str:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        for name in file.names:
            try:
                return hf_hub_download(
                    file.id,
                    name,
                    revision=file.revision,
                    **self._progress(hf_hub_download, is_counted),
                )
            except LocalEntryNotFoundError:  # there was no answer
                raise
            except EntryNotFoundError:
                if name == file.names[-1]:
                    raise
        raise AssertionError

    def _progress(self, function, is_counted: bool) -> dict:
        """Arguments for progress reports; empty for older versions of the hub."""
        import inspect

        if "tqdm_class" not in inspect.signature(function).parameters:
            return {}
        return {"tqdm_class": _bar(self, is_counted)}


def _bar(download, is_counted: bool):
    """A class of progress bars that show nothing but report to a download."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            self._size = kwargs.get("total") if is_counted else None
            self._done = kwargs.get("initial") or 0
            kwargs.pop("name", None)
            super().__init__(*args, **(kwargs | {"disable": True}))

        def update(self, n=1):
            if download.stop.is_set():
                raise _Stopped
            self._done += n or 0
            if self._size:
                # Never back: the hub may show two bars, one for each of its steps.
                done = min(self._done / self._size, 1)
                download.fraction = max(download.fraction, done)

    return Bar


def _reason(error) -> str:
    """The reason in one line, in plain words for gated repositories."""
    from huggingface_hub.errors import GatedRepoError

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError) or status == 403:
        return (
            "its license must first be accepted there, and a token of the account "
            "that did so be given to 'hf auth login'"
        )
    if status == 401:
        return "there is no such repository, or it is open to its members only"
    return " ".join(str(error).split()) or type(error).__name__

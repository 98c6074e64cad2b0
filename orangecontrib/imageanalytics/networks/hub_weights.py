"""Weight files of the Hugging Face hub, in the hub's own cache.

So a file that another program has fetched from the hub is used, and the other way
round. Importing this imports neither torch nor the hub's client.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.quiet import QuietHere
from orangecontrib.imageanalytics.networks.stoppable import StoppableWork
from orangecontrib.imageanalytics.networks.weights import file_sha256

SAFE = "model.safetensors"
# In the order in which they are looked for, as timm does it.
FILES = (SAFE, "pytorch_model.bin")
INSTALL = 'pip install "Orange3-ImageAnalytics[timm]"'


@dataclass(frozen=True)
class HubWeights:
    """A weight file of a repository of the Hugging Face hub.

    Where the cache lies, whether the internet may be asked and with which token is
    what the hub's client says: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_HUB_OFFLINE``
    and so on.

    Attributes
    ----------
    repository : str
        Such as ``"timm/resnet18.a1_in1k"``; a revision may follow an ``@``.
    licence : str
        SPDX identifier, or the hub's name of the licence; empty where unknown.
    network : str
        Which network the weights are for; there are some that differ in what they
        compute but not in their weights.
    """

    repository: str
    licence: str
    network: str

    @property
    def fingerprint(self) -> str | None:
        """The SHA-256 of the file when it was first there, and the network's name.

        None until the file is there: what the hub has by that name may be replaced.

        Raises
        ------
        ModelError
            When the file cannot be read.
        """
        known = vars(self).get("_fingerprint")
        if known is None:
            # Past the dataclass, which is frozen: it is none of the fields.
            known = vars(self)["_fingerprint"] = self._fingerprint_now()
        return known

    def check_unchanged(self) -> None:
        """
        Raises
        ------
        ModelError
            When the content is another one than that of `fingerprint`.
        """
        if self._fingerprint_now() != self.fingerprint:
            raise ModelError(
                f"The weight file {self.path} has changed since it was first used. "
                "Choose the network again."
            )

    def _fingerprint_now(self) -> str | None:
        path = self._cached()
        if path is None:
            return None
        try:
            return f"{_content_hash(path)}:{self.network}"
        except OSError as error:
            raise ModelError(
                f"The weight file {path} cannot be read: {error.strerror}"
            ) from error

    @property
    def megabytes(self) -> float:
        """Size in units of 10**6 bytes; nan until the file is there."""
        path = self._cached()
        return os.path.getsize(path) / 1e6 if path else float("nan")

    @property
    def source(self) -> str:
        """Who trained them, as an address."""
        return self.origin

    @property
    def origin(self) -> str:
        """Where the file comes from, in words."""
        return f"https://huggingface.co/{self._id}"

    @property
    def path(self) -> str:
        """Where the file lies; until it does, the folder that is to have it."""
        return self._cached() or self._folder

    def available(self) -> bool:
        """Whether the file is on this computer; asks no network."""
        return self._cached() is not None

    def ensure(self, name: str, callback=None) -> str:
        """Path of the file, which is downloaded first if need be.

        As `network.Weights.ensure`; the fraction is 0 while it is unknown.
        """
        if path := self._cached():
            return path
        download = _HubDownload(self)
        try:
            download.wait(callback or (lambda _fraction: None))
        except _Failed as failure:
            error = failure.__cause__
            raise ModelError(self._advice(name, error)) from error
        return download.path

    @property
    def _id(self) -> str:
        return self.repository.partition("@")[0]

    @property
    def _revision(self) -> str | None:
        return self.repository.partition("@")[2] or None

    @property
    def _folder(self) -> str:
        """The repository's folder in the cache."""
        from huggingface_hub import constants

        folder = "--".join(("models", *self._id.split("/")))
        return os.path.join(constants.HF_HUB_CACHE, folder)

    def _cached(self) -> str | None:
        try:
            from huggingface_hub import try_to_load_from_cache
        except ImportError:
            return None
        for file in FILES:
            path = try_to_load_from_cache(self._id, file, revision=self._revision)
            if isinstance(path, str):
                return path
        return None

    def _advice(self, name, error) -> str:
        if isinstance(error, ImportError):
            return f"{name}: the package huggingface_hub is missing: {INSTALL}"
        folder, cache = os.path.basename(self._folder), os.path.dirname(self._folder)
        return (
            f"{name}: its weights, the file {SAFE} of {self.origin}, could not be "
            f"downloaded ({_reason(error)}). Without a connection, run "
            f"'hf download {self._id} {SAFE}' on another computer and put the folder "
            f"{folder} of its cache into the folder {cache}."
        )


def _content_hash(path: str) -> str:
    """SHA-256 of a file in the hub's cache, by its name there or of its content.

    The cache names the files to which its links lead by what the hub says is their
    hash: that spares reading them. Where the system has no links, or the hash is of
    another kind, they are read.
    """
    name = os.path.basename(os.path.realpath(path))
    return name if re.fullmatch("[0-9a-f]{64}", name) else file_sha256(path)


class _Failed(Exception):
    """Tells errors of the download, which are its cause, from the callback's."""


class _Stopped(Exception):
    """Ends the hub's download from inside its progress bar."""


class _HubDownload(StoppableWork):
    """The hub's own download.

    It cannot be killed from outside: when the caller stops, it ends at its next
    report of progress or with its connection, and until then the thread, which
    keeps no process alive, is left to itself.
    """

    def __init__(self, weights: HubWeights):
        super().__init__()
        self._weights = weights
        self.path = ""

    def work(self):
        try:
            # It logs each of its attempts.
            with QuietHere("huggingface_hub.utils._http"):
                self.path = self._download()
        except Exception as error:  # the hub's client raises those of several others
            raise _Failed from error

    def _download(self) -> str:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        for file in FILES:
            try:
                return hf_hub_download(
                    self._weights._id,
                    file,
                    revision=self._weights._revision,
                    **self._progress(hf_hub_download),
                )
            except LocalEntryNotFoundError:  # there was no answer
                raise
            except EntryNotFoundError:
                if file == FILES[-1]:
                    raise
        raise AssertionError

    def _progress(self, function) -> dict:
        """Arguments that let the hub report; older versions of it do not."""
        import inspect

        if "tqdm_class" not in inspect.signature(function).parameters:
            return {}
        return {"tqdm_class": _bar(self)}


def _bar(download):
    """A class of progress bars that show nothing and tell a download."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            self._size = kwargs.get("total")
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
    """In one line; what the hub says of a gated repository, in plain words."""
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

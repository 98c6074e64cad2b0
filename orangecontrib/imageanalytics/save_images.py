"""Saving the images of a table as files; nothing that exists is ever deleted."""

from __future__ import annotations

import contextlib
import errno
import itertools
import logging
import os
import re
import secrets
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from typing import BinaryIO

from Orange.data import DiscreteVariable, Table, Variable
from PIL import Image, ImageOps

from orangecontrib.imageanalytics.engine.device import processors
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import formats, helper
from orangecontrib.imageanalytics.images.decode import (
    MAX_PIXELS,
    Header,
    content_header,
    decode,
)
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    column_intensity,
)
from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    file_name,
    image_columns,
    is_remote,
    opened,
    split_page,
)
from orangecontrib.imageanalytics.networks.registry import find_network

log = logging.getLogger(__name__)

FITS = ("keep", "stretch", "crop")
EXISTING = ("skip", "rename", "overwrite")

MAX_NAME = 140  # bytes; encrypted file systems do not take many more
MAX_ICON = 256  # pixels
MOST_THREADS = 8  # each may hold a large image
TICK_SECONDS = 0.2  # between two looks at whether to stop

# What Windows keeps for devices, in any case and with any extension.
_RESERVED = re.compile(
    r"(CON|PRN|AUX|NUL|CONIN\$|CONOUT\$|(COM|LPT)[0-9¹²³])[ ]*(\.|$)", re.IGNORECASE
)
_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Controls, marks that turn the direction of what follows, halves of characters,
# separators of lines; not the joiners that Persian and emoji need.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes
    ----------
    id : str
        As settings and scripts name it.
    name : str
        For people.
    pillow : str
        As Pillow names it.
    extension : str
    lossy : bool
        Whether there is a quality to choose.
    max_side : int or None
        The most pixels a side.
    """

    id: str
    name: str
    pillow: str
    extension: str
    lossy: bool = False
    max_side: int | None = None


FORMATS = (
    Format("jpeg", "JPEG", "JPEG", ".jpg", lossy=True, max_side=65500),
    Format("png", "PNG", "PNG", ".png"),
    Format("tiff", "TIFF", "TIFF", ".tiff"),
    Format("webp", "WebP", "WEBP", ".webp", lossy=True, max_side=16383),
    Format("bmp", "BMP", "BMP", ".bmp"),
    Format("gif", "GIF", "GIF", ".gif", max_side=65535),
    Format("pdf", "PDF", "PDF", ".pdf", lossy=True, max_side=65500),
    Format("ico", "ICO", "ICO", ".ico"),
)
_PROFILED = ("jpeg", "png", "tiff", "webp")


def find_format(format: str) -> Format:
    """The entry of a format.

    Raises
    ------
    ValueError
        When there is none; names those that there are.
    """
    for known in FORMATS:
        if known.id == format:
            return known
    names = ", ".join(known.id for known in FORMATS)
    raise ValueError(f"'{format}' is not a format, should be one of: {names}")


# From content to content --------------------------------------------------------------


@dataclass(frozen=True)
class Encoding:
    """What becomes of an image's file.

    Parameters
    ----------
    format : str
        One of `FORMATS`.
    quality : int
        1 to 100, for JPEG, WebP and PDF.
    size : (int, int) or None
        Width and height in pixels to scale to, up as well as down.
    fit : {"keep", "stretch", "crop"}
        Scale to within the size and keep the proportions; scale both sides
        apart; or fill the size and cut off what sticks out.
    intensity : "auto", "full" or (float, float)
        Of images of more than 8 bits, as for `decode`.

    Raises
    ------
    ValueError
        For values that are not among these.
    """

    format: str = "png"
    quality: int = 90
    size: tuple[int, int] | None = None
    fit: str = "keep"
    intensity: Intensity = AUTOMATIC

    def __post_init__(self):
        find_format(self.format)
        if not 1 <= self.quality <= 100:
            raise ValueError(f"quality {self.quality} is not between 1 and 100")
        if self.fit not in FITS:
            raise ValueError(f"'{self.fit}' should be one of: {', '.join(FITS)}")
        if self.size is not None:
            width, height = self.size
            if min(self.size) < 1 or width * height > MAX_PIXELS:
                raise ValueError(f"images cannot be of {width} x {height} pixels")

    def __call__(self, content: bytes | BinaryIO, page: int | None = None) -> bytes:
        """The file to write for an image's file.

        Parameters
        ----------
        content : bytes or binary file object
            An image of any format that `decode` reads.
        page : int, optional
            Which of its pages, from 1.

        Returns
        -------
        bytes
            `content` itself if it is what every program shows as `decode` does, in the
            format and of the size already. Else the image as `decode` gives it:
            upright, RGB, on white. A colour profile is passed on unless it was
            applied; other metadata, such as the place of a photo, is not.

        Raises
        ------
        ImageError
            It cannot be read, or the format cannot hold it.
        """
        header = content_header(content, page)
        size = self._new_size(header.width, header.height)
        if size == (header.width, header.height) and self._is_kept(header, content):
            return content
        self._check(size)
        enough = size and (2 * size[0], 2 * size[1])
        image = decode(content, enough, page, self.intensity)
        profile = image.info.get("icc_profile")
        # Pillow would write of it what no longer holds.
        image.info = {}
        return self._encode(self._scale(image, size), profile)

    def _is_kept(self, header: Header, content: bytes | BinaryIO) -> bool:
        is_shown_so = header.is_plain and isinstance(self.intensity, str)
        return (
            is_shown_so
            and isinstance(content, bytes)
            and self._is_format(header.format)
        )

    def _is_format(self, name: str) -> bool:
        # Several JPEGs in a file, as some phones make them, are read as one, too.
        return find_format(self.format).pillow == {"MPO": "JPEG"}.get(name, name)

    def _new_size(self, width: int, height: int) -> tuple[int, int]:
        if self.size is None:
            return width, height
        if self.fit != "keep":
            return self.size
        factor = min(self.size[0] / width, self.size[1] / height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def _check(self, size: tuple[int, int]):
        format = find_format(self.format)
        if format.max_side and max(size) > format.max_side:
            raise ImageError(
                f"{format.name} holds at most {format.max_side:,} pixels a side"
            )

    def _scale(self, image: Image.Image, size: tuple[int, int]) -> Image.Image:
        # SVGs come at the size that covers what was asked for.
        if image.size == size:
            return image
        if self.fit == "crop":
            return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
        return image.resize(size, Image.Resampling.LANCZOS)

    def _encode(self, image: Image.Image, profile: bytes | None) -> bytes:
        format = find_format(self.format)
        options = {"quality": self.quality} if format.lossy else {}
        # Those of CMYK or grey images do not go with RGB.
        if profile and profile[16:20] == b"RGB " and format.id in _PROFILED:
            options["icc_profile"] = profile
        if format.id == "tiff":
            options["compression"] = "tiff_lzw"
        if format.id == "ico":
            image.thumbnail((MAX_ICON, MAX_ICON), Image.Resampling.LANCZOS)
            options["sizes"] = [image.size]
        buffer = BytesIO()
        try:
            image.save(buffer, format.pillow, **options)
        except MemoryError as error:
            raise ImageError("not enough memory") from error
        except Exception as error:
            # Encoders raise all kinds of errors.
            raise ImageError(f"cannot be made a {format.name} ({error})") from error
        return buffer.getvalue()


# Names --------------------------------------------------------------------------------


def safe_name(text: str) -> str:
    """A name that every system takes for a file or a folder, and for nothing else.

    Parameters
    ----------
    text : str
        Anything.

    Returns
    -------
    str
        Never empty. Without separators of folders, without dots at either end, no
        name of a device; at most `MAX_NAME` bytes.
    """
    text = "".join(
        "_" if _is_invisible(char) else char
        for char in unicodedata.normalize("NFC", text)
    )
    text = _FORBIDDEN.sub("_", text).lstrip(". ")
    text = _cut(text, MAX_NAME).rstrip(". ")
    return _cut("_" + text, MAX_NAME) if _RESERVED.match(text) or not text else text


def _is_invisible(char: str) -> bool:
    return unicodedata.category(char) in _INVISIBLE and char not in _JOINERS


def _cut(text: str, n_bytes: int) -> str:
    """Text of at most so many bytes, without half a character at the end."""
    return text.encode()[:n_bytes].decode(errors="ignore")


class _Names:
    """Gives names that are not given twice; used from several threads."""

    def __init__(self):
        self._lock = threading.Lock()
        self._given: set[tuple[str, str]] = set()
        self._number: Counter[tuple[str, str]] = Counter()

    def new(self, folder: str, text: str, extension: str = "") -> str:
        """A safe name in a folder, with a number if it was given before.

        Names that differ in case only are the same to some systems.
        """
        key = folder.casefold(), text
        with self._lock:
            while True:
                self._number[key] += 1
                name = _numbered(text, self._number[key], extension)
                place = key[0], name.casefold()
                if place not in self._given:
                    self._given.add(place)
                    return name


def _numbered(text: str, number: int, extension: str) -> str:
    ending = f" ({number}){extension}" if number > 1 else extension
    stem = _cut(safe_name(text), MAX_NAME - len(ending.encode()))
    return stem.rstrip(". ") + ending


def _without_extension(name: str) -> str:
    """Only what is an extension of images: ``IMG.2021.06`` has none."""
    stem, extension = os.path.splitext(name)
    return stem if extension.lower() in formats.extensions() else name


def image_name(source: str) -> str:
    """The name of an image, without folders and extension.

    Parameters
    ----------
    source : str
        Path or URL.

    Returns
    -------
    str
        "image" if the source holds no name. Of a page with its number.
    """
    name = _without_extension(file_name(source)) or "image"
    page = split_page(source)[1]
    return name if page is None else f"{name} page {page}"


# From rows to files -------------------------------------------------------------------


@dataclass(frozen=True)
class _Item:
    """An image that is to be saved: where it is, and where it goes."""

    row: int
    source: str
    subfolder: str
    text: str  # of which the name is made
    name: str


@dataclass(frozen=True)
class _Outcome:
    """What became of an image: `path` alone if it was saved."""

    source: str
    path: str = ""
    reason: str = ""
    existed: bool = False


class Saving:
    """Saves the images of a table into a folder; may be stopped and goes on.

    Nothing is deleted, and nothing is written outside the folder. Each file is
    written under a temporary name and then renamed, so no half-written files are
    found under the final ones. An image that cannot be saved does not stop the
    others.

    Parameters
    ----------
    data : Table
        One image a row.
    folder : str
        Made if it does not exist.
    column : str or Variable, optional
        The column with paths or URLs; by default the first of `image_columns`.
    names : str or Variable, optional
        The column with the names of the files; by default, and where it is
        missing, they are named as the images are. Equal names get a number.
    subfolders : str, Variable or bool
        The categorical column whose values have a subfolder each: that of the
        class (True), none (False), or any other. Images without a value go into
        the folder itself.
    format, quality, fit
        As in `Encoding`.
    size : (int, int), str or None
        As in `Encoding`, or the name of a network, whose input size it is then.
    existing : {"skip", "rename", "overwrite"}
        What to do when a file exists that was not written by this object; may be
        set until the first call. The images of the table themselves are never
        overwritten.

    Attributes
    ----------
    total : int
        Number of rows.

    Raises
    ------
    ValueError
        For arguments that are not among these.
    """

    def __init__(
        self,
        data: Table,
        folder: str,
        column: str | Variable | None = None,
        names: str | Variable | None = None,
        *,
        subfolders: str | Variable | bool = True,
        format: str = "png",
        quality: int = 90,
        size: tuple[int, int] | str | None = None,
        fit: str = "keep",
        existing: str = "skip",
    ):
        if existing not in EXISTING:
            raise ValueError(f"'{existing}' should be one of: {', '.join(EXISTING)}")
        if isinstance(size, str):
            size = (find_network(size).input_size,) * 2
        self.existing = existing
        self.folder = os.path.abspath(folder)
        self.total = len(data)
        column = _image_column(data, column)
        sources = column_sources(data, column)
        intensity = column_intensity(data.domain[column])
        self._encoding = Encoding(format, quality, size, fit, intensity)
        self._extension = find_format(format).extension
        self._names = _Names()
        self._outcomes: dict[int, _Outcome] = {}
        self._running = threading.Lock()
        self._sources = [source for source in sources if source is not None]
        self._left = self._plan(
            sources, _texts(data, names), _subfolders(data, subfolders)
        )

    def _plan(self, sources, texts, subfolders) -> dict[int, _Item]:
        items = {}
        for row, (source, text, subfolder) in enumerate(
            zip(sources, texts, subfolders, strict=True)
        ):
            if source is None:
                self._outcomes[row] = _Outcome("(missing)", "", "no image is named")
                continue
            text = _without_extension(text) if text else image_name(source)
            name = self._names.new(subfolder, text, self._extension)
            items[row] = _Item(row, source, subfolder, text, name)
        return items

    @property
    def saved(self) -> list[tuple[str, str]]:
        """Source and path of each file written, in the order of rows."""
        outcomes = self._in_order()
        return [(o.source, o.path) for o in outcomes if not o.existed and not o.reason]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Source and path of each image whose file existed and was left alone."""
        return [(o.source, o.path) for o in self._in_order() if o.existed]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Source and reason of each image that could not be saved."""
        return [(o.source, o.reason) for o in self._in_order() if o.reason]

    @property
    def n_left(self) -> int:
        """Number of images that were not tried yet."""
        return len(self._left)

    def _in_order(self) -> list[_Outcome]:
        return [self._outcomes[row] for row in sorted(self._outcomes)]

    def n_existing(self) -> int:
        """Number of images left for which there is a file of the same name."""
        return sum(os.path.lexists(self._path(item)) for item in self._left.values())

    def __call__(self, callback: Callable[[int, int], None] | None = None) -> None:
        """Save the images that are left.

        Parameters
        ----------
        callback : callable, optional
            Called in this thread, several times a second, with the number of
            images done and of all. What it raises stops the work; another call
            goes on with the others.

        Raises
        ------
        OSError
            The folder cannot be made.
        """
        with self._running:
            os.makedirs(self.folder, exist_ok=True)
            remote = any(is_remote(item.source) for item in self._left.values())
            with Fetcher() if remote else contextlib.nullcontext() as fetcher:
                self._run(fetcher, callback or (lambda n_done, n_all: None))

    def _run(self, fetcher: Fetcher | None, callback) -> None:
        n_threads = min(processors(), MOST_THREADS)
        waiting = iter(list(self._left.values()))
        stopped = threading.Event()
        running: set[Future] = set()
        threads: set[int] = set()
        with ThreadPoolExecutor(
            n_threads, initializer=lambda: threads.add(threading.get_ident())
        ) as pool:
            try:
                while True:
                    callback(self.total - len(self._left), self.total)
                    for item in itertools.islice(waiting, 2 * n_threads - len(running)):
                        running.add(pool.submit(self._try, item, fetcher, stopped))
                    if not running:
                        return
                    done, running = wait(
                        running, TICK_SECONDS, return_when=FIRST_COMPLETED
                    )
                    self._record(done)
            finally:
                stopped.set()
                helper.stop(threads)
                self._record(wait(running).done)

    def _record(self, futures: Iterable[Future]) -> None:
        for future in futures:
            row, outcome = future.result()
            if outcome is not None:
                self._outcomes[row] = outcome
                del self._left[row]

    def _try(self, item: _Item, fetcher, stopped) -> tuple[int, _Outcome | None]:
        """In a thread: the outcome for a row; None if it was not begun."""
        try:
            return item.row, self._save(item, fetcher, stopped)
        except ImageError as error:
            if stopped.is_set():  # perhaps for that reason alone
                return item.row, None
            reason = str(error)
        except MemoryError:
            reason = "not enough memory"
        except Exception as error:
            log.exception("Saving %s failed", item.source)
            reason = f"unexpected error ({type(error).__name__})"
        return item.row, _Outcome(item.source, reason=reason)

    def _save(self, item: _Item, fetcher, stopped) -> _Outcome | None:
        path = self._path(item)
        if self.existing == "skip" and os.path.lexists(path):
            return _Outcome(item.source, path, existed=True)
        content = None
        if is_remote(item.source):
            content = _fetch(item.source, fetcher, stopped)
        if stopped.is_set():
            return None
        with opened(item.source, content) as (readable, page):
            content = self._encoding(readable, page)
        try:
            return self._write(item, content)
        except OSError as error:
            raise ImageError(_problem(error, path)) from error

    def _path(self, item: _Item) -> str:
        return os.path.join(self.folder, item.subfolder, item.name)

    def _write(self, item: _Item, content: bytes) -> _Outcome:
        path = self._path(item)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        self._check_place(item, path)
        partial = os.path.join(folder, f".{secrets.token_hex(8)}.part")
        try:
            with open(partial, "xb") as file:
                file.write(content)
            while True:
                try:
                    _move(partial, path, self.existing == "overwrite")
                    return _Outcome(item.source, path)
                except FileExistsError:
                    # For others than "rename": made by somebody else just now.
                    if self.existing != "rename":
                        return _Outcome(item.source, path, existed=True)
                name = self._names.new(item.subfolder, item.text, self._extension)
                path = os.path.join(folder, name)
        finally:
            with contextlib.suppress(OSError):
                os.remove(partial)

    def _check_place(self, item: _Item, path: str) -> None:
        within = os.path.join(os.path.realpath(self.folder), item.subfolder)
        if os.path.realpath(os.path.dirname(path)) != os.path.normpath(within):
            raise ImageError(f"the folder {item.subfolder} is a link to elsewhere")
        if self.existing == "overwrite":
            if os.path.isdir(path):
                raise ImageError(f"there is a folder named {item.name}")
            if _identity(path) in self._protected:
                raise ImageError("it would replace an image of the data")

    @cached_property
    def _protected(self) -> set[tuple[int, int] | None]:
        files = {split_page(s)[0] for s in self._sources if not is_remote(s)}
        return {_identity(file) for file in files} - {None}


def save_images(data: Table, folder: str, *args, **options) -> Saving:
    """Save the images of a table as files.

    Parameters
    ----------
    data, folder, *args, **options
        As for `Saving`.

    Returns
    -------
    Saving
        Its attributes ``saved``, ``skipped`` and ``failures`` say what was done.

    Raises
    ------
    OSError
        The folder cannot be made.
    """
    saving = Saving(data, folder, *args, **options)
    saving()
    return saving


def count_reasons(failures: Iterable[tuple[str, str]], n_most: int = 3) -> str:
    """In a line why images were not saved, the commonest reasons first."""
    counts = Counter(reason for _, reason in failures).most_common()
    texts = [f"{reason} ({count:,})" for reason, count in counts[:n_most]]
    return "; ".join(texts + ["..."] * (len(counts) > n_most))


def _image_column(data: Table, column: str | Variable | None) -> str | Variable:
    if column is not None:
        return column
    columns = image_columns(data)
    if not columns:
        raise ValueError("The data has no column that could name images.")
    return columns[0]


def _texts(data: Table, names: str | Variable | None) -> list[str | None]:
    if names is None:
        return [None] * len(data)
    if names not in data.domain:
        raise ValueError(f"There is no column {str(names)!r} in the data.")
    variable = data.domain[names]
    texts = (variable.str_val(value) for value in data.get_column(variable))
    return [None if text.strip() in ("", "?") else text for text in texts]


def _subfolders(data: Table, choice: str | Variable | bool) -> list[str]:
    if choice is True:
        choice = data.domain.class_var
        if not isinstance(choice, DiscreteVariable):
            choice = None
    if choice is None or choice is False:
        return [""] * len(data)
    if not (choice in data.domain and data.domain[choice].is_discrete):
        raise ValueError(f"There is no categorical column {str(choice)!r} in the data.")
    variable = data.domain[choice]
    folders = _Names()
    # The empty name at the end is where the missing values, as -1, point.
    known = [folders.new("", value) for value in variable.values] + [""]
    values = data.get_column(variable)
    return [known[-1 if value != value else int(value)] for value in values]


def _fetch(source: str, fetcher: Fetcher, stopped) -> bytes | None:
    for _, result in fetcher.fetch_all([split_page(source)[0]], stopped):
        if isinstance(result, ImageError):
            raise result
        return result
    return None


def _move(partial: str, path: str, overwrite: bool) -> None:
    """Give a file its final name; FileExistsError if that is taken."""
    if overwrite:
        os.replace(partial, path)
    elif os.name == "nt":
        os.rename(partial, path)
    else:
        try:
            # Unlike rename, this fails if there is such a file.
            os.link(partial, path)
        except FileExistsError:
            raise
        except OSError:
            # Memory sticks have no links.
            if os.path.lexists(path):
                raise FileExistsError(path) from None
            os.rename(partial, path)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def _problem(error: OSError, path: str) -> str:
    folder = os.path.dirname(path)
    reasons = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EROFS: "the disk is read-only",
        errno.EACCES: f"no permission to write into {folder}",
        errno.EPERM: f"no permission to write into {folder}",
        errno.ENAMETOOLONG: "the path of the new file is too long",
        errno.EEXIST: f"{folder} is not a folder",
        errno.ENOTDIR: f"{folder} is not a folder",
    }
    default = f"cannot be written ({error.strerror or error})"
    return reasons.get(error.errno, default)

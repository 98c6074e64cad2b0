"""From a folder of pictures to a table that lists them."""

import fnmatch
import os
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Sized
from types import SimpleNamespace

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.decode import read_header

IMG_ATTR_NAME = "image"
CATEGORIES = ("path", "top", "none")
_PROGRESS_EVERY = 100


class ImgData(namedtuple("ImgData", ["path", "format", "height", "width", "size"])):
    """A file with a picture: format's name, sides in pixels, size in bytes."""

    __slots__ = ()
    isvalid = True


class ImgDataError(namedtuple("ImgDataError", ["path", "error", "error_str"])):
    """A file that was skipped: the error and, in plain words, the reason."""

    __slots__ = ()
    isvalid = False


class ImportImages:
    """
    Lists the pictures in a folder, and in the folders within, in a table.

    The table has a row for each picture: folder by folder, those in a folder before
    those in the folders within, in the order of the names. Its metas are
    ``image name`` (the file's name without extension), ``image`` (the path relative
    to the folder, with ``/``; the variable's attributes are ``type="image"`` and
    ``origin``, the folder's absolute path), ``size`` (bytes), ``width`` and
    ``height`` (pixels, as displayed). Pictures from more than one folder have the
    class ``category``: their folder, relative to the one given.

    Hidden files and folders, whose names start with a dot, are left out. Links to
    files are followed, links to folders are not.

    Parameters
    ----------
    report_progress : callable, optional
        Called now and then with a namespace of ``count`` (files seen so far),
        ``total`` (of how many; None where that is not known), ``lastpath`` and
        ``batch`` (the `ImgData` and `ImgDataError` since the last call).
    case_insensitive : bool
        Whether the patterns given to `image_meta` match names in any case.
    category : {"path", "top", "none"}
        What becomes the category of a picture: the path of its folder within the
        one given, the first part of that path, or nothing.
    subfolders : bool
        Whether to go into the folders within.

    Attributes
    ----------
    skipped : list of (str, str)
        Path of each file that the last call left out because it holds no picture
        that can be read, and the reason.
    cancelled : bool
        Set it, from any thread, to stop a call.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.import_images import ImportImages
    >>> import_images = ImportImages()
    >>> table, n_skipped = import_images("photos/")
    """

    ImgData = ImgData
    ImgDataError = ImgDataError

    def __init__(
        self,
        report_progress=None,
        case_insensitive=True,
        category="path",
        subfolders=True,
    ):
        if category not in CATEGORIES:
            raise ValueError(
                f"'{category}' is not a kind of category, should be one of: "
                + ", ".join(CATEGORIES)
            )
        self.report_progress = report_progress
        self.case_insensitive = case_insensitive
        self.category = category
        self.subfolders = subfolders
        self.cancelled = False
        self.skipped: list[tuple[str, str]] = []

    def __call__(self, start_dir: str) -> tuple[Table | None, int]:
        """
        List the pictures in a folder.

        Parameters
        ----------
        start_dir : str or os.PathLike
            The folder.

        Returns
        -------
        table : Orange.data.Table or None
            The pictures; without rows if there are only other files, None if there
            are no files at all or the call was cancelled.
        n_skipped : int
            How many files hold no picture that can be read; see `skipped`.

        Raises
        ------
        FileNotFoundError, NotADirectoryError, PermissionError
            The folder is missing, is a file or cannot be read.
        """
        self.skipped = []
        start_dir = os.path.abspath(os.fspath(start_dir))
        with os.scandir(start_dir):
            # Tells at once what is wrong with the folder; those within it may fail.
            pass
        unreadable: list[OSError] = []
        paths = self._list_files(start_dir, unreadable.append)
        images = self.image_meta(paths)
        if images is None:
            return None, 0
        images += [
            ImgDataError(error.filename, error, f"folder: {error.strerror}".lower())
            for error in unreadable
        ]
        self.skipped = [(im.path, im.error_str) for im in images if not im.isvalid]
        folders = {os.path.dirname(image.path) for image in images if image.isvalid}
        categories = {folder: self._category(folder, start_dir) for folder in folders}
        return create_table(images, categories, start_dir)

    def _list_files(self, start_dir: str, on_error) -> list[str]:
        paths = []
        for path in scan(start_dir, on_error=on_error, subfolders=self.subfolders):
            if self.cancelled:
                break
            paths.append(path)
        return paths

    def _category(self, folder: str, start_dir: str) -> str:
        if self.category == "none":
            return ""
        path = os.path.relpath(folder, start_dir).replace(os.sep, "/")
        return path.partition("/")[0] if self.category == "top" else path

    def image_meta(
        self, filescanner: Iterable[str], patterns: Iterable[str] = ("*",)
    ) -> list[ImgData | ImgDataError] | None:
        """
        Read the headers of files.

        Parameters
        ----------
        filescanner : iterable of str
            Paths, such as those from `scan`.
        patterns : iterable of str
            Shell patterns; paths that match none of them are passed over.

        Returns
        -------
        list of (ImgData or ImgDataError) or None
            One for each file; None if cancelled.
        """
        matches = _matcher(patterns, self.case_insensitive)
        total = len(filescanner) if isinstance(filescanner, Sized) else None
        images: list[ImgData | ImgDataError] = []
        reported = 0
        for path in filescanner:
            if self.cancelled:
                return None
            if matches(path):
                images.append(image_meta_data(path))
            if len(images) - reported >= _PROGRESS_EVERY:
                self._report(images, reported, total)
                reported = len(images)
        if self.cancelled:
            return None
        if len(images) > reported:
            self._report(images, reported, total)
        return images

    def _report(self, images: list, reported: int, total: int | None) -> None:
        if self.report_progress is not None:
            self.report_progress(
                SimpleNamespace(
                    count=len(images),
                    total=total,
                    lastpath=images[-1].path,
                    batch=images[reported:],
                )
            )


def scan(
    topdir: str,
    include_patterns: Iterable[str] | None = ("*",),
    exclude_patterns: Iterable[str] = (".*",),
    case_insensitive: bool = True,
    on_error: Callable[[OSError], None] | None = None,
    subfolders: bool = True,
) -> Iterator[str]:
    """
    Paths of the files in a folder and in the folders within.

    Those in a folder come before those in the folders within, in the order of the
    names. Links to folders are not followed.

    Parameters
    ----------
    topdir : str
        The folder to start from.
    include_patterns, exclude_patterns : iterable of str
        Shell patterns of file names. Hidden folders are left out in any case.
    case_insensitive : bool
        Whether the patterns match names in any case.
    on_error : callable, optional
        Called with the OSError for each folder that cannot be read.
    subfolders : bool
        Whether to go into the folders within.

    Yields
    ------
    str
        `topdir`, joined with the path within it.
    """
    included = _matcher(include_patterns or ("*",), case_insensitive)
    excluded = _matcher(exclude_patterns, case_insensitive)
    for folder, inner, names in os.walk(topdir, onerror=on_error):
        shown = (name for name in inner if not name.startswith("."))
        inner[:] = sorted(shown) if subfolders else ()
        for name in sorted(names):
            if included(name) and not excluded(name):
                yield os.path.join(folder, name)


def _matcher(patterns: Iterable[str], case_insensitive: bool) -> Callable[[str], bool]:
    patterns = [p.lower() if case_insensitive else p for p in patterns]
    if "*" in patterns:
        return lambda name: True

    def matches(name):
        name = name.lower() if case_insensitive else name
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return matches


def image_meta_data(path: str) -> ImgData | ImgDataError:
    """
    What the header of a file says about the picture in it.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    ImgData or ImgDataError
        Its attribute ``isvalid`` tells which.
    """
    try:
        path.encode()
        header = read_header(path)
        size = os.stat(path).st_size
    except (ImageError, OSError) as error:
        return ImgDataError(path, error, str(error))
    except UnicodeEncodeError as error:
        # A table with such a path could not be saved.
        return ImgDataError(path, error, "the file's name is not valid text")
    return ImgData(path, header.format, header.height, header.width, size)


def create_table(
    image_meta: list[ImgData | ImgDataError] | None,
    categories: dict[str, str] | None = None,
    start_dir: str | None = None,
) -> tuple[Table | None, int]:
    """
    A table of pictures, as `ImportImages` describes it.

    Parameters
    ----------
    image_meta : list of (ImgData or ImgDataError) or None
        What is known of each file.
    categories : dict of str to str, optional
        Category of each folder. A class variable is made if there are several.
    start_dir : str, optional
        The folder that the paths in the table are to be relative to. Without it,
        they are as in `image_meta`.

    Returns
    -------
    table : Orange.data.Table or None
        None if `image_meta` is empty.
    n_skipped : int
        Number of `ImgDataError`.
    """
    if not image_meta:
        return None, 0
    images = [image for image in image_meta if image.isvalid]
    values = sorted(set(categories.values())) if categories else []
    category = DiscreteVariable("category", values=values) if len(values) > 1 else None
    domain = Domain([], category, _metas(start_dir))

    metas = np.empty((len(images), 5), dtype=object)
    classes = np.empty((len(images), 0 if category is None else 1))
    if images:
        paths, _, heights, widths, sizes = zip(*images, strict=True)
        names = (os.path.splitext(os.path.basename(path))[0] for path in paths)
        columns = names, _relative(paths, start_dir), sizes, widths, heights
        for place, column in enumerate(columns):
            metas[:, place] = list(column)
        if category is not None:
            index = {value: place for place, value in enumerate(values)}
            folders = map(os.path.dirname, paths)
            classes[:, 0] = [index[categories[folder]] for folder in folders]
    no_attributes = np.empty((len(images), 0))
    table = Table.from_numpy(domain, no_attributes, classes, metas)
    return table, len(image_meta) - len(images)


def _metas(start_dir: str | None) -> list:
    image = StringVariable(IMG_ATTR_NAME)
    image.attributes["type"] = "image"
    if start_dir:
        image.attributes["origin"] = start_dir
    numbers = [
        ContinuousVariable(name, number_of_decimals=0)
        for name in ("size", "width", "height")
    ]
    return [StringVariable("image name"), image, *numbers]


def _relative(paths: Iterable[str], start_dir: str | None) -> list[str]:
    start = os.path.join(start_dir, "") if start_dir else ""
    return [path.removeprefix(start).replace(os.sep, "/") for path in paths]

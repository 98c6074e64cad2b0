"""From a folder of images to a table that lists them."""

import fnmatch
import os
import re
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
from orangecontrib.imageanalytics.images.decode import read_header, read_pages
from orangecontrib.imageanalytics.images.sources import page_source, split_page

IMG_ATTR_NAME = "image"
PAGE_NAME = "page"
CATEGORIES = ("path", "top", "none")
PAGES = ("first", "all")
_PROGRESS_EVERY = 100

# What other programs keep among images, by the names of folders and files; after a
# slash, of folders in such a folder. Most of it is the same images, but small.
LEFT_OUT = {
    "@eadir": "thumbnails of a Synology disk station",
    "syno*_thumb*": "thumbnails of a Synology disk station",
    "@synoresource": "thumbnails of a Synology disk station",
    ".@__thumb": "thumbnails of a QNAP disk station",
    "@__thumb": "thumbnails of a QNAP disk station",
    ".thumbnails": "thumbnails of the desktop",
    ".thumbcache": "thumbnails of the desktop",
    "thumbs*.db": "thumbnails of Windows",
    "ehthumbs*.db": "thumbnails of Windows",
    "zbthumbnail.info": "thumbnails of Canon's ZoomBrowser",
    "pspbrwse.jbf": "thumbnails of PaintShop",
    "*.thm": "thumbnails of a camera",
    "*.lrdata": "previews of Lightroom",
    "*.lrprev": "previews of Lightroom",
    "*.lrcat-data": "previews of Lightroom",
    "captureone/cache": "previews of Capture One",
    "*.cocatalog/cache": "previews of Capture One",
    "*.photoslibrary/resources": "previews of Apple Photos",
    "*.photoslibrary/previews": "previews of Apple Photos",
    "*.photoslibrary/thumbnails": "previews of Apple Photos",
    "*.aplibrary/previews": "previews of Aperture",
    "*.aplibrary/thumbnails": "previews of Aperture",
    "__macosx": "notes of macOS in an archive",
    ".appledouble": "notes of macOS",
    "._*": "notes of macOS",
    "@tmp": "files that a disk station works on",
    "@recycle": "recycle bin",
    ".dtrash": "recycle bin",
    "#recycle": "recycle bin",
    "$recycle.bin": "recycle bin",
    ".trash*": "recycle bin",
    "#snapshot": "snapshots of a disk station",
    ".snapshot*": "snapshots of a disk station",
}
_is_left_out = re.compile("|".join(map(fnmatch.translate, LEFT_OUT))).fullmatch


class ImgData(namedtuple("ImgData", ["path", "format", "height", "width", "size"])):
    """A file with an image: format's name, sides in pixels, size in bytes.

    Attributes
    ----------
    page : str
        Name of the page, if this is one of several in the file; then the path is the
        source of that page.
    has_more : bool
        Whether the file has pages that are not used.
    is_plain : bool
        Whether every program shows the file like this.
    """

    isvalid = True
    page = ""
    has_more = False
    is_plain = True


class ImgDataError(namedtuple("ImgDataError", ["path", "error", "error_str"])):
    """A file that was skipped: the error and, in plain words, the reason."""

    __slots__ = ()
    isvalid = False


class ImportImages:
    """
    Lists the images in a folder, and in the folders within, in a table.

    The table has a row for each image: folder by folder, those in a folder before
    those in the folders within, in the order of the names. Its metas are
    ``image name`` (the file's name without extension), ``image`` (the path relative
    to the folder, with ``/``; the variable's attributes are ``type="image"`` and
    ``origin``, the folder's absolute path), ``size`` (bytes), ``width`` and
    ``height`` (pixels, as displayed). Images from more than one folder have the
    class ``category``: their folder, relative to the one given.

    Hidden files and folders, whose names start with a dot, are left out, and so is what
    `LEFT_OUT` lists. Links to files are followed, links to folders are not.

    Parameters
    ----------
    report_progress : callable, optional
        Called now and then with a namespace of ``count`` (files seen so far),
        ``total`` (of how many; None where that is not known), ``lastpath`` and
        ``batch`` (the `ImgData` and `ImgDataError` since the last call).
    case_insensitive : bool
        Whether the patterns given to `image_meta` match names in any case.
    category : {"path", "top", "none"}
        What becomes the category of an image: the path of its folder within the
        one given, the first part of that path, or nothing.
    subfolders : bool
        Whether to go into the folders within.
    pages : {"first", "all"}
        Of files with several pages, planes, channels or frames: one row, whose image
        is what represents the file best, or a row for each. Then the path ends in
        ``#page=`` and its number, and the further meta ``page`` has its name.

    Attributes
    ----------
    skipped : list of (str, str)
        Path of each file that the last call left out because it holds no image
        that can be read, and the reason.
    left_out : list of (str, str)
        Path of each file and folder that it left out for its name, without looking at
        it, and what it is; hidden ones are not told.
    has_more : list of str
        Path of each file that has pages which are not used.
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
        pages="first",
    ):
        for value, kind, allowed in (
            (category, "kind of category", CATEGORIES),
            (pages, "choice of pages", PAGES),
        ):
            if value not in allowed:
                raise ValueError(
                    f"'{value}' is not a {kind}, should be one of: {', '.join(allowed)}"
                )
        self.report_progress = report_progress
        self.case_insensitive = case_insensitive
        self.category = category
        self.subfolders = subfolders
        self.pages = pages
        self.cancelled = False
        self.skipped: list[tuple[str, str]] = []
        self.left_out: list[tuple[str, str]] = []
        self.has_more: list[str] = []

    def __call__(self, start_dir: str) -> tuple[Table | None, int]:
        """
        List the images in a folder.

        Parameters
        ----------
        start_dir : str or os.PathLike
            The folder.

        Returns
        -------
        table : Orange.data.Table or None
            The images; without rows if there are only other files, None if there
            are no files at all or the call was cancelled.
        n_skipped : int
            How many files hold no image that can be read; see `skipped`.

        Raises
        ------
        FileNotFoundError, NotADirectoryError, PermissionError
            The folder is missing, is a file or cannot be read.
        """
        self.skipped, self.left_out, self.has_more = [], [], []
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
        self.has_more = [im.path for im in images if im.isvalid and im.has_more]
        folders = {os.path.dirname(image.path) for image in images if image.isvalid}
        categories = {folder: self._category(folder, start_dir) for folder in folders}
        return create_table(images, categories, start_dir, self.pages == "all")

    def _list_files(self, start_dir: str, on_error) -> list[str]:
        paths = []
        for path in scan(
            start_dir,
            on_error=on_error,
            subfolders=self.subfolders,
            on_left_out=lambda path, reason: self.left_out.append((path, reason)),
        ):
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
            One for each file, or for each page; None if cancelled.
        """
        matches = _matcher(patterns, self.case_insensitive)
        total = len(filescanner) if isinstance(filescanner, Sized) else None
        read = page_meta_data if self.pages == "all" else lambda p: [image_meta_data(p)]
        images: list[ImgData | ImgDataError] = []
        n_files = n_reported = first = 0
        for path in filescanner:
            if self.cancelled:
                return None
            if matches(path):
                images += read(path)
                n_files += 1
            if n_files - n_reported >= _PROGRESS_EVERY:
                self._report(images[first:], n_files, total)
                n_reported, first = n_files, len(images)
        if self.cancelled:
            return None
        if n_files > n_reported:
            self._report(images[first:], n_files, total)
        return images

    def _report(self, batch: list, n_files: int, total: int | None) -> None:
        if self.report_progress is not None:
            self.report_progress(
                SimpleNamespace(
                    count=n_files, total=total, lastpath=batch[-1].path, batch=batch
                )
            )


def scan(
    topdir: str,
    include_patterns: Iterable[str] | None = ("*",),
    exclude_patterns: Iterable[str] = (".*",),
    case_insensitive: bool = True,
    on_error: Callable[[OSError], None] | None = None,
    subfolders: bool = True,
    on_left_out: Callable[[str, str], None] | None = None,
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
    on_left_out : callable, optional
        Called with the path of each file and folder that `LEFT_OUT` names, and with
        what it is.

    Yields
    ------
    str
        `topdir`, joined with the path within it.
    """
    included = _matcher(include_patterns or ("*",), case_insensitive)
    excluded = _matcher(exclude_patterns, case_insensitive)
    tell = on_left_out or (lambda _path, _reason: None)
    for folder, inner, names in os.walk(topdir, onerror=on_error):
        inner[:] = sorted(_not_left_out(folder, inner, tell)) if subfolders else ()
        inner[:] = (name for name in inner if not name.startswith("."))
        for name in sorted(_not_left_out(folder, names, tell)):
            if included(name) and not excluded(name):
                yield os.path.join(folder, name)


def _not_left_out(folder: str, names: list[str], tell) -> Iterator[str]:
    """Those names in a folder that are not what other programs keep there."""
    within = os.path.basename(folder).lower() + "/"
    for name in names:
        small = name.lower()
        if _is_left_out(small) or _is_left_out(within + small):
            tell(
                os.path.join(folder, name), _reason_to_leave_out(small, within + small)
            )
        else:
            yield name


def _reason_to_leave_out(*names: str) -> str:
    return next(
        reason
        for pattern, reason in LEFT_OUT.items()
        if any(fnmatch.fnmatchcase(name, pattern) for name in names)
    )


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
    What the header of a file says about the image in it.

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
    image = ImgData(path, header.format, header.height, header.width, size)
    if header.has_more or not header.is_plain:
        image.has_more, image.is_plain = header.has_more, header.is_plain
    return image


def page_meta_data(path: str) -> list[ImgData | ImgDataError]:
    """
    What a file says about the pages in it.

    Parameters
    ----------
    path : str
        Path of the file.

    Returns
    -------
    list of (ImgData or ImgDataError)
        One for each page, plane, channel and frame, or for the file if there are none.
    """
    image = image_meta_data(path)
    if not image.isvalid or (image.is_plain and not image.has_more):
        return [image]
    try:
        pages = read_pages(path)
    except ImageError as error:
        return [ImgDataError(path, error, str(error))]
    found = []
    for number, (name, width, height) in enumerate(pages, 1):
        source = page_source(path, number)
        page = ImgData(source, image.format, height, width, image.size)
        page.page = name
        found.append(page)
    return found or [image]


def create_table(
    image_meta: list[ImgData | ImgDataError] | None,
    categories: dict[str, str] | None = None,
    start_dir: str | None = None,
    with_pages: bool = False,
) -> tuple[Table | None, int]:
    """
    A table of images, as `ImportImages` describes it.

    Parameters
    ----------
    image_meta : list of (ImgData or ImgDataError) or None
        What is known of each file.
    categories : dict of str to str, optional
        Category of each folder. A class variable is made if there are several.
    start_dir : str, optional
        The folder that the paths in the table are to be relative to. Without it,
        they are as in `image_meta`.
    with_pages : bool
        Whether there is a column with the names of pages.

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
    domain = Domain([], category, _metas(start_dir, with_pages))

    metas = np.empty((len(images), len(domain.metas)), dtype=object)
    classes = np.empty((len(images), 0 if category is None else 1))
    if images:
        paths, _, heights, widths, sizes = zip(*images, strict=True)
        files = (os.path.basename(split_page(path)[0]) for path in paths)
        names = (os.path.splitext(file)[0] for file in files)
        columns = [names, _relative(paths, start_dir), sizes, widths, heights]
        if with_pages:
            columns.append(image.page for image in images)
        for place, column in enumerate(columns):
            metas[:, place] = list(column)
        if category is not None:
            index = {value: place for place, value in enumerate(values)}
            folders = map(os.path.dirname, paths)
            classes[:, 0] = [index[categories[folder]] for folder in folders]
    no_attributes = np.empty((len(images), 0))
    table = Table.from_numpy(domain, no_attributes, classes, metas)
    return table, len(image_meta) - len(images)


def _metas(start_dir: str | None, with_pages: bool) -> list:
    image = StringVariable(IMG_ATTR_NAME)
    image.attributes["type"] = "image"
    if start_dir:
        image.attributes["origin"] = start_dir
    numbers = [
        ContinuousVariable(name, number_of_decimals=0)
        for name in ("size", "width", "height")
    ]
    pages = [StringVariable(PAGE_NAME)] if with_pages else []
    return [StringVariable("image name"), image, *numbers, *pages]


def _relative(paths: Iterable[str], start_dir: str | None) -> list[str]:
    start = os.path.join(start_dir, "") if start_dir else ""
    return [path.removeprefix(start).replace(os.sep, "/") for path in paths]

"""`ImportImages`, which lists the images in folders."""

import os
import re
from collections.abc import Iterable, Sized
from types import SimpleNamespace

from Orange.data import Table

from orangecontrib.imageanalytics.images.sources import file_name
from orangecontrib.imageanalytics.import_images.columns import (
    checked_columns,
    needs,
)
from orangecontrib.imageanalytics.import_images.folders import (
    Listing,
    absolute_folders,
    list_folders,
    matcher,
)
from orangecontrib.imageanalytics.import_images.headers import (
    ImgData,
    ImgDataError,
    read_files,
)
from orangecontrib.imageanalytics.import_images.name_patterns import NamePattern
from orangecontrib.imageanalytics.import_images.table import image_table

CATEGORIES = ("path", "top", "none")
PAGES = ("first", "all")
_PROGRESS_EVERY = 100
_DECODED_EVERY = 10  # where images are decoded


class ImportImages:
    """
    Lists the images in folders and their subfolders in a table.

    The table has a row for each image, folder by folder and in order of names. The
    images in a folder come before those in its subfolders. The metas are
    ``image name`` (the file's name without extension), ``image`` (the path relative
    to the folder, with ``/``; the variable's attributes are ``type="image"`` and
    ``origin``, the folder's absolute path), ``size`` (bytes), ``width`` and
    ``height`` (pixels, as displayed). Images from more than one folder have the
    class ``category``: their folder, relative to the one given.

    If several folders are given, paths are relative to the folder that contains all
    of them, which is then the ``origin``. If only the root of a drive contains them,
    paths are absolute. Images that lie directly in one of the folders have its name as
    their category. An additional meta ``folder`` says which of the folders an image
    comes from. A folder that lies within another one is read once.

    Hidden files and folders, whose names start with a dot, are left out, as are those
    listed in `LEFT_OUT`. Links to files are followed, links to folders are not.

    Parameters
    ----------
    report_progress : callable, optional
        Called now and then with a namespace of ``count`` (files seen so far),
        ``total`` (their number, or None if it is not known), ``lastpath`` and
        ``batch`` (the `ImgData` and `ImgDataError` since the last call).
    case_insensitive : bool
        Whether the patterns given to `image_meta` match names in any case.
    category : {"path", "top", "none"}
        The category of an image: the path of its folder relative to the given one,
        the first part of that path, or nothing.
    subfolders : bool
        Whether to go into the folders within.
    pages : {"first", "all"}
        What to do with files that have several pages, planes, channels or frames:
        make one row with the image that represents the file best, or a row for each
        page. Then the path ends in ``#page=`` and the number of the page, and an
        additional meta ``page`` has its name.
    class_from : str, re.Pattern or NamePattern, optional
        Takes the category from the name of the file instead, as `NamePattern`
        describes: ``"{class}_*"`` makes ``cat_001.jpg`` a cat. It is missing for
        names that do not match.
    columns : iterable of str
        Further metas, by default none. A value that is missing or malformed in a file
        is missing in the table.

        From what the camera has written (EXIF and XMP): ``"date taken"``; ``"camera"``;
        ``"lens"``; ``"exposure"``, which are ``exposure time`` (seconds), ``f-number``,
        ``ISO`` and ``focal length`` (mm); ``"location"``, which are ``latitude`` and
        ``longitude`` (degrees, north and east positive).

        ``"format"``: the name of the file's format.

        From the pixels, so that the images have to be decoded: ``"brightness"`` (mean,
        0 to 1), ``"contrast"`` (standard deviation, 0 to 0.5), ``"sharpness"``
        (variance of the Laplacian) and ``"main color"``; see `Appearance`.

    Attributes
    ----------
    skipped : list of (str, str)
        Path of each file that the last call left out because it holds no image
        that can be read, and the reason.
    left_out : list of (str, str)
        Path of each file and folder that the last call left out because of its name,
        and what it is; hidden ones are not listed.
    has_more : list of str
        Path of each file that has pages which are not used.
    missing : list of OSError
        Why some of the folders could not be read; ``filename`` says which.
    unmatched : list of str
        Path of each file whose name does not match `class_from`.
    cancelled : bool
        Set it, from any thread, to stop a call.

    Raises
    ------
    ValueError
        An argument is not valid.

    Examples
    --------
    >>> from orangecontrib.imageanalytics.import_images import ImportImages
    >>> import_images = ImportImages()
    >>> table, n_skipped = import_images("photos/")
    >>> table, n_skipped = import_images(["cats/", "dogs/"])
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
        class_from: str | re.Pattern | NamePattern | None = None,
        columns: Iterable[str] = (),
    ):
        for value, kind, allowed in (
            (category, "kind of category", CATEGORIES),
            (pages, "choice of pages", PAGES),
        ):
            if value not in allowed:
                raise ValueError(
                    f"'{value}' is not a {kind}, should be one of: {', '.join(allowed)}"
                )
        if class_from is not None and not isinstance(class_from, NamePattern):
            class_from = NamePattern(class_from)
        self.report_progress = report_progress
        self.case_insensitive = case_insensitive
        self.category = category
        self.subfolders = subfolders
        self.pages = pages
        self.class_from = class_from
        self.columns = checked_columns(columns)
        self.cancelled = False
        self._forget()

    def _forget(self) -> None:
        self.skipped: list[tuple[str, str]] = []
        self.left_out: list[tuple[str, str]] = []
        self.has_more: list[str] = []
        self.missing: list[OSError] = []
        self.unmatched: list[str] = []

    def __call__(self, start_dir) -> tuple[Table | None, int]:
        """
        List the images in folders.

        Parameters
        ----------
        start_dir : str or os.PathLike, or an iterable of them
            The folder, or several.

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
            The folder is missing, is a file or cannot be read. For several folders,
            this is raised only if it holds for all of them.
        PatternError
            Matching a name to `class_from` takes too long.
        """
        listing = self.read(start_dir)
        return (None, 0) if listing is None else self.table(listing)

    def read(self, start_dir) -> Listing | None:
        """
        Find the images in folders; the first half of a call.

        Parameters and errors are those of a call.

        Returns
        -------
        Listing or None
            None if cancelled.
        """
        self._forget()
        folders = absolute_folders(start_dir)
        listing = list_folders(folders, self.subfolders, lambda: self.cancelled)
        if listing.missing and len(listing.missing) == len(listing.folders):
            self.missing = listing.missing
            raise listing.missing[0]
        images = self.image_meta(listing.paths)
        if images is None:
            return None
        listing.images = images
        return listing

    def table(self, listing: Listing) -> tuple[Table | None, int]:
        """
        Make the table; the second half of a call.

        Parameters
        ----------
        listing : Listing
            The result of `read`.

        Returns
        -------
        The same as a call.
        """
        self._forget()
        if self.cancelled:
            return None, 0
        unreadable = [
            (error.filename, f"folder: {str(error.strerror).lower()}")
            for error in listing.unreadable
        ]
        bad = [image for image in listing.images if not image.isvalid]
        self.skipped = [(image.path, image.error_str) for image in bad] + unreadable
        self.left_out, self.missing = listing.left_out, listing.missing
        if not listing.images and not unreadable:
            return None, 0
        images = [image for image in listing.images if image.isvalid]
        self.has_more = [image.path for image in images if image.has_more]
        classes = self._classes(images, listing)
        if self.cancelled:
            return None, 0
        origin = _common_folder(listing.folders)
        folders = None
        if len(listing.folders) > 1:
            names = {path: _within(path, origin) for path in listing.folders}
            roots = map(listing.roots.__getitem__, _folders_of(images))
            folders = [names[root] for root in roots]
        table = image_table(
            images, classes, origin, self.pages == "all", folders, self.columns
        )
        return table, len(self.skipped)

    def _classes(self, images, listing) -> list[str | None] | None:
        if self.class_from is not None:
            classes = []
            for image in images:
                if self.cancelled:
                    return None
                classes.append(self.class_from.class_of(file_name(image.path)))
            known = zip(images, classes, strict=True)
            self.unmatched = [im.path for im, value in known if value is None]
            return classes if len(self.unmatched) < len(images) else None
        several = len(listing.folders) > 1
        categories = {
            folder: self._category(folder, listing.roots[folder], several)
            for folder in set(_folders_of(images))
        }
        if len(set(categories.values())) < 2:
            return None
        return [categories[folder] for folder in _folders_of(images)]

    def _category(self, folder: str, root: str, several: bool) -> str:
        if self.category == "none":
            return ""
        if several and folder == root:
            return os.path.basename(root) or root
        path = _within(folder, root)
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
            Shell patterns; paths that match none of them are skipped.

        Returns
        -------
        list of (ImgData or ImgDataError) or None
            One for each file, or for each page; None if cancelled.
        """
        matches = matcher(patterns, self.case_insensitive)
        total = len(filescanner) if isinstance(filescanner, Sized) else None
        every = _DECODED_EVERY if needs("pixels", self.columns) else _PROGRESS_EVERY
        images: list[ImgData | ImgDataError] = []
        n_files = n_reported = first = 0
        for found in read_files(
            filter(matches, filescanner),
            self.pages,
            self.columns,
            lambda: self.cancelled,
        ):
            if self.cancelled:
                return None
            images += found
            n_files += 1
            if n_files - n_reported >= every:
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


def _folders_of(images: Iterable[ImgData]) -> Iterable[str]:
    return (os.path.dirname(image.path) for image in images)


def _common_folder(folders: list[str]) -> str | None:
    """The innermost folder that contains all; None if it is the root of a drive."""
    if len(folders) == 1:
        return folders[0]
    try:
        common = os.path.commonpath(folders)
    except ValueError:  # they are on different drives
        return None
    return common if os.path.dirname(common) != common else None


def _within(folder: str, origin: str | None) -> str:
    path = os.path.relpath(folder, origin) if origin else folder
    return path.replace(os.sep, "/")

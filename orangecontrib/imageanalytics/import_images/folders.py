"""The files in folders."""

import fnmatch
import os
import re
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from orangecontrib.imageanalytics.import_images.headers import ImgData, ImgDataError

# Names of folders and files that other programs keep among images; a name after a
# slash is that of a folder inside. Most of them hold small copies of the images.
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
    "*.crdownload": "unfinished download",
    "*.filepart": "unfinished download",
    "*.opdownload": "unfinished download",
    "*.part": "unfinished download",
    "*.partial": "unfinished download",
}
_is_left_out = re.compile("|".join(map(fnmatch.translate, LEFT_OUT))).fullmatch


@dataclass
class Listing:
    """The files in some folders, and what is known about the images in them.

    Attributes
    ----------
    folders : list of str
        Absolute paths of the folders given, without those that another one contains.
    contained : list of str
        Given folders that were read as a part of another one.
    missing : list of OSError
        Why some of the folders could not be read; their ``filename`` tells which.
    unreadable : list of OSError
        Why some of their subfolders could not be read.
    paths : list of str
        The files, folder by folder and in order of names. The files in a folder
        come before those in its subfolders. No file is listed twice.
    roots : dict of str to str
        For each folder with files, which of `folders` it belongs to.
    left_out : list of (str, str)
        Path of each file and folder that was left out because of its name, and what
        it is.
    images : list of (ImgData or ImgDataError)
        What the headers of the files say, if they were read.
    """

    folders: list[str]
    contained: list[str] = field(default_factory=list)
    missing: list[OSError] = field(default_factory=list)
    unreadable: list[OSError] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    roots: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    images: list[ImgData | ImgDataError] = field(default_factory=list)


def absolute_folders(folders) -> list[str]:
    """Absolute paths of a folder, or of several, each of them once.

    Parameters
    ----------
    folders : str or os.PathLike, or an iterable of them
    """
    if isinstance(folders, str | os.PathLike):
        folders = [folders]
    paths = (os.path.abspath(os.fspath(folder)) for folder in folders)
    return list(dict.fromkeys(paths))


def list_folders(
    folders: list[str],
    subfolders: bool = True,
    cancelled: Callable[[], bool] = lambda: False,
) -> Listing:
    """
    List the files in several folders.

    Parameters
    ----------
    folders : list of str
        Absolute paths. A folder within another one, or the same one by another
        path, adds nothing; one that is missing is reported.
    subfolders : bool
        Whether to go into the folders within.
    cancelled : callable
        Asked now and then whether to stop.

    Returns
    -------
    Listing
        Its `images` are empty.
    """
    found: dict[str, Listing] = {}
    # A single folder cannot be visited twice, since links to folders are not followed.
    is_new = _Visits().is_first if len(folders) > 1 else _always
    # An outer folder comes first: what is in it belongs to it.
    for folder in sorted(folders, key=_depth):
        if cancelled():
            break
        found[folder] = _list_folder(folder, subfolders, cancelled, is_new)
    whole = Listing([])
    for folder in filter(found.__contains__, folders):
        part = found[folder]
        whole.folders += part.folders
        whole.contained += part.contained
        whole.missing += part.missing
        whole.unreadable += part.unreadable
        whole.paths += part.paths
        whole.roots |= part.roots
        whole.left_out += part.left_out
    return whole


def _depth(folder: str) -> int:
    return os.path.realpath(folder).count(os.sep)


class _Visits:
    """Knows which folders were visited, by whichever path."""

    def __init__(self):
        self._seen: set[Hashable] = set()

    def is_first(self, folder: str) -> bool:
        """Whether this is the first visit to a folder."""
        try:
            status = os.stat(folder)
        except OSError:
            return True
        key: Hashable = status.st_dev, status.st_ino
        if not status.st_ino:  # as on some network drives
            key = os.path.normcase(os.path.realpath(folder))
        if key in self._seen:
            return False
        self._seen.add(key)
        return True


def _always(_folder: str) -> bool:
    return True


def _list_folder(folder: str, subfolders, cancelled, is_new) -> Listing:
    listing = Listing([folder])
    try:
        with os.scandir(folder):
            # An error in the folder itself is raised at once; subfolders may fail.
            pass
    except OSError as error:
        listing.missing.append(error)
        return listing
    if not is_new(folder):
        return Listing([], contained=[folder])
    files = _files(
        folder,
        subfolders=subfolders,
        on_error=listing.unreadable.append,
        on_left_out=lambda path, reason: listing.left_out.append((path, reason)),
        is_new=is_new,
    )
    for within, names in files:
        if cancelled():
            break
        paths = [os.path.join(within, name) for name in names if name[0] != "."]
        if paths:
            listing.roots[within] = folder
            listing.paths += paths
    return listing


def folder_problem(error: OSError) -> str:
    """
    Why a folder cannot be read, in plain words.

    Parameters
    ----------
    error : OSError
        Its ``filename`` names the folder.
    """
    if isinstance(error, FileNotFoundError):
        return f"The folder {error.filename} was not found."
    if isinstance(error, NotADirectoryError):
        return f"{error.filename} is not a folder."
    return f"The folder {error.filename} cannot be read: {error.strerror or error}"


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
    Paths of the files in a folder and its subfolders, in order of names.

    The files in a folder come before those in its subfolders. Links to folders are
    not followed.

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
        Called with the path of each file and folder that is listed in `LEFT_OUT`,
        and with what it is.

    Yields
    ------
    str
        `topdir`, joined with the path within it.
    """
    included = matcher(include_patterns or ("*",), case_insensitive)
    excluded = matcher(exclude_patterns, case_insensitive)
    tell = on_left_out or (lambda _path, _reason: None)
    for folder, names in _files(topdir, subfolders, on_error, tell):
        for name in names:
            if included(name) and not excluded(name):
                yield os.path.join(folder, name)


def _files(
    topdir: str, subfolders: bool, on_error, on_left_out, is_new=_always
) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files, followed by its subfolders."""
    for folder, inner, names in os.walk(topdir, onerror=on_error):
        within = _not_left_out(folder, inner, on_left_out) if subfolders else ()
        inner[:] = (
            name
            for name in sorted(within)
            if not name.startswith(".") and is_new(os.path.join(folder, name))
        )
        yield folder, sorted(_not_left_out(folder, names, on_left_out))


def is_left_out(folder: str, name: str) -> bool:
    """Whether other programs keep files, or folders, of this name in a folder."""
    small = name.lower()
    within = os.path.basename(folder).lower() + "/"
    return bool(_is_left_out(small) or _is_left_out(within + small))


def _not_left_out(folder: str, names: list[str], tell) -> Iterator[str]:
    """The names in a folder without those that other programs keep there."""
    within = os.path.basename(folder).lower() + "/"
    for name in names:
        if is_left_out(folder, name):
            small = name.lower()
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


def matcher(patterns: Iterable[str], case_insensitive: bool) -> Callable[[str], bool]:
    """A function that tells whether a name matches one of some shell patterns."""
    patterns = [p.lower() if case_insensitive else p for p in patterns]
    if "*" in patterns:
        return lambda name: True

    def matches(name):
        name = name.lower() if case_insensitive else name
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)

    return matches

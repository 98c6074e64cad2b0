"""Files in folders, on this computer and in stores, without a list of them all.

The order is always the same, so that a run can be continued. On this computer and in
most stores, the files in a folder come before those in its subfolders. S3 lists a
bucket in the order of whole keys, in pages of a thousand.
"""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Callable, Iterator
from typing import NamedTuple

from orangecontrib.imageanalytics.distributed.sorted_names import SortedNames
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import stores
from orangecontrib.imageanalytics.import_images.folders import (
    folder_problem,
    is_left_out,
)


class Found(NamedTuple):
    """
    A file in a folder.

    Attributes
    ----------
    path : str
        Its full path, or its address.
    inner : str
        The path within the folder that is listed, with slashes.
    version : str
        Changes with its content; "" if it is not known yet.
    """

    path: str
    inner: str
    version: str = ""


Tell = Callable[[str], None]


def walk(
    folder: str, tell: Tell, prefix: str = "", depth: int | None = None
) -> Iterator[Found]:
    """
    The files in a folder and its subfolders, as Import Images takes them.

    Hidden files and folders are left out, and so are those that other programs keep
    among images. Links to folders are not followed.

    Parameters
    ----------
    folder : str
        Absolute path, or an address in a store.
    tell : callable
        Called with what could not be read, as a sentence.
    prefix : str
        How the path within the folder begins; stores need not list others.
    depth : int, optional
        How many levels of folders to go into; 1 is the folder alone.

    Yields
    ------
    Found

    Raises
    ------
    OSError, ImageError
        The folder itself cannot be read, or the listing cannot go on.
    """
    if not stores.is_store(folder):
        return _walk_local(folder, tell, depth)
    filesystem, _ = stores.filesystem(folder)
    if hasattr(filesystem, "call_s3"):
        return _walk_s3(folder, prefix, depth)
    return _walk_store(folder, tell, depth)


def _walk_folders(
    visit: Callable[[str, SortedNames], Iterator[Found]], depth: int | None
) -> Iterator[Found]:
    """
    The files that are found in one folder after another.

    `visit` takes the path of a folder within the one that is listed. It yields the
    files in it, and adds the names of the folders in it to the other argument.
    """
    # A stack instead of recursion: folders may be very deep.
    stack = [iter([""])]
    while stack:
        inner = next(stack[-1], None)
        if inner is None:
            stack.pop()
            continue
        within = SortedNames()
        yield from visit(inner, within)
        if depth is None or len(stack) < depth:
            stack.append(_joined(inner, within))
        else:
            within.close()


def _joined(inner: str, names: SortedNames) -> Iterator[str]:
    with names:
        for name in names:
            yield posixpath.join(inner, name)


# On this computer -------------------------------------------------------------------


def _walk_local(folder: str, tell: Tell, depth: int | None) -> Iterator[Found]:
    def visit(inner: str, within: SortedNames) -> Iterator[Found]:
        place = os.path.join(folder, inner) if inner else folder
        with SortedNames() as files:
            try:
                _scan(place, files, within, tell)
            except OSError as error:
                if not inner:
                    raise
                tell(folder_problem(error))
            for name in files:
                path = posixpath.join(inner, name)
                yield Found(os.path.join(folder, *path.split("/")), path)

    return _walk_folders(visit, depth)


def has_subfolders(folder: str) -> bool:
    """Whether `walk` goes into another folder on this computer."""
    with os.scandir(folder) as entries:
        return any(
            _is_folder(entry)
            and not entry.is_symlink()
            and not entry.name.startswith(".")
            and not is_left_out(folder, entry.name)
            for entry in entries
        )


def _scan(folder: str, files: SortedNames, within: SortedNames, tell: Tell) -> None:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith(".") or is_left_out(folder, name):
                continue
            if not _is_text(name):
                shown = os.fsencode(entry.path).decode("utf-8", "replace")
                tell(f"{shown}: the name is not valid text.")
            elif not _is_folder(entry):
                files.add(name)
            elif not entry.is_symlink():
                within.add(name)


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # such as a link that leads to itself
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


# In stores --------------------------------------------------------------------------


def _walk_s3(folder: str, prefix: str, depth: int | None) -> Iterator[Found]:
    base = folder.rstrip("/") + "/"
    options = {"Delimiter": "/"} if depth == 1 else {}
    while True:

        def page(fs, path, options=options):
            bucket, key, _ = fs.split_path(path)
            start = (f"{key}/" if key else "") + prefix
            found = fs.call_s3(
                "list_objects_v2", Bucket=bucket, Prefix=start, **options
            )
            return found, len(key) + 1 if key else 0

        found, n_before = stores.attempt(folder, page)
        for entry in found.get("Contents", ()):
            inner = entry["Key"][n_before:]
            if is_taken(inner, depth):
                version = f"{entry['Size']} {entry.get('ETag', '')}"
                yield Found(base + inner, inner, version)
        if not found.get("IsTruncated"):
            return
        options = options | {"ContinuationToken": found["NextContinuationToken"]}


def is_taken(inner: str, depth: int | None = None) -> bool:
    """Whether a file in a store is listed, by its path within the folder."""
    within, _, name = inner.rpartition("/")
    if not name or (depth is not None and inner.count("/") >= depth):
        return False
    return (
        not name.startswith(".") and _enters(within) and not is_left_out(within, name)
    )


@functools.lru_cache(1000)
def _enters(within: str) -> bool:
    if not within:
        return True
    outer, _, name = within.rpartition("/")
    return not name.startswith(".") and not is_left_out(outer, name) and _enters(outer)


def _walk_store(folder: str, tell: Tell, depth: int | None) -> Iterator[Found]:
    """Folder by folder; the names in one folder are in memory."""
    base = folder.rstrip("/") + "/"

    def visit(inner: str, within: SortedNames) -> Iterator[Found]:
        try:
            entries = stores.attempt(base + inner, _listed)
        except ImageError as error:
            if not inner:
                raise
            tell(f"The folder {base}{inner} cannot be read: {error}.")
            return
        for name, is_folder, version in entries:
            path = posixpath.join(inner, name)
            if not is_taken(path):
                continue
            if is_folder:
                within.add(name)
            else:
                yield Found(base + path, path, version)

    return _walk_folders(visit, depth)


def _listed(fs, path: str) -> list[tuple[str, bool, str]]:
    entries = []
    for info in fs.ls(path, detail=True):
        name = posixpath.basename(info["name"].rstrip("/"))
        # Some stores have an object of the folder's own name.
        if info["name"].rstrip("/") != path.rstrip("/"):
            status = stores.status_of(info)
            version = f"{status.size} {status.version}"
            entries.append((name, status.is_folder, version))
    return sorted(entries)

"""The images in a shard, with the categories that webdataset keeps next to them."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import formats
from orangecontrib.imageanalytics.images.shards import (
    Member,
    member_source,
    shard_members,
)

# In JSON; the first that is there.
KEYS = "label", "class", "category"
# Files of one name are gathered; not a whole shard of names like "photo.1.jpg".
_MOST_OF_ONE_NAME = 1000


def shard_rows(shard: str) -> Iterator[tuple[str, str | None]]:
    """
    The images in a shard.

    Parameters
    ----------
    shard : str
        Path or address of a tar file.

    Yields
    ------
    (str, str or None)
        Source and category; see `members_of`.

    Raises
    ------
    ShardError
        As `shard_members`.
    """
    group: list[Member] = []
    key = None
    try:
        for member in shard_members(shard, _is_label):
            if _key(member.name) != key or len(group) == _MOST_OF_ONE_NAME:
                yield from _rows(shard, group)
                group, key = [], _key(member.name)
            group.append(member)
    except ImageError:
        yield from _rows(shard, group)
        raise
    yield from _rows(shard, group)


def _is_label(name: str) -> bool:
    return name.lower().endswith((".cls", ".json"))


def _key(name: str) -> str:
    """The name up to the first dot, as webdataset does."""
    folder, base = posixpath.split(name)
    return posixpath.join(folder, base.partition(".")[0])


def _rows(shard: str, group: list[Member]) -> Iterator[tuple[str, str | None]]:
    images = [member for member in group if is_image(member.name)]
    if not images:
        return
    label = _label(group)
    for member in images:
        category = label
        if category is None:
            category = posixpath.dirname(posixpath.normpath(member.name)) or None
        yield member_source(shard, member), category


def is_image(name: str) -> bool:
    """Whether a file, by its name, is an image and not another program's note."""
    base = posixpath.basename(name)
    extension = posixpath.splitext(base)[1].lower()
    return not base.startswith(".") and extension in formats.extensions()


def _label(group: list[Member]) -> str | None:
    contents = [member for member in group if member.content is not None]
    for member in contents:
        if member.name.lower().endswith(".cls"):
            return member.content.decode("utf-8", "replace").strip() or None
    for member in contents:
        try:
            values = json.loads(member.content)
        except (ValueError, RecursionError):  # not JSON, or too deep
            continue
        for key in KEYS if isinstance(values, dict) else ():
            if isinstance(values.get(key), str | int | float):
                return str(values[key])
    return None

"""What the headers of files say about the images in them."""

import contextlib
import itertools
import os
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from orangecontrib.imageanalytics.engine.device import processors
from orangecontrib.imageanalytics.errors import Cancelled, ImageError
from orangecontrib.imageanalytics.images.decode import (
    read_described,
    read_header,
    read_pages,
)
from orangecontrib.imageanalytics.images.parallel import read_each
from orangecontrib.imageanalytics.images.sources import page_source
from orangecontrib.imageanalytics.import_images.columns import (
    add_appearance,
    needs,
)


class ImgData(namedtuple("ImgData", ["path", "format", "height", "width", "size"])):
    """A file with an image: name of the format, sides in pixels, size in bytes.

    Attributes
    ----------
    page : str
        Name of the page, if the file has several. The path is then the source of
        that page.
    has_more : bool
        Whether the file has pages that are not used.
    is_plain : bool
        Whether every program shows the file in the same way.
    values : dict of str to object
        What further columns say about it; see `columns`.
    """

    isvalid = True
    page = ""
    has_more = False
    is_plain = True
    values: Mapping[str, object] = MappingProxyType({})


class ImgDataError(namedtuple("ImgDataError", ["path", "error", "error_str"])):
    """A file that was skipped: the error, and the reason in plain words."""

    __slots__ = ()
    isvalid = False


def image_meta_data(path: str, columns: Sequence[str] = ()) -> ImgData | ImgDataError:
    """
    What the header of a file says about the image in it.

    Parameters
    ----------
    path : str
        Path of the file.
    columns : sequence of str
        As for `ImportImages`.

    Returns
    -------
    ImgData or ImgDataError
        Its attribute ``isvalid`` tells which.
    """
    try:
        path.encode()
        values: Mapping[str, object] = {}
        if needs("metadata", columns):
            header, metadata = read_described(path)
            values = vars(metadata)
        else:
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
    if values:
        image.values = values
    return image


def page_meta_data(
    path: str, columns: Sequence[str] = ()
) -> list[ImgData | ImgDataError]:
    """
    What a file says about the pages in it.

    Parameters
    ----------
    path : str
        Path of the file.
    columns : sequence of str
        As for `ImportImages`.

    Returns
    -------
    list of (ImgData or ImgDataError)
        One for each page, plane, channel and frame, or for the file if there are none.
    """
    image = image_meta_data(path, columns)
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
        page.page, page.values = name, image.values
        found.append(page)
    return found or [image]


def meta_data_reader(
    pages: str, columns: Sequence[str] = ()
) -> Callable[[str], list[ImgData | ImgDataError]]:
    """
    What reads the header of a file for its rows in a table.

    Parameters
    ----------
    pages : {"first", "all"}
        As for `ImportImages`.
    columns : sequence of str
        As for `ImportImages`.

    Returns
    -------
    callable
        Takes the path of a file; returns one entry for each row.
    """

    def read(path: str) -> list[ImgData | ImgDataError]:
        if pages == "all":
            images = page_meta_data(path, columns)
        else:
            images = [image_meta_data(path, columns)]
        if needs("pixels", columns) and images[0].isvalid:
            add_appearance(images)
        return images

    return read


def read_files(
    paths: Iterable[str],
    pages: str,
    columns: Sequence[str],
    cancelled: Callable[[], bool],
) -> Iterator[list[ImgData | ImgDataError]]:
    """
    Read files one after the other; those that are decoded, in threads.

    Parameters
    ----------
    paths : iterable of str
    pages, columns
        As for `ImportImages`.
    cancelled : callable
        Asked whether to stop.

    Yields
    ------
    list of (ImgData or ImgDataError)
        The rows of each file.
    """
    read = meta_data_reader(pages, columns)
    if not needs("pixels", columns):
        yield from map(read, itertools.takewhile(lambda _: not cancelled(), paths))
        return

    def look(*_) -> None:
        if cancelled():
            raise Cancelled("cancelled")

    paths = list(paths)
    results = read_each(paths, lambda path, _: read(path), processors(), look)
    with contextlib.closing(results), contextlib.suppress(Cancelled):
        for path, found in zip(paths, results, strict=True):
            if isinstance(found, ImageError):
                found = [ImgDataError(path, found, str(found))]
            yield found

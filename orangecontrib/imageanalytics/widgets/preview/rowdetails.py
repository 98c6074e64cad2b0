"""What is known about an image: its file, and the values in its row of the table."""

import itertools
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.embedding_columns import (
    NUMBERED,
    EmbeddingFeature,
)
from orangecontrib.imageanalytics.images.sources import (
    file_name,
    is_member,
    is_url,
    path_of,
    split_page,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    readable_bytes,
    readable_pixels,
    shortened,
    shown_source,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail

#: Of a vector, and of other features, this many numbers are listed.
MAX_VECTOR, MAX_FEATURES = 24, 300
MAX_VALUE = 500  # characters
#: The heading of the numbers that a network gave.
VECTOR = "Vector"


@dataclass(frozen=True)
class Detail:
    """
    A value, and under which heading and name it is listed.

    Attributes
    ----------
    group, name, value : str
    """

    group: str
    name: str
    value: str


def row_details(
    data: Table | None, rows: Sequence[int]
) -> Callable[[int], list[Detail]]:
    """
    The values of images' rows, read when they are asked for.

    Parameters
    ----------
    data : Table or None
        Where the images come from.
    rows : sequence of int
        Row of the table for each image.

    Returns
    -------
    callable
        Takes the number of an image and returns its values: classes, metas, features.
        If there are many features, only the first ones and the number of the others.
    """
    if data is None:
        return lambda image: []
    domain = data.domain
    vector = [var for var in domain.attributes if _is_of_vector(var)]
    numbers = set(vector)
    features = [var for var in domain.attributes if var not in numbers]
    groups = (
        ("Class", domain.class_vars, MAX_FEATURES),
        ("Metas", domain.metas, MAX_FEATURES),
        ("Features", features, MAX_FEATURES),
        (VECTOR, vector, MAX_VECTOR),
    )

    def details(image: int) -> list[Detail]:
        row = data[int(rows[image])]
        listed = []
        for group, variables, most in groups:
            for var in variables[:most]:
                listed.append(Detail(group, var.name, _written(var, row[var])))
            if len(variables) > most:
                listed.append(Detail(group, "…", f"{len(variables) - most:,} more"))
        return listed

    return details


def row_values(
    data: Table, row: int, variables: Iterable[Variable | None]
) -> list[tuple[str, str]]:
    """Names and values of variables in a row of a table, each of them once."""
    chosen = [variable for variable in dict.fromkeys(variables) if variable]
    return [(var.name, _written(var, data[row, var])) for var in chosen]


def _is_of_vector(variable: Variable) -> bool:
    if isinstance(variable.compute_value, EmbeddingFeature):
        return True
    return variable.is_continuous and bool(NUMBERED.fullmatch(variable.name))


def _written(variable: Variable, value) -> str:
    text = variable.str_val(value)
    # The value of a categorical column may be a data URL, too.
    return shortened(shown_source(text), MAX_VALUE)


def file_details(source: str, thumbnail: Thumbnail | None) -> list[Detail]:
    """
    Name, place and size of an image.

    Parameters
    ----------
    source : str
        Path or URL.
    thumbnail : Thumbnail or None
        The image, if it is loaded.

    Returns
    -------
    list of Detail
    """
    name, page = file_name(source), split_page(source)[1]
    listed = [("Name", name if page is None else f"{name}, page {page}")]
    path = path_of(source)
    if path is not None:
        folder, file = os.path.split(os.path.abspath(path))
        if is_member(source):
            listed.append(("Shard", file))
        listed.append(("Folder", folder))
    elif is_url(source):
        listed.append(("Address", shortened(source, MAX_VALUE)))
    if thumbnail is not None and thumbnail.size is not None:
        listed.append(("Pixels", readable_pixels(thumbnail.size)))
    if thumbnail is not None and thumbnail.stamp is not None:
        listed.append(("Size", readable_bytes(thumbnail.stamp[0])))
    if thumbnail is not None and thumbnail.error:
        listed.append(("Cannot be shown", thumbnail.error))
    return [Detail("Image", name, value) for name, value in listed if value]


def side_by_side(
    columns: Sequence[Iterable[Detail]],
) -> list[tuple[Detail, list[str], bool]]:
    """
    The details of several images in one table.

    Parameters
    ----------
    columns : sequence of iterables of Detail
        The details of each image; missing ones are empty.

    Returns
    -------
    list of (Detail, list of str, bool)
        For each line a detail that has its group and name, a value for each image, and
        whether they differ.
    """
    values = [{(d.group, d.name): d for d in column} for column in columns]
    # As the first image has them, with those that only others have beside their like.
    keys = list(dict.fromkeys(itertools.chain(*values)))
    groups = list(dict.fromkeys(group for group, _ in keys))
    keys.sort(key=lambda key: groups.index(key[0]))
    lines = []
    for key in keys:
        found = [column.get(key) for column in values]
        texts = ["" if detail is None else detail.value for detail in found]
        first = next(detail for detail in found if detail is not None)
        lines.append((first, texts, len(set(texts)) > 1))
    return lines

"""Columns about images that are read on request: of the camera, and of the pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    TimeVariable,
    Variable,
)

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images.appearance import EDGE, appearance
from orangecontrib.imageanalytics.images.fitted import read_fitted

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.import_images.headers import ImgData


@dataclass(frozen=True)
class Field:
    """
    A column of the table.

    Attributes
    ----------
    name : str
    attribute : str
        Of `Metadata` or `Appearance`, or of the `ImgData` itself.
    make : callable
        Takes the name and a value for each image, None where it is missing; returns the
        variable and the numbers in the column.
    """

    name: str
    attribute: str
    make: Callable[[str, Sequence], tuple[Variable, list[float]]]


@dataclass(frozen=True)
class Choice:
    """
    What can be chosen: one or more columns.

    Attributes
    ----------
    name : str
    source : {"header", "metadata", "pixels"}
        Where the values are from.
    fields : tuple of Field
    """

    name: str
    source: str
    fields: tuple[Field, ...]


def _numeric(decimals: int) -> Callable:
    def make(name: str, values: Sequence) -> tuple[Variable, list[float]]:
        numbers = [np.nan if value is None else float(value) for value in values]
        return ContinuousVariable(name, number_of_decimals=decimals), numbers

    return make


def categorical(name: str, values: Sequence) -> tuple[Variable, list[float]]:
    """A categorical variable of texts, None where they are missing, and its column."""
    known = sorted({value for value in values if value is not None})
    places: dict = {value: float(place) for place, value in enumerate(known)}
    places[None] = np.nan
    return DiscreteVariable(name, values=known), [places[value] for value in values]


def _time(name: str, values: Sequence) -> tuple[Variable, list[float]]:
    """Points in time if all have one zone, else what the clocks of the cameras say."""
    variable = TimeVariable(name, have_date=True, have_time=True)
    zones = {value.utcoffset() for value in values if value is not None}
    same_zone = len(zones) == 1 and None not in zones
    if same_zone:
        variable.timezone = timezone(zones.pop())
    return variable, [_seconds(value, same_zone) for value in values]


def _seconds(value: datetime | None, has_zone: bool) -> float:
    if value is None:
        return np.nan
    return (value if has_zone else value.replace(tzinfo=timezone.utc)).timestamp()


CHOICES = (
    Choice("date taken", "metadata", (Field("date taken", "taken", _time),)),
    Choice("camera", "metadata", (Field("camera", "camera", categorical),)),
    Choice("lens", "metadata", (Field("lens", "lens", categorical),)),
    Choice(
        "exposure",
        "metadata",
        (
            Field("exposure time", "exposure", _numeric(6)),
            Field("f-number", "f_number", _numeric(1)),
            Field("ISO", "iso", _numeric(0)),
            Field("focal length", "focal_length", _numeric(1)),
        ),
    ),
    Choice(
        "location",
        "metadata",
        # The names by which Orange's Geo Map finds them
        (
            Field("latitude", "latitude", _numeric(6)),
            Field("longitude", "longitude", _numeric(6)),
        ),
    ),
    Choice("format", "header", (Field("format", "format", categorical),)),
    Choice("brightness", "pixels", (Field("brightness", "brightness", _numeric(3)),)),
    Choice("contrast", "pixels", (Field("contrast", "contrast", _numeric(3)),)),
    Choice("sharpness", "pixels", (Field("sharpness", "sharpness", _numeric(1)),)),
    Choice("main color", "pixels", (Field("main color", "main_color", categorical),)),
)
#: Names of columns, or groups of them, that `ImportImages` can add.
COLUMNS = tuple(choice.name for choice in CHOICES)


def checked_columns(names: Iterable[str]) -> tuple[str, ...]:
    """
    The names, each of them once and in the order of `COLUMNS`.

    Raises
    ------
    ValueError
        There is no such column.
    """
    wanted = {names} if isinstance(names, str) else set(names)
    unknown = sorted(wanted - set(COLUMNS))
    if unknown:
        raise ValueError(
            f"'{unknown[0]}' is not a column, should be one of: {', '.join(COLUMNS)}"
        )
    return tuple(name for name in COLUMNS if name in wanted)


def needs(source: str, columns: Iterable[str]) -> bool:
    """Whether some of the columns are from a source, as `Choice` has it."""
    return any(choice.source == source for choice in _chosen(columns))


def add_appearance(images: Iterable[ImgData]) -> None:
    """Decode images, and add what they look like to their ``values``."""
    for image in images:
        # What cannot be decoded has missing values.
        with contextlib.suppress(ImageError, MemoryError):
            pixels = read_fitted(image.path, EDGE)
            image.values = {**image.values, **vars(appearance(pixels))}


def make_columns(
    images: Sequence[ImgData], columns: Iterable[str]
) -> list[tuple[Variable, list[float]]]:
    """
    Variables, and their numbers for each image.

    Parameters
    ----------
    images : sequence of ImgData
        With the ``values`` that the columns need.
    columns : iterable of str
        Of `COLUMNS`.
    """
    made = []
    for choice in _chosen(columns):
        for field in choice.fields:
            if choice.source == "header":
                values = [getattr(image, field.attribute) for image in images]
            else:
                values = [image.values.get(field.attribute) for image in images]
            made.append(field.make(field.name, values))
    return made


def _chosen(columns: Iterable[str]) -> list[Choice]:
    return [choice for choice in CHOICES if choice.name in columns]

"""The contents of a sheet of images, as plain data."""

import numpy as np

from orangecontrib.imageanalytics.contact_sheet import ContactSheet, Entry, Key
from orangecontrib.imageanalytics.widgets.sheet.coloring import MISSING, Coloring
from orangecontrib.imageanalytics.widgets.sheet.legend import MISSING_NAME
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import NO_FRAME
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    shortened,
    shown_source,
)

MIN_EDGE, MAX_EDGE = 48, 400
N_SHADES = 5  # of a numeric variable, in a legend
#: Characters. Longer labels do not fit anyway, and take long to be cut to a width.
MAX_LABEL = 300


def contact_sheet(
    view: SheetView, title: str, coloring: Coloring | None = None
) -> ContactSheet | None:
    """
    Everything that a view shows, whether it is visible or not.

    Parameters
    ----------
    view : SheetView
        The view. What is below headings that are collapsed is left out.
    title : str
        Of the sheet.
    coloring : Coloring, optional
        What the colours of the view's rows mean.

    Returns
    -------
    ContactSheet or None
        None if there are no images.
    """
    rows, groups = _rows_and_groups(view)
    if not len(rows):
        return None
    model, geometry, colors = view.model(), view.sheet_geometry, view.look.colors
    entries = [
        Entry(
            model.source(row),
            tuple(
                shortened(shown_source(text), MAX_LABEL) for text in model.labels(row)
            ),
            _hex(colors[row]) if view.frame_of(row) != NO_FRAME else "",
            group,
        )
        for row, group in zip(rows.tolist(), groups, strict=True)
    ]
    grid = {}
    if geometry.is_lattice:
        grid = {"columns": geometry.columns, "cells": geometry.cells}
    return ContactSheet(
        title,
        entries,
        _legend(coloring, rows),
        "" if coloring is None else coloring.variable.name,
        edge=int(np.clip(max(geometry.image_size()), MIN_EDGE, MAX_EDGE)),
        crop=view.look.crop,
        intensity=model.loader.intensity,
        **grid,
    )


def _rows_and_groups(view: SheetView) -> tuple[np.ndarray, list[str | None]]:
    look, n_rows = view.look, view.count()
    if not look.headings:
        return np.arange(n_rows), [None] * n_rows
    sections = np.repeat(np.arange(len(look.headings)), look.counts)
    rows = np.flatnonzero(~look.collapsed[sections])
    return rows, [look.headings[section] for section in sections[rows]]


def _legend(coloring: Coloring | None, rows: np.ndarray) -> list[Key]:
    if coloring is None:
        return []
    chosen = np.zeros(len(coloring), dtype=bool)
    chosen[rows] = True
    counts, variable = coloring.counts(chosen), coloring.variable
    if coloring.is_categorical:
        keys = [
            Key(variable.values[index], coloring.color_of(index).name(), count)
            for index, count in counts.items()
            if index != MISSING
        ]
    else:
        numbers = coloring.steps(N_SHADES)
        keys = [
            Key(variable.str_val(number), _hex(color))
            for number, color in zip(numbers, coloring.colors_of(numbers), strict=True)
        ]
    if MISSING in counts:
        missing = coloring.color_of(MISSING).name()
        keys.append(Key(MISSING_NAME, missing, counts[MISSING]))
    return keys


def _hex(rgb: np.ndarray) -> str:
    return "#{:02x}{:02x}{:02x}".format(*map(int, rgb))

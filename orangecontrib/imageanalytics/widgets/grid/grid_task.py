"""The work of Image Grid that runs in a thread."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from Orange.data import Table

from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.image_grid import ImageGrid
from orangecontrib.imageanalytics.images.decode import (
    Header,
    content_header,
    read_header,
)
from orangecontrib.imageanalytics.images.sources import (
    is_file,
    opened,
    path_of,
    split_page,
)
from orangecontrib.imageanalytics.widgets.sheet.gridgeometry import GridGeometry
from orangecontrib.imageanalytics.widgets.utils.threads import progress_reporter

#: Images whose headers are read to find out which shape most of them have.
N_SAMPLED = 50
#: The largest ratio of a cell's longer to its shorter side.
MAX_ASPECT = 2.0


@dataclass(frozen=True)
class Task:
    """
    The input of the layout.

    Attributes
    ----------
    data : Table
        The data.
    rows : numpy.ndarray of int
        Its rows that have images.
    sources : sequence of str
        Sources of these images.
    layout : str
        As for `ImageGrid`.
    size : (int, int) or None
        Columns and lines; None fits them to the window.
    window : (int, int, int)
        Width and height of the window, and height of the labels below an image.
    grid : ImageGrid or None
        A grid of these rows that was made before.
    aspect : float or None
        Width by height of most images, if it is known.
    """

    data: Table
    rows: np.ndarray
    sources: Sequence[str]
    layout: str
    size: tuple[int, int] | None
    window: tuple[int, int, int]
    grid: ImageGrid | None
    aspect: float | None


def lay_out(task: Task, state) -> tuple[ImageGrid, float]:
    """
    Do the whole work.

    Parameters
    ----------
    task : Task
    state : TaskState
        Receives the progress, and says whether to stop.

    Returns
    -------
    ImageGrid
        The grid, with its images in their cells.
    float
        Width by height of most images.

    Raises
    ------
    Cancelled
        The work was stopped.
    """
    report = progress_reporter(state)
    grid, aspect = task.grid, task.aspect
    if aspect is None:
        aspect = typical_aspect(task.sources, lambda: report(0))
    if grid is None:
        all_rows = len(task.rows) == len(task.data)
        data = task.data if all_rows else task.data[task.rows]
        grid = ImageGrid(data, task.layout)
    size = task.size or fitting_size(len(grid), task.window, aspect)
    if size[0] * size[1] < len(grid):
        size = size[0], math.ceil(len(grid) / size[0])
    grid.process(*size, callback=report)
    return grid, aspect


def fitting_size(
    count: int, window: tuple[int, int, int], aspect: float
) -> tuple[int, int]:
    """
    The size of the grid that makes images largest in a window.

    Parameters
    ----------
    count : int
        Number of images.
    window : (int, int, int)
        As in `Task`.
    aspect : float
        Width by height of most images.

    Returns
    -------
    (int, int)
        Columns and lines.
    """
    columns = np.arange(1, max(1, count) + 1)
    rooms = image_rooms(columns, -(-count // columns), window, aspect)
    # Labels are wanted if there are any, so cells should be wide enough for them.
    wide = window[0] / columns >= GridGeometry.min_labelled
    if window[2] and wide.any():
        rooms = np.where(wide, rooms, -np.inf)
    best = int(columns[np.argmax(rooms)])
    return best, math.ceil(count / best)


def image_rooms(
    columns: np.ndarray, lines: np.ndarray, window: tuple[int, int, int], aspect: float
) -> np.ndarray:
    """
    How high images are in grids of some sizes.

    Parameters
    ----------
    columns, lines : numpy.ndarray of int, shape (n,)
        Sizes of grids.
    window : (int, int, int)
        As in `Task`.
    aspect : float
        Width by height of most images.

    Returns
    -------
    numpy.ndarray, shape (n,)
        In points; negative where labels take more than the available height.
    """
    width = window[0] / np.asarray(columns)
    label = np.where(width >= GridGeometry.min_labelled, window[2], 0)
    return np.minimum(width / aspect, window[1] / np.maximum(1, lines) - label)


def typical_aspect(sources: Sequence[str], report) -> float:
    """
    Width by height of most images; the headers of some are read for it.

    Parameters
    ----------
    sources : sequence of str
        Sources of the images. Only files are read.
    report : callable
        Called before each.

    Returns
    -------
    float
        From 1 / `MAX_ASPECT` to `MAX_ASPECT`; 1 if there are no files.
    """
    files = [source for source in sources if path_of(source) is not None]
    aspects = []
    for source in files[:: max(1, len(files) // N_SAMPLED)][:N_SAMPLED]:
        report()
        try:
            header = _header(source)
        except ImageError:
            continue
        aspects.append(header.width / header.height)
    aspect = float(np.median(aspects)) if aspects else 1.0
    return min(max(aspect, 1 / MAX_ASPECT), MAX_ASPECT)


def _header(source: str) -> Header:
    if is_file(source):
        return read_header(*split_page(source))
    with opened(source) as (content, page):
        return content_header(content, page)

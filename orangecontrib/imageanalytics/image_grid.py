"""Images laid on a grid, like ones side by side: vectors to cells.

The scripting half of the widget Image Grid. It goes from vectors to places in the
plane, and from there to cells: each image gets a cell so that all together have to
move as little as possible, which is the linear assignment problem. On a grid made
from t-SNE, pairs of images then change places as long as that brings nearest
neighbours closer together.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from Orange.data import Table
from scipy import sparse
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics.errors import Cancelled

__all__ = ["LAYOUTS", "Cancelled", "ImageGrid", "grid_size"]

#: Ways to lay vectors out in the plane.
LAYOUTS = ("t-sne", "pca", "mds")

#: Largest number of images whose assignment is optimal as a whole.
MAX_EXACT = 1500
MAX_EXACT_CELLS = 10_000
# In cells: of the parts solved first, and of the windows that then improve on them.
PART_CELLS = 400
WINDOW = 20
MAX_WINDOW_PASSES = 10
ENOUGH = 0.002  # a smaller part of the cost is not worth another pass

N_COMPONENTS = 50  # t-SNE gains nothing from more, and takes long
PERPLEXITY = 8  # as many neighbours as a cell has
TSNE_STEPS = (200, 300)  # more do not help
STEPS_BETWEEN_REPORTS = 25
MDS_STEPS = 200
MIN_TSNE = 10  # fewer images have too few neighbours

N_NEIGHBOURS = 8
MAX_ATTRACTED = 40  # the most that count of those whose neighbour an image is
REACH = 1.5  # in cells: to this distance a neighbour is near
MAX_SWAP_PASSES = 10

# What a callback is told has been done after layout, assignment, swaps.
LAYOUT_DONE, ASSIGNMENT_DONE = 0.6, 0.8

Report = Callable[[float], None]


class ImageGrid:
    """
    A grid of images on which like ones are near to each other.

    Parameters
    ----------
    data : Orange.data.Table
        Rows with vectors: the features. At least one.
    layout : {"t-sne", "pca", "mds"}
        How vectors are laid out in the plane before they get cells. t-SNE is best
        at keeping neighbours together.

    Attributes
    ----------
    size_x, size_y : int
        Numbers of columns and rows, after `process`.
    grid_indices : numpy.ndarray of int, shape (size_x * size_y,)
        For each cell, row by row, which row of the data is there; -1 if none.
    skipped : numpy.ndarray of int
        Rows of the data that are not on the grid, for their vector has missing
        values or is the same number throughout.

    Raises
    ------
    ValueError
        When there is no such layout, or the data has no features.

    Examples
    --------
    >>> grid = ImageGrid(embedded)
    >>> grid.process()
    >>> cells = grid.grid_indices.reshape(grid.size_y, grid.size_x)
    """

    def __init__(self, data: Table, layout: str = "t-sne"):
        if layout not in LAYOUTS:
            raise ValueError(f"layout should be one of {', '.join(LAYOUTS)}")
        if not data.domain.attributes:
            raise ValueError("the data has no features")
        self.data = data
        self.layout = layout
        self.size_x = self.size_y = 0
        self.grid_indices = np.zeros(0, dtype=int)
        usable = _usable(data.X)
        self.skipped = np.flatnonzero(~usable)
        self._rows = np.flatnonzero(usable)
        self._vectors: np.ndarray | None = None
        self._places: np.ndarray | None = None
        self._cancelled = threading.Event()

    def __len__(self) -> int:
        """Number of images on the grid."""
        return len(self._rows)

    def cancel(self) -> None:
        """Stop `process`, which is running in another thread; it raises `Cancelled`."""
        self._cancelled.set()

    def process(
        self, size_x: int = 0, size_y: int = 0, callback: Report | None = None
    ) -> None:
        """
        Give each image a cell.

        The layout is made by the first call; those with another size are faster.

        Parameters
        ----------
        size_x, size_y : int
            Columns and rows; 0 for as many as are needed, which without any is a
            grid that is close to a square.
        callback : callable, optional
            Called now and then with the part that is done, from 0 to 1. What it
            raises ends the call.

        Raises
        ------
        ValueError
            When the images do not fit on the grid.
        Cancelled
            After `cancel`.
        """
        self._cancelled.clear()
        report = self._reporter(callback)
        size_x, size_y = self._full_size(size_x, size_y)
        cells = np.zeros(0, dtype=int)
        if len(self):
            report(0)
            if self._places is None:
                self._vectors = _directions(self.data.X, self._rows)
                self._places = _lay_out(
                    self._vectors, self.layout, _part(report, 0, LAYOUT_DONE)
                )
            report(LAYOUT_DONE)
            part = _part(report, LAYOUT_DONE, ASSIGNMENT_DONE)
            cells = _assign(self._places * [size_x, size_y], size_x, size_y, part)
            if self.layout == "t-sne":
                part = _part(report, ASSIGNMENT_DONE, 1)
                cells = _Swaps(self._vectors, cells, size_x, size_y).run(part)
        grid_indices = np.full(size_x * size_y, -1)
        grid_indices[cells] = self._rows
        self.size_x, self.size_y = size_x, size_y
        self.grid_indices = grid_indices
        report(1)

    def _reporter(self, callback: Report | None) -> Report:
        def report(fraction: float) -> None:
            if self._cancelled.is_set():
                raise Cancelled("cancelled")
            if callback is not None:
                callback(fraction)

        return report

    def _full_size(self, size_x: int, size_y: int) -> tuple[int, int]:
        if size_x < 0 or size_y < 0:
            raise ValueError("the size of a grid cannot be negative")
        if size_x and size_y:
            if size_x * size_y < len(self):
                raise ValueError(
                    f"{len(self):,} images do not fit on a grid of "
                    f"{size_x:,} by {size_y:,} cells"
                )
            return size_x, size_y
        if size_x:
            return size_x, math.ceil(len(self) / size_x)
        if size_y:
            return math.ceil(len(self) / size_y), size_y
        return grid_size(len(self))

    @property
    def image_list(self) -> Table:
        """The rows of the data as they lie, row by row of the grid.

        Of an empty cell, everything is missing.
        """
        table = self.data[np.maximum(self.grid_indices, 0)]
        empty = np.flatnonzero(self.grid_indices < 0)
        if len(empty):
            if sparse.issparse(table.X):
                table = table.to_dense()
            with table.unlocked():
                table.X[empty] = table.Y[empty] = np.nan
                for column, variable in enumerate(table.domain.metas):
                    table.metas[empty, column] = variable.Unknown
            table.ids[empty] = [Table.new_id() for _ in empty]
        return table

    def order_to_grid(self, data: Sequence) -> list:
        """
        Put values into the order of the cells.

        Parameters
        ----------
        data : sequence
            A value for each row of the data.

        Returns
        -------
        list
            A value for each cell, row by row; None for empty ones.
        """
        return [None if row < 0 else data[row] for row in self.grid_indices]


def grid_size(n_images: int, aspect: float = 1.0) -> tuple[int, int]:
    """
    Size of a grid of a shape, with as few empty cells as that allows.

    Parameters
    ----------
    n_images : int
        Number of images.
    aspect : float
        Columns for each row.

    Returns
    -------
    (int, int)
        Columns and rows; 0 and 0 for no images.
    """
    if n_images < 1:
        return 0, 0
    rows = round(math.sqrt(n_images / aspect))
    columns = math.ceil(n_images / min(max(rows, 1), n_images))
    return columns, math.ceil(n_images / columns)


def _part(report: Report, start: float, end: float) -> Report:
    return lambda fraction: report(start + (end - start) * fraction)


# Vectors ---------------------------------------------------------------------------


def _usable(X) -> np.ndarray:
    if sparse.issparse(X):
        X = X.toarray()
    usable = np.isfinite(X).all(axis=1)
    if X.shape[1] > 1:
        usable &= (X[:, :1] != X).any(axis=1)
    return usable


def _directions(X, rows: np.ndarray) -> np.ndarray:
    """Vectors whose Euclidean distances order images as the cosine does."""
    vectors = X[rows]
    if sparse.issparse(vectors):
        vectors = vectors.toarray()
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if vectors.shape[1] < 3:
        # There is little that a direction could tell.
        return vectors - vectors.mean(axis=0)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _neighbours(vectors: np.ndarray, count: int) -> np.ndarray:
    """Indices of the nearest others, shape (images, count), nearest first."""
    squares = (vectors**2).sum(axis=1)
    found = []
    for start in range(0, len(vectors), 512):
        chunk = vectors[start : start + 512]
        distances = squares - 2 * chunk @ vectors.T
        own = np.arange(len(chunk))
        distances[own, start + own] = np.inf
        nearest = np.argpartition(distances, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(distances, nearest, axis=1).argsort(axis=1)
        found.append(np.take_along_axis(nearest, order, axis=1))
    return np.concatenate(found)


# Layouts ---------------------------------------------------------------------------


def _lay_out(vectors: np.ndarray, layout: str, report: Report) -> np.ndarray:
    """Places in the plane, from 0 to 1 in both directions."""
    components = _components(vectors)
    places = components[:, :2]
    if layout == "t-sne" and len(vectors) >= MIN_TSNE and components.any():
        places = _tsne(components, report)
    elif layout == "mds" and components.any():
        places = _mds(vectors, places, report)
    places = places - places.min(axis=0)
    return places / np.maximum(places.max(axis=0), 1e-12)


def _components(vectors: np.ndarray) -> np.ndarray:
    """The principal components, at least two; none of them varies if none can."""
    from Orange.projection import PCA

    components = np.zeros((len(vectors), 2))
    centred = vectors.astype(float) - vectors.mean(axis=0, dtype=float)
    if abs(centred).max() > 1e-6:
        pca = PCA(N_COMPONENTS, random_state=0)(Table.from_numpy(None, centred))
        found = pca.proj.transform(centred)
        components = np.pad(found, ((0, 0), (0, max(0, 2 - found.shape[1]))))
    return components


def _tsne(components: np.ndarray, report: Report) -> np.ndarray:
    from Orange.projection import TSNE

    done = 0

    def count(step: int, *_) -> None:
        nonlocal done
        done += STEPS_BETWEEN_REPORTS
        report(min(1.0, done / sum(TSNE_STEPS)))

    exaggerated, plain = TSNE_STEPS
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(components) - 1) / 3),
        early_exaggeration_iter=exaggerated,
        n_iter=plain,
        n_jobs=-1,
        random_state=0,
        callbacks=count,
        callbacks_every_iters=STEPS_BETWEEN_REPORTS,
    )
    return np.array(tsne.fit(components), dtype=float)


def _mds(vectors: np.ndarray, places: np.ndarray, report: Report) -> np.ndarray:
    from Orange.misc import DistMatrix
    from Orange.projection import MDS

    distances = DistMatrix(cdist(vectors, vectors))
    # A few steps at a time: scikit-learn says nothing before it is done.
    for step in range(0, MDS_STEPS, STEPS_BETWEEN_REPORTS):
        report(step / MDS_STEPS)
        mds = MDS(
            n_init=1,
            max_iter=STEPS_BETWEEN_REPORTS,
            eps=1e-6,
            dissimilarity="precomputed",
            init_data=places,
            random_state=0,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            places = mds(distances).embedding_
    return places


# Assignment ------------------------------------------------------------------------


def _assign(places: np.ndarray, size_x: int, size_y: int, report: Report) -> np.ndarray:
    """Cells for places, in units of cells, so that squares of moves are small.

    Up to `MAX_EXACT` images nothing could be better. Larger grids are halved until
    their parts are small enough to be solved, each half taking the images that lie
    to its side; then windows that overlap are solved in turn, until it does not help.
    """
    everything = np.arange(len(places))
    whole = np.arange(size_x * size_y).reshape(size_y, size_x)
    cells = np.empty(len(places), dtype=int)
    if len(places) <= MAX_EXACT and whole.size <= MAX_EXACT_CELLS:
        cells[everything] = _solve(places, whole, size_x)
        return cells
    for part, members in _parts(places, whole, everything, size_x):
        report(0)
        cells[members] = _solve(places[members], part, size_x)
    _improve(places, cells, whole, report)
    return cells


def _solve(places: np.ndarray, cells: np.ndarray, size_x: int) -> np.ndarray:
    cells = cells.ravel()
    costs = cdist(places, _centres(cells, size_x), "sqeuclidean")
    return cells[linear_sum_assignment(costs)[1]]


def _centres(cells: np.ndarray, size_x: int) -> np.ndarray:
    return np.column_stack([cells % size_x, cells // size_x]) + 0.5


def _parts(
    places: np.ndarray, cells: np.ndarray, members: np.ndarray, size_x: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rectangles of cells, and the images that belong there."""
    if not len(members):
        return
    if cells.size <= PART_CELLS:
        yield cells, members
        return
    axis = int(cells.shape[0] > cells.shape[1])
    first, second = np.array_split(cells, 2, axis=1 - axis)
    border = _centres(second[0, :1], size_x)[0, axis] - 0.5
    ranked = members[np.argsort(places[members, axis], kind="stable")]
    n_first = int((places[ranked, axis] < border).sum())
    n_first = min(max(n_first, len(ranked) - second.size), first.size)
    yield from _parts(places, first, ranked[:n_first], size_x)
    yield from _parts(places, second, ranked[n_first:], size_x)


def _improve(
    places: np.ndarray, cells: np.ndarray, whole: np.ndarray, report: Report
) -> None:
    size_x = whole.shape[1]
    occupants = np.full(whole.size, -1)
    occupants[cells] = np.arange(len(cells))
    centres = _centres(np.arange(whole.size), size_x)
    cost = ((places - centres[cells]) ** 2).sum()
    for step in range(MAX_WINDOW_PASSES):
        for window in _windows(whole, step):
            report(step / MAX_WINDOW_PASSES)
            members = occupants[window.ravel()]
            members = members[members >= 0]
            if len(members):
                occupants[window.ravel()] = -1
                cells[members] = _solve(places[members], window, size_x)
                occupants[cells[members]] = members
        before, cost = cost, ((places - centres[cells]) ** 2).sum()
        if before - cost <= ENOUGH * before:
            break


def _windows(whole: np.ndarray, step: int) -> Iterator[np.ndarray]:
    # Shifted from pass to pass, so that no border stays where it is.
    shift_x, shift_y = ((0, 0), (1, 1), (1, 0), (0, 1))[(step + 1) % 4]
    half = WINDOW // 2
    for top in range(-shift_y * half, whole.shape[0], WINDOW):
        for left in range(-shift_x * half, whole.shape[1], WINDOW):
            bottom, right = top + WINDOW, left + WINDOW
            yield whole[max(0, top) : bottom, max(0, left) : right]


# Swaps -----------------------------------------------------------------------------


class _Swaps:
    """
    Lets images change places when that brings neighbours closer together.

    What counts is the sum, over all pairs of images one of which is among the
    nearest of the other, of a weight that falls with the distance of their cells. A
    swap has to raise it, so this comes to an end.
    """

    def __init__(
        self, vectors: np.ndarray, cells: np.ndarray, size_x: int, size_y: int
    ):
        self._size = size_x, size_y
        self._pairs, self._weights = _attractions(vectors)
        x, y = np.meshgrid(np.arange(size_x), np.arange(size_y))
        self._near = np.exp(-(x**2 + y**2) / (2 * REACH**2)).ravel()
        self._cells = cells.copy()
        self._x, self._y = cells % size_x, cells // size_x
        # The last image, number -1, is the one in empty cells; it has no pairs.
        self._occupants = np.full(size_x * size_y, -1)
        self._occupants[cells] = np.arange(len(cells))

    def run(self, report: Report) -> np.ndarray:
        """Swap as long as it helps.

        Returns
        -------
        numpy.ndarray of int
            The cell of each image.
        """
        count, order = len(self._cells), np.random.default_rng(0)
        for step in range(MAX_SWAP_PASSES if count > 1 else 0):
            moved = 0
            for done, image in enumerate(order.permutation(count)):
                if done % 100 == 0:
                    report((step + done / count) / MAX_SWAP_PASSES)
                moved += self._move(image)
            if not moved:
                break
        return self._cells

    def _move(self, image: int) -> bool:
        """Move an image to the best cell about its neighbours, if that is better."""
        cells = self._candidates(image)
        others = self._occupants[cells]
        own, place = self._cells[image], np.array([self._cells[image]])
        gains = self._nearness(image, cells) - self._nearness(image, place)
        gains += self._nearness(others, place) - self._nearness(others, cells)
        # Those that swap stay as near to each other as they were.
        together = (self._pairs[image] == others[:, None]) * self._weights[image]
        gains += 2 * together.sum(axis=1) * (self._closeness(cells, own) - 1)
        best = np.argmax(gains)
        if gains[best] <= 1e-6:
            return False
        self._put(others[best], own)
        self._put(image, cells[best])
        return True

    def _candidates(self, image: int) -> np.ndarray:
        size_x, size_y = self._size
        pairs = self._pairs[image][self._weights[image] > 0]
        x = self._x[pairs][:, None] + np.array([-1, 0, 1] * 3)
        y = self._y[pairs][:, None] + np.repeat([-1, 0, 1], 3)
        inside = (x >= 0) & (x < size_x) & (y >= 0) & (y < size_y)
        return np.unique(y[inside] * size_x + x[inside])

    def _nearness(self, images, cells: np.ndarray) -> np.ndarray:
        """How near images would be to their pairs if they were in these cells."""
        size_x = self._size[0]
        pairs = self._pairs[images]
        x = np.abs((cells % size_x)[:, None] - self._x[pairs])
        y = np.abs((cells // size_x)[:, None] - self._y[pairs])
        return (self._weights[images] * self._near[y * size_x + x]).sum(axis=1)

    def _closeness(self, cells: np.ndarray, cell: int) -> np.ndarray:
        size_x = self._size[0]
        x = np.abs(cells % size_x - cell % size_x)
        y = np.abs(cells // size_x - cell // size_x)
        return self._near[y * size_x + x]

    def _put(self, image: int, cell: int) -> None:
        self._occupants[cell] = image
        if image >= 0:
            size_x = self._size[0]
            self._cells[image] = cell
            self._x[image], self._y[image] = cell % size_x, cell // size_x


def _attractions(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Pairs of images one of which is among the nearest of the other.

    Returns
    -------
    pairs : numpy.ndarray of int, shape (images + 1, k)
        The others of each image's pairs; what has weight 0 is none.
    weights : numpy.ndarray of float, shape (images + 1, k)
        1, or 2 where each is among the nearest of the other.
    """
    count = len(vectors)
    n_nearest = min(N_NEIGHBOURS, count - 1)
    if n_nearest < 1:
        return np.zeros((count + 1, 1), dtype=int), np.zeros((count + 1, 1))
    nearest = _neighbours(vectors, n_nearest)
    first = np.repeat(np.arange(count), n_nearest)
    directed = sparse.csr_matrix(
        (np.ones(nearest.size), (first, nearest.ravel())), shape=(count, count)
    )
    mutual = (directed + directed.T).tocsr()
    width = min(MAX_ATTRACTED, int(np.diff(mutual.indptr).max()))
    pairs = np.zeros((count + 1, width), dtype=int)
    weights = np.zeros((count + 1, width))
    for row, (start, end) in enumerate(
        zip(mutual.indptr[:-1], mutual.indptr[1:], strict=True)
    ):
        strongest = np.argsort(-mutual.data[start:end], kind="stable")[:width]
        pairs[row, : len(strongest)] = mutual.indices[start:end][strongest]
        weights[row, : len(strongest)] = mutual.data[start:end][strongest]
    return pairs, weights

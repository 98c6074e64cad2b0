"""Which of many points to show an image at, where there is not room for all."""

import numpy as np
from scipy.spatial import cKDTree

#: Numbers compared for the points that come first; about a second.
MAX_WORK = 2 * 10**8
MAX_FIRST = 4096


def separations(
    points: np.ndarray, packed: float = 0.0, later: np.ndarray | None = None
) -> np.ndarray:
    """
    Distances from each point to the ones that are more important.

    The points with a separation of at least d are nowhere nearer to each other than d,
    and leave few gaps where one could be added. A smaller d only adds points. So images
    of size d do not overlap, and none goes away when there is more room.

    First come points packed at a given distance, so that as many as possible are more
    than that apart. Then it is always the one that is farthest from those before
    (Gonzalez, Clustering to minimize the maximum intercluster distance, 1985).

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        Their places; finite.
    packed : float
        The distance at which there should be many points. With 0, all are chosen by
        the second rule.
    later : numpy.ndarray of bool, shape (n,), optional
        Points that only come when all others have had their turn.

    Returns
    -------
    numpy.ndarray of float, shape (n,)
        Distances, each the larger one of those along the two axes. The first point's
        is infinite; of points at the same place, all but one have 0. From some number
        of points on, the distances to all others count, whatever their importance.
    """
    found = np.zeros(len(points))
    if not len(points):
        return found
    later = np.zeros(len(points), dtype=bool) if later is None else later
    # Of points at one place, one of those that are not later.
    order = np.argsort(later, kind="stable")
    distinct, first = np.unique(points[order], axis=0, return_index=True)
    kept = order[first]
    found[kept] = _of_distinct(distinct, packed, later[kept])
    return found


def _of_distinct(points: np.ndarray, packed: float, later: np.ndarray) -> np.ndarray:
    count = len(points)
    x, y = np.ascontiguousarray(points.T, dtype=float)
    found, nearest = np.zeros(count), np.full(count, np.inf)
    waiting = ~later if not later.all() else np.ones(count, dtype=bool)
    # The first is in the middle, where most windows show it.
    center = np.maximum(np.abs(x - x.mean()), np.abs(y - y.mean()))
    latest = np.argmin(np.where(waiting, center, np.inf))
    for _ in range(min(count, MAX_FIRST, max(1, MAX_WORK // count))):
        found[latest] = nearest[latest]
        waiting[latest] = False
        distances = np.maximum(np.abs(x - x[latest]), np.abs(y - y[latest]))
        np.minimum(nearest, distances, out=nearest)
        if not waiting.any():
            waiting = found == 0
            if not waiting.any():
                break
        allowed = np.where(waiting, nearest, 0)
        fits = allowed >= packed
        if packed and fits.any():
            latest = np.argmin(np.where(fits, allowed, np.inf))
        else:
            latest = np.argmax(allowed)
    rest = np.flatnonzero(found == 0)
    if len(rest):
        distances, _ = cKDTree(points).query(points[rest], k=2, p=np.inf)
        found[rest] = distances[:, 1]
    return found

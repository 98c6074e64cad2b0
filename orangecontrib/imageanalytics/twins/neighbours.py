"""Find the pairs of images that are close to each other, and join them.

Distances are computed in blocks of a matrix product, so no matrix of all pairs is ever
in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from orangecontrib.imageanalytics.twins.groups import Groups

BLOCK = 1024, 16384  # rows and columns of a block
#: Dimensions in which vectors are compared first.
N_COMPONENTS = 64
_SAMPLE = 2000  # vectors from which these are found
# Of images that are all alike, all pairs are close.
_PAIRS_AT_ONCE = 1 << 18
_COMPARED_AT_ONCE = 4096  # pairs of vectors, in all dimensions
# Of products of float32, in few dimensions and in all of them
_ROUNDING, _LEAST_ROUNDING = 1e-5, 1e-6

Report = Callable[[float], None]


def join_bits(
    groups: Groups,
    rows: np.ndarray,
    bits: np.ndarray,
    mirrored: np.ndarray,
    n_differing: int,
    report: Report,
) -> None:
    """
    Join rows whose hashes differ in few bits.

    Parameters
    ----------
    groups : Groups
    rows : numpy.ndarray of int, shape (n,)
        The rows with hashes.
    bits, mirrored : numpy.ndarray of uint8, shape (n, bytes)
        The hashes of images and of their mirror images.
    n_differing : int
        The most bits that may differ.
    report : callable
        Called several times a second with the fraction done, which is 0 between two
        steps.
    """
    views = (bits, mirrored)
    n_bits = 8 * bits.shape[1]

    def signs(values: np.ndarray) -> np.ndarray:
        return np.unpackbits(values, axis=1).astype(np.float32) * 2 - 1

    # Of signs, the product is the number of equal bits less that of others.
    for number, view in enumerate(views):
        for first, second in _close(
            lambda part, view=view: signs(view[part]),
            lambda part: signs(bits[part]),
            len(rows),
            n_bits - 2 * n_differing - 0.5,
            lambda fraction, number=number: report((number + fraction) / len(views)),
            # Hashes of a pair differ a little by which of the images is mirrored.
            is_symmetric=view is bits,
        ):
            groups.join(rows[first], rows[second])


def join_vectors(
    groups: Groups,
    rows: np.ndarray,
    units: np.ndarray,
    points: np.ndarray,
    distance: float,
    report: Report,
) -> None:
    """
    Join rows whose vectors have almost the same direction.

    Vectors are compared in a few dimensions first. Distances there, which are those of
    an orthogonal projection, are never greater than in all dimensions, so no pair is
    missed.

    Parameters
    ----------
    groups : Groups
    rows : numpy.ndarray of int, shape (n,)
        The rows with vectors.
    units : numpy.ndarray of float32, shape (n, n_features)
        Their vectors, of length 1.
    points : numpy.ndarray, shape (n, n_dimensions)
        The same, `projected`.
    distance : float
        The greatest cosine distance, 1 - cosine.
    report : callable
        As for `join_bits`.
    """
    # For vectors of length 1, half the squared distance is the cosine distance.
    halves = (points**2).sum(axis=1, keepdims=True) / 2
    ones = np.ones_like(halves)
    left = np.hstack([points, ones, -halves]).astype(np.float32)
    right = np.hstack([points, -halves, ones]).astype(np.float32)
    least = 1 - distance - _LEAST_ROUNDING
    for first, second in _close(
        left.__getitem__,
        right.__getitem__,
        len(rows),
        -(distance + _ROUNDING),
        report,
        is_symmetric=True,
    ):
        for i, j in _in_parts(first, second, size=_COMPARED_AT_ONCE):
            apart = groups.apart(rows[i], rows[j])
            i, j = i[apart], j[apart]
            close = np.einsum("ij,ij->i", units[i], units[j]) >= least
            groups.join(rows[i[close]], rows[j[close]])
            report(0.0)


def projected(units: np.ndarray) -> np.ndarray:
    """
    The main components of vectors, and the length of what is left of each.

    Parameters
    ----------
    units : numpy.ndarray of float32, shape (n, n_features)
        Vectors of length 1.

    Returns
    -------
    numpy.ndarray of float32, shape (n, n_dimensions)
        The vectors themselves if they are few or short.
    """
    if units.shape[1] <= N_COMPONENTS or len(units) <= N_COMPONENTS:
        return units
    from sklearn.decomposition import PCA

    chosen = np.random.default_rng(0).permutation(len(units))[:_SAMPLE]
    pca = PCA(N_COMPONENTS, svd_solver="randomized", random_state=0)
    pca.fit(units[chosen])
    centre = pca.mean_.astype(np.float32)
    basis = pca.components_.astype(np.float32)
    points = units @ basis.T - centre @ basis.T
    squares = 1 - 2 * units @ centre + centre @ centre
    rest = np.sqrt(np.maximum(squares - (points**2).sum(axis=1), 0))
    return np.hstack([points, rest[:, None]])


def _close(
    left: Callable,
    right: Callable,
    n_rows: int,
    least: float,
    report,
    is_symmetric: bool,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows whose product is not less than `least`, block by block."""
    height, width = BLOCK
    for top in range(0, n_rows, height):
        block = left(slice(top, top + height))
        for start in range(top if is_symmetric else 0, n_rows, width):
            products = block @ right(slice(start, start + width)).T
            # Faster than looking for places in two dimensions.
            places = np.flatnonzero(products >= least)
            for (part,) in _in_parts(places, size=_PAIRS_AT_ONCE):
                first, second = np.divmod(part, products.shape[1])
                first, second = first + top, second + start
                different = first < second if is_symmetric else first != second
                yield first[different], second[different]
                report(0.0)
            report(min(1.0, (top + height) / n_rows))


def _in_parts(*arrays: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(arrays[0]), size):
        yield tuple(array[start : start + size] for array in arrays)

"""Orders in which images are shown to the person who labels them."""

from __future__ import annotations

import numpy as np
from sklearn.cluster import KMeans

from orangecontrib.imageanalytics.engine.unit_length import normalised, similarities
from orangecontrib.imageanalytics.labels.quick_model import Points, Proposals
from orangecontrib.imageanalytics.labels.session import NO_CLASS

UNCERTAIN, TYPICAL, RANDOM, LIKE, AS_GIVEN = (
    "uncertain",
    "typical",
    "random",
    "like",
    "given",
)
#: All orders. Those before `RANDOM`, and `LIKE`, need vectors.
ORDERS = (UNCERTAIN, TYPICAL, RANDOM, LIKE, AS_GIVEN)
NEED_VECTORS = (UNCERTAIN, TYPICAL, LIKE)
#: As long as fewer images have a class, "uncertain" shows typical ones: a model that
#: has not seen most of what there is cannot tell what it does not know.
TYPICAL_FIRST = 20
MOST_CLUSTERS = 50
IMAGES_PER_CLUSTER = 5
#: Clusters are found with at most so many images.
MOST_SAMPLED = 3_000


class Orders:
    """
    Puts images into an order.

    Parameters
    ----------
    points : Points or None
        All images; None if they have no vectors.
    n_images : int
        Number of images.
    seed : int
        For the random order and the clusters.
    """

    def __init__(self, points: Points | None, n_images: int, seed: int = 0):
        self._points, self._n_images, self._seed = points, n_images, seed
        self._clusters: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(
        self,
        order: str,
        labels: np.ndarray,
        proposals: Proposals | None = None,
        reference: int | None = None,
    ) -> np.ndarray:
        """
        Order the images.

        Parameters
        ----------
        order : {"uncertain", "typical", "random", "like", "given"}
            Most uncertain first, by the margin between the two most probable classes
            (Scheffer et al., 2001); as "typical" until `TYPICAL_FIRST` images have
            a class. Most typical of clusters (k-means) first, beginning with large
            clusters without labels. Random. Most like another image first. As they
            are given.
        labels : numpy.ndarray of int, shape (images,)
            Classes that are known; `NO_CLASS` for the others.
        proposals : Proposals, optional
            What the model proposes.
        reference : int, optional
            The image for "like".

        Returns
        -------
        numpy.ndarray of int, shape (images,)
            All images. Those without a vector come last in orders that need one.

        Raises
        ------
        ValueError
            There is no such order.
        """
        if order not in ORDERS:
            raise ValueError(f"order should be one of {', '.join(ORDERS)}")
        given = np.arange(self._n_images)
        if order == RANDOM:
            return np.random.default_rng(self._seed).permutation(self._n_images)
        if order == AS_GIVEN or self._points is None:
            return given
        if order == LIKE:
            return given if reference is None else self._by_likeness(reference)
        enough = (labels != NO_CLASS).sum() >= min(TYPICAL_FIRST, self._n_images / 2)
        if order == UNCERTAIN and enough and proposals is not None:
            margin = proposals.margin
            if not np.isnan(margin).all():
                return np.argsort(margin, kind="stable")  # nan is last
        return self._by_typicality(labels)

    def _by_likeness(self, reference: int) -> np.ndarray:
        """By the cosine between points."""
        units = normalised(self._points.values)
        cosine = similarities(units, units[reference])
        cosine[~self._points.usable] = -np.inf
        cosine[reference] = np.inf
        return np.argsort(-cosine, kind="stable")

    def _by_typicality(self, labels: np.ndarray) -> np.ndarray:
        """The first of each cluster, the second of each, and so on."""
        clusters, distances = self._found_clusters()
        is_usable, n_clusters = self._points.usable, clusters.max(initial=0) + 1
        labeled = labels != NO_CLASS
        n_labeled = np.bincount(clusters[labeled & is_usable], minlength=n_clusters)
        sizes = np.bincount(clusters[is_usable], minlength=n_clusters)
        # The most typical of each cluster that have no label yet get the lowest ranks.
        places = np.lexsort((distances, labeled, clusters))
        starts = np.searchsorted(clusters[places], np.arange(n_clusters))
        ranks = np.empty(self._n_images, dtype=int)
        ranks[places] = np.arange(self._n_images) - starts[clusters[places]]
        ranks += n_labeled[clusters]
        return np.lexsort((-sizes[clusters], ranks, ~is_usable))

    def _found_clusters(self) -> tuple[np.ndarray, np.ndarray]:
        """The cluster of each image, and its distance from the centre."""
        if self._clusters is None:
            points, is_usable = self._points.values, self._points.usable
            clusters = np.zeros(self._n_images, dtype=int)
            distances = np.full(self._n_images, np.inf)
            n_usable = int(is_usable.sum())
            n_clusters = min(MOST_CLUSTERS, -(-n_usable // IMAGES_PER_CLUSTER))
            if n_clusters > 1:
                rows = np.flatnonzero(is_usable)
                rng = np.random.default_rng(self._seed)
                sampled = rng.permutation(rows)[:MOST_SAMPLED]
                k_means = KMeans(
                    n_clusters, n_init=1, max_iter=20, random_state=self._seed
                ).fit(points[sampled])
                found = k_means.transform(points[rows])
                clusters[rows] = found.argmin(axis=1)
                distances[rows] = found.min(axis=1)
            self._clusters = clusters, distances
        return self._clusters

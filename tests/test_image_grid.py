import threading
import warnings

import numpy as np
import pytest
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from scipy import sparse
from scipy.spatial.distance import cdist

from orangecontrib.imageanalytics import image_grid
from orangecontrib.imageanalytics.image_grid import (
    LAYOUTS,
    Cancelled,
    ImageGrid,
    grid_size,
)
from orangecontrib.imageanalytics.image_grid.layout import directions
from orangecontrib.imageanalytics.image_grid.swaps import neighbours


def clusters(count, n_clusters=6, n_features=20, seed=0):
    random = np.random.default_rng(seed)
    centres = random.normal(size=(n_clusters, n_features)) * 4
    labels = np.arange(count) % n_clusters
    return centres[labels] + random.normal(size=(count, n_features)), labels


def table(X):
    attributes = [ContinuousVariable(f"n{i}") for i in range(X.shape[1])]
    kind = DiscreteVariable("kind", values=("a", "b"))
    domain = Domain(attributes, kind, [StringVariable("image"), kind.copy(name="meta")])
    numbers = np.arange(len(X))
    metas = np.array([[f"{i}.png", i % 2] for i in numbers], dtype=object)
    return Table.from_numpy(domain, X, numbers % 2.0, metas.reshape(-1, 2))


def of_neighbours(grid, labels):
    """Share of pairs side by side on the grid that have the same label."""
    on_grid = grid.grid_indices.reshape(grid.size_y, grid.size_x)
    pairs = np.hstack(
        [
            [on_grid[:, 1:].ravel(), on_grid[:, :-1].ravel()],
            [on_grid[1:].ravel(), on_grid[:-1].ravel()],
        ]
    )
    first, second = pairs[:, (pairs >= 0).all(axis=0)]
    return np.mean(labels[first] == labels[second])


def is_complete(grid, rows):
    assert len(grid.grid_indices) == grid.size_x * grid.size_y
    used = grid.grid_indices[grid.grid_indices >= 0]
    assert sorted(used) == list(rows)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_like_images_are_side_by_side(layout):
    X, labels = clusters(100)
    grid = ImageGrid(table(X), layout)
    grid.process()
    assert (grid.size_x, grid.size_y) == (10, 10)
    is_complete(grid, range(100))
    shuffled = np.random.default_rng(0).permutation(labels)
    expected = of_neighbours(grid, shuffled) + (0.45 if layout == "t-sne" else 0.25)
    assert of_neighbours(grid, labels) > expected


def test_default_is_best_at_neighbours():
    random = np.random.default_rng(3)
    X = random.normal(size=(150, 12))

    def share(layout):
        grid = ImageGrid(table(X), layout)
        grid.process()
        cells = np.empty(len(X), dtype=int)
        full = np.flatnonzero(grid.grid_indices >= 0)
        cells[grid.grid_indices[full]] = full
        places = np.column_stack(np.divmod(cells, grid.size_x))
        nearest = neighbours(directions(X, slice(None)), 8, lambda _: None)
        on_grid = np.argsort(cdist(places, places), axis=1, kind="stable")[:, 1:9]
        pairs = zip(nearest, on_grid, strict=True)
        return np.mean([len(np.intersect1d(*pair)) for pair in pairs]) / 8

    shares = {layout: share(layout) for layout in LAYOUTS}
    assert shares["t-sne"] > 1.5 * max(shares["pca"], shares["mds"])
    assert ImageGrid(table(X)).layout == "t-sne"


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_the_same_every_time(layout):
    X, _ = clusters(60)
    first, second = ImageGrid(table(X), layout), ImageGrid(table(X), layout)
    first.process()
    second.process(9, 9)
    second.process()
    np.testing.assert_array_equal(first.grid_indices, second.grid_indices)


def test_sizes():
    grid = ImageGrid(table(clusters(30)[0]), "pca")
    for asked, size in {
        (0, 0): (6, 5),
        (10, 3): (10, 3),
        (10, 7): (10, 7),
        (4, 0): (4, 8),
        (0, 1): (30, 1),
        (1, 30): (1, 30),
    }.items():
        grid.process(*asked)
        assert (grid.size_x, grid.size_y) == size
        is_complete(grid, range(30))


def test_too_small():
    grid = ImageGrid(table(clusters(30)[0]), "pca")
    grid.process()
    before = grid.grid_indices
    with pytest.raises(ValueError, match=r"30 images do not fit on a grid of 5 by 5"):
        grid.process(5, 5)
    with pytest.raises(ValueError, match="negative"):
        grid.process(-1, 5)
    np.testing.assert_array_equal(grid.grid_indices, before)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 7, 100, 1234])
@pytest.mark.parametrize("aspect", [0.1, 0.6, 1, 1.7, 1000])
def test_grid_size(count, aspect):
    columns, rows = grid_size(count, aspect)
    assert columns * rows >= count
    assert (columns - 1) * rows < count or (columns, rows) == (0, 0)
    assert columns * (rows - 1) < count or (columns, rows) == (0, 0)
    if count == 1234 and aspect < 2:
        assert columns / rows == pytest.approx(aspect, rel=0.2)


def test_image_list():
    data = table(clusters(10)[0])
    grid = ImageGrid(data, "pca")
    grid.process(4, 3)
    images = grid.image_list
    assert len(images) == 12
    assert images.domain is data.domain
    assert len(set(images.ids)) == 12
    for row, index in zip(images, grid.grid_indices, strict=True):
        if index < 0:
            assert np.isnan(row.x).all()
            assert np.isnan(row.y).all()
            assert (row["image"], str(row["meta"])) == ("", "?")
        else:
            assert str(row["image"]) == f"{index}.png"
            assert row.id == data.ids[index]
    assert not np.isnan(data.X).any()
    names = [f"{i}.png" for i in range(10)]
    expected = [None if i < 0 else names[i] for i in grid.grid_indices]
    assert grid.order_to_grid(names) == expected


def test_rows_that_cannot_be_placed():
    X, _ = clusters(12)
    X[3, 2], X[5], X[7] = np.nan, 1.5, 0
    grid = ImageGrid(table(X))
    assert list(grid.skipped) == [3, 5, 7]
    assert len(grid) == 9
    grid.process()
    is_complete(grid, [0, 1, 2, 4, 6, 8, 9, 10, 11])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    "X",
    [
        np.full((3, 4), np.nan),
        np.eye(1, 4),
        np.eye(2, 4),
        np.eye(3, 4),
        np.tile([1.0, 2, 3], (30, 1)),
        np.arange(30.0)[:, None],
        np.zeros((15, 1)),
        np.arange(40.0).reshape(20, 2),
        np.vstack([np.tile([1.0, 2, 3], (25, 1)), np.eye(3)]),
    ],
    ids=["none", "one", "two", "three", "same", "line", "zeros", "plane", "most same"],
)
@pytest.mark.filterwarnings("error")
def test_degenerate(X, layout):
    grid = ImageGrid(table(X), layout)
    grid.process()
    is_complete(grid, np.flatnonzero(~np.isnan(X).any(axis=1)))
    assert len(grid.image_list) == len(grid.grid_indices)


def test_one_feature_is_a_line():
    X = np.random.default_rng(0).permutation(25.0 * np.arange(25))[:, None]
    grid = ImageGrid(table(X), "pca")
    grid.process(25, 1)
    steps = np.diff(X[grid.grid_indices, 0])
    assert (steps > 0).all() or (steps < 0).all()


def test_sparse():
    X, _ = clusters(30)
    dense, thin = ImageGrid(table(X)), ImageGrid(table(X).to_sparse())
    dense.process(6, 6)
    thin.process(6, 6)
    np.testing.assert_array_equal(dense.grid_indices, thin.grid_indices)
    assert sparse.issparse(thin.data.X)
    assert len(thin.image_list) == 36


def test_arguments():
    with pytest.raises(ValueError, match="t-sne, pca, mds"):
        ImageGrid(table(np.eye(3)), "umap")
    with pytest.raises(ValueError, match="no features"):
        ImageGrid(table(np.empty((3, 0))))


def test_progress():
    grid = ImageGrid(table(clusters(80)[0]))
    first, second = [], []
    grid.process(callback=first.append)
    grid.process(10, 10, callback=second.append)
    for seen in (first, second):
        assert seen == sorted(seen)
        assert (seen[0], seen[-1]) == (0, 1)
    assert sum(fraction < image_grid.LAYOUT_DONE for fraction in first) > 10
    assert sum(fraction < image_grid.LAYOUT_DONE for fraction in second) == 1


@pytest.mark.parametrize(
    ("step", "layout"),
    [
        ("orangecontrib.imageanalytics.image_grid.directions", "pca"),
        ("Orange.projection.PCA", "pca"),
        ("Orange.projection.TSNE", "t-sne"),
        ("sklearn.manifold.smacof", "mds"),
        ("orangecontrib.imageanalytics.image_grid.assign", "pca"),
        ("orangecontrib.imageanalytics.image_grid.swaps.neighbours", "t-sne"),
    ],
)
def test_cancel_in_a_step_that_reports_nothing(step, layout, monkeypatch):
    begun, may_go_on = threading.Event(), threading.Event()

    def take_long(*_, **__):
        begun.set()
        may_go_on.wait(60)

    monkeypatch.setattr(step, take_long)
    grid = ImageGrid(table(clusters(100)[0]), layout)
    raised = []

    def process():
        try:
            grid.process()
        except Cancelled as error:
            raised.append(error)

    thread = threading.Thread(target=process)
    thread.start()
    try:
        assert begun.wait(60)
        grid.cancel()
        thread.join(60)
        assert raised
    finally:
        may_go_on.set()
    assert grid.size_x == len(grid.grid_indices) == 0


def test_after_cancelling_the_layout_is_kept(monkeypatch):
    grid = ImageGrid(table(clusters(100)[0]))

    def callback(fraction):
        if fraction > image_grid.LAYOUT_DONE:
            grid.cancel()

    with pytest.raises(Cancelled):
        grid.process(callback=callback)
    monkeypatch.setattr(image_grid, "lay_out", None)
    grid.process()
    is_complete(grid, range(100))


def test_no_warning_is_silenced_for_others():
    """`catch_warnings` in a thread would change, or restore, filters for all."""
    for layout in LAYOUTS:  # what this imports may add filters
        ImageGrid(table(clusters(30)[0]), layout).process()
    before = list(warnings.filters)
    seen = []
    for layout in LAYOUTS:
        grid = ImageGrid(table(clusters(30)[0]), layout)
        grid.process(callback=lambda _: seen.append(list(warnings.filters)))
    assert all(filters == before for filters in seen)
    assert warnings.filters == before


def test_an_error_in_the_callback_ends_it():
    def callback(fraction):
        if fraction > 0.3:
            raise KeyError("enough")

    for layout in LAYOUTS:
        with pytest.raises(KeyError, match="enough"):
            ImageGrid(table(clusters(50)[0]), layout).process(callback=callback)

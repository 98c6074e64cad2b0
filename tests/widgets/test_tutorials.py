"""The example workflows: opened and run as Orange does it, as they are shipped."""

import os
import pickle
import re
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from Orange.clustering.hierarchical import postorder
from Orange.data import Table
from orangecanvas.application.examples import list_workflows
from orangecanvas.preview.scanner import preview_parse
from orangecanvas.scheme.readwrite import loads, parse_ows_stream

from orangecontrib.imageanalytics import tutorials
from orangecontrib.imageanalytics.import_images import ImportImages

FOLDER = os.path.dirname(tutorials.__file__)
WORKFLOWS = list_workflows(tutorials)
KINDS = ["buildings", "cats", "coffee", "flowers", "people", "rockets"]
N_PHOTOS = 23
NEW_PHOTOS = {
    "charminar": "buildings",
    "golden-temple": "buildings",
    "kitten": "cats",
    "orange-flower": "flowers",
    "palace-of-winds": "buildings",
    "playing-cat": "cats",
    "yellow-flower": "flowers",
}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy elsewhere, as if installed there, with nothing to be had from the web."""

    def refuse(*args):
        raise OSError("tutorials have to do without the internet")

    monkeypatch.setattr("socket.socket.connect", refuse)
    return shutil.copytree(FOLDER, tmp_path / "site packages" / "tutorials")


def settings(workflow):
    """Title of a node and its settings, for each of them that has some."""
    with open(os.path.join(FOLDER, workflow), "rb") as file:
        nodes = parse_ows_stream(file).nodes
    return {
        node.title: loads(node.data.data, node.data.format)
        for node in nodes
        if node.data is not None
    }


def no_messages(widgets):
    return [
        (title, str(message))
        for title, widget in widgets.items()
        for group in widget.message_groups
        for message in group.active
    ]


def test_group_photos(installed, open_workflow):
    widgets = open_workflow(installed / "1-group-photos.ows")
    assert not no_messages(widgets)
    assert widgets["Import Images"].folder == str(installed / "photos")
    tree = widgets["Hierarchical Clustering"]
    photos = tree.items
    assert len(photos) == N_PHOTOS
    kinds = photos.get_column("category")

    def kinds_within(node):
        first, last = node.value.range
        indices = [leaf.value.index for leaf in tree_leaves[first:last]]
        return {kinds[index] for index in indices}

    tree_leaves = [node for node in postorder(tree.root) if node.is_leaf]
    joins = [node for node in postorder(tree.root) if not node.is_leaf]
    joins.sort(key=lambda node: node.value.height)
    n_within = N_PHOTOS - len(KINDS)
    assert all(len(kinds_within(node)) == 1 for node in joins[:n_within])
    assert all(len(kinds_within(node)) > 1 for node in joins[n_within:])

    shown = widgets["Image Viewer"].data
    assert len(shown) == N_PHOTOS
    clusters = shown.get_column("Cluster")
    pairs = set(zip(clusters, shown.get_column("category"), strict=True))
    assert len(pairs) == len(KINDS)


def test_classify_photos(installed, open_workflow):
    widgets = open_workflow(installed / "2-classify-photos.ows")
    assert not no_messages(widgets)
    matrix = widgets["Confusion Matrix"]
    # Test and Score does not say that it is busy.
    assert QTest.qWaitFor(lambda: matrix.results is not None, 240_000)
    results = matrix.results
    assert list(results.domain.class_var.values) == KINDS
    wrong = results.predicted[0] != results.actual
    assert 0 < wrong.sum() <= 3
    expected = {str(row["image"]) for row in results.data[results.row_indices[wrong]]}
    viewer = widgets["Mistakes"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    mistakes = viewer.data
    assert {str(row["image"]) for row in mistakes} == expected
    assert "rockets/shuttle.jpg" in expected


def test_table_of_photos(installed, open_workflow):
    widgets = open_workflow(installed / "3-table-of-photos.ows")
    assert not no_messages(widgets)
    assert len(widgets["Data Table"].input.table) == N_PHOTOS
    viewer = widgets["Pick a photo"]
    assert viewer.image_attr.name == "image"
    assert [var.name for var in viewer.title_attrs] == ["title"]
    titles = list(viewer.data.get_column("title"))
    viewer.view.select_rows([titles.index("Chelsea the cat")])
    similar = widgets["Most like it"]
    assert QTest.qWaitFor(lambda: similar.data is not None, 10_000)
    like = similar.data
    assert like.domain["image"].attributes["origin"] == str(installed)
    closest = np.argsort(like.get_column("distance"))[:2]
    assert {str(like[int(i)]["kind"]) for i in closest} == {"cats"}


def test_grid_of_photos(installed, open_workflow):
    widgets = open_workflow(installed / "4-grid-of-photos.ows")
    assert not no_messages(widgets)
    grid = widgets["Image Grid"]
    assert len(grid.view.selection.groups) == N_PHOTOS
    kinds = grid.data.get_column("category")[grid._shown]
    places = np.column_stack(np.divmod(grid.view.sheet_geometry.cells, grid.columns))
    distances = np.abs(places[:, None] - places).max(axis=2)
    np.fill_diagonal(distances, 99)
    beside = [
        (kinds[row == 1] == kind).any()
        for row, kind in zip(distances, kinds, strict=True)
    ]
    assert all(beside)

    cats = np.flatnonzero(kinds == KINDS.index("cats"))
    grid.view.select(cats, Qt.KeyboardModifier.NoModifier)
    viewer = widgets["Image Viewer"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    assert set(viewer.data.get_column("category")) == {KINDS.index("cats")}
    assert len(viewer.data) == len(cats)


def test_save_a_cluster(installed, open_workflow, tmp_path, monkeypatch):
    before = sorted(tmp_path.rglob("*"))
    widgets = open_workflow(installed / "5-save-a-cluster.ows")
    assert not no_messages(widgets)
    saving = widgets["Save Images"]
    assert QTest.qWaitFor(lambda: saving.data is not None, 10_000)
    assert len(saving.data) == N_PHOTOS
    # Opened, it writes nothing, and it knows no folder to write into.
    QTest.qWait(1000)
    assert saving.task is None
    assert not saving.auto_save
    assert not saving.dirname
    assert sorted(tmp_path.rglob("*")) == before

    tree = widgets["Hierarchical Clustering"]
    kinds = tree.items.get_column("category")
    leaves = [node for node in postorder(tree.root) if node.is_leaf]

    def kinds_within(node):
        first, last = node.value.range
        return [KINDS[int(kinds[leaf.value.index])] for leaf in leaves[first:last]]

    (cats,) = (x for x in postorder(tree.root) if kinds_within(x) == ["cats"] * 3)
    tree.dendrogram.set_selected_items([tree.dendrogram.item(cats)])
    tree.dendrogram.selectionEdited.emit()
    assert QTest.qWaitFor(lambda: len(saving.data) == 3, 10_000)
    assert widgets["Image Viewer"].data is not None

    out = tmp_path / "out"
    monkeypatch.setattr(
        "AnyQt.QtWidgets.QFileDialog.getExistingDirectory", lambda *_: str(out)
    )
    saving.bt_save.click()
    assert QTest.qWaitFor(lambda: saving.task is None, 10_000)
    saved = {path.name: path.read_bytes() for path in (out / "cats").iterdir()}
    photos = (installed / "photos" / "cats").iterdir()
    assert saved == {path.name: path.read_bytes() for path in photos}


def test_predict_another_folder(installed, open_workflow, fresh_cache, counted):
    widgets = open_workflow(installed / "6-predict-another-folder.ows")
    assert not no_messages(widgets)
    assert widgets["Known photos"].folder == str(installed / "photos")
    assert widgets["New photos"].folder == str(installed / "new-photos")
    viewer = widgets["What they are"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    photos = viewer.data
    predicted = photos.domain["Logistic Regression"]
    assert viewer.title_attrs == [predicted]
    assert list(predicted.values) == KINDS
    assert {str(row["image name"]): str(row[predicted]) for row in photos} == NEW_PHOTOS
    assert sum(counted) == N_PHOTOS + len(NEW_PHOTOS)


def test_map_of_photos(installed, open_workflow):
    widgets = open_workflow(installed / "7-map-of-photos.ows")
    images = widgets["Image Map"]
    assert QTest.qWaitFor(lambda: images.data is not None, 60_000)
    assert not no_messages(widgets)
    assert [axis.name for axis in images.axes] == ["t-SNE-x", "t-SNE-y"]
    places = images.get_embedding()
    kinds = images.data.get_column("category")
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (kinds[distances.argmin(axis=1)] == kinds).mean() > 0.7

    images.legend.clicked.emit(KINDS.index("cats"), Qt.KeyboardModifier.NoModifier)
    viewer = widgets["Image Viewer"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    assert set(viewer.data.get_column("category")) == {KINDS.index("cats")}


def test_what_a_model_looks_at(installed, open_workflow):
    widgets = open_workflow(installed / "11-what-a-model-looks-at.ows")
    explain = widgets["Explain Images"]
    assert QTest.qWaitFor(
        lambda: explain.explaining is not None and explain.task is None, 120_000
    )
    assert not no_messages(widgets)
    assert explain.explaining.method == "activation"
    photos = widgets["Where the heat is"].input.table
    explained = photos.get_column("explained class")
    assert len(photos) == 8
    assert (explained != photos.Y).all()  # all of them are predicted wrongly
    for explanation in explain.explaining.explanations.values():
        # The cat or cup speaks against it, and nothing of it is hot.
        values = explanation.heat_map.values
        assert values.min() < 0 < values.max()


def test_find_photos(installed, open_workflow):
    widgets = open_workflow(installed / "8-find-photos.ows")
    finder, viewer = widgets["Find Images"], widgets["Image Viewer"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    assert not no_messages(widgets)
    examples = {source for source, _, _ in finder.examples}
    assert examples == {
        str(installed / "photos" / "cats" / name)
        for name in ("cat.jpg", "cat-ears.jpg")
    }
    found = viewer.data
    assert len(found) == 5
    kinds = found.get_column("category")
    assert set(kinds[:3]) == {KINDS.index("cats")}
    scores = found.get_column("score")
    assert (np.diff(scores) <= 0).all()

    other = next(p for p in finder._sources if p.endswith("falcon.jpg"))
    finder.remove_examples([0, 1])
    finder.add_examples([other])
    assert QTest.qWaitFor(
        lambda: str(viewer.data[0]["image"]).endswith("falcon.jpg"), 60_000
    )


def test_photos_twice(installed, open_workflow):
    """A model seems to know the sides of a coin, until twins are kept together."""
    widgets = open_workflow(installed / "9-photos-twice.ows")
    usual, together = widgets["As Usual"], widgets["Twins Together"]
    for widget in (usual, together):
        assert QTest.qWaitFor(
            lambda widget=widget: (
                widget.learners
                and all(slot.results is not None for slot in widget.learners.values())
            ),
            60_000,
        )
    assert not no_messages(widgets)
    twins = widgets["Twins"]
    assert twins.twins.n_groups == 16
    assert (twins.twins.groups > 0).all()
    assert together.fold_feature.name == "fold"

    def accuracy(widget):
        (slot,) = widget.learners.values()
        results = slot.results.value
        return (results.predicted[0] == results.actual).mean()

    assert accuracy(usual) > 0.95
    assert 0.3 < accuracy(together) < 0.65


def test_label_photos(installed, open_workflow, fresh_cache):
    widgets = open_workflow(installed / "10-label-photos.ows")
    assert not no_messages(widgets)
    labelling = widgets["Label Images"]
    session = labelling.session
    assert session.n_labeled == 6 and session.skipped.sum() == 1
    names = {number: given.name for number, given in session.classes.items()}
    kinds = labelling.data.get_column("category")[labelling._rows]
    labels = session.labels
    assert [names[n] for n in labels[labels != -1]] == [
        KINDS[int(kind)] for kind in kinds[labels != -1]
    ]
    # Nothing is autosaved because a workflow is opened.
    assert not labelling.store.autosave_path
    viewer = widgets["What they are"]
    assert QTest.qWaitFor(lambda: viewer.data is not None, 60_000)
    photos = viewer.data
    predicted = photos.domain["Logistic Regression"]
    assert viewer.title_attrs == [predicted]
    assert {str(row["image name"]): str(row[predicted]) for row in photos} == NEW_PHOTOS


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_nothing_of_this_machine_is_in_workflows(workflow):
    for properties in settings(workflow).values():
        for recent in properties.get("recent_paths", []):
            assert recent.abspath == ""
            assert recent.prefix == "basedir"
            assert os.path.exists(os.path.join(FOLDER, recent.relpath))
        for source, prefix, relpath in properties.get("examples", []):
            assert (source, prefix) == ("", "basedir")
            assert os.path.exists(os.path.join(FOLDER, relpath))
        written = pickle.dumps(properties)
        assert os.path.expanduser("~").encode() not in written
        assert b"savedWidgetGeometry" not in written


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_what_orange_shows_of_workflows(workflow):
    path = os.path.join(FOLDER, workflow)
    title, description, _ = preview_parse(path)
    assert title
    summary, *_ = description.split("\n\n")
    assert len(summary) < 100
    texts = ElementTree.parse(path).getroot().findall("annotations/text")
    n_nodes = len(ElementTree.parse(path).getroot().findall("nodes/node"))
    steps = re.findall(r"\*\*(\d)\.\*\*", " ".join(text.text for text in texts))
    assert n_nodes - 1 <= len(steps) <= n_nodes
    assert sorted(steps) == [str(number + 1) for number in range(len(steps))]


def test_photos_are_credited():
    table, n_skipped = ImportImages()(os.path.join(FOLDER, "photos"))
    assert n_skipped == 0
    assert list(table.domain.class_var.values) == KINDS
    assert table.get_column("size").sum() < 2_000_000
    assert max(table.get_column("width").max(), table.get_column("height").max()) <= 640
    photos = {f"photos/{path}" for path in table.get_column("image")}
    assert len(photos) == N_PHOTOS

    listed = Table(os.path.join(FOLDER, "photos.tab"))
    assert set(listed.get_column("image")) == photos
    with open(os.path.join(FOLDER, "CREDITS.md"), encoding="utf-8") as file:
        credits = file.read()
    named = re.findall(r"`(\w+/[\w-]+\.jpg)`", credits)
    assert sorted(f"photos/{name}" for name in named) == sorted(photos)
    lines = [line for line in credits.splitlines() if line.startswith("| `")]
    for row in listed:
        name = str(row["image"]).removeprefix("photos/")
        (line,) = (line for line in lines if f"`{name}`" in line)
        assert str(row["author"]) in line
        assert str(row["licence"]) in line


def test_copies_are_of_credited_photos():
    table, n_skipped = ImportImages()(os.path.join(FOLDER, "coin-toss"))
    assert (len(table), n_skipped) == (48, 0)
    assert table.get_column("size").sum() < 500_000
    with open(os.path.join(FOLDER, "CREDITS.md"), encoding="utf-8") as file:
        named = set(re.findall(r"([\w-]+)\.jpg`", file.read()))
    names = {
        re.sub("-(small|mirrored)$", "", n) for n in table.get_column("image name")
    }
    assert len(names) == 16
    assert names <= named


def test_new_photos_are_credited():
    table, n_skipped = ImportImages()(os.path.join(FOLDER, "new-photos"))
    assert n_skipped == 0
    assert table.domain.class_var is None
    assert set(table.get_column("image name")) == set(NEW_PHOTOS)
    assert table.get_column("size").sum() < 500_000
    with open(os.path.join(FOLDER, "CREDITS.md"), encoding="utf-8") as file:
        named = re.findall(r"`([\w-]+\.jpg)` \|", file.read())
    assert sorted(named) == sorted(table.get_column("image"))

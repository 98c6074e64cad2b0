import copy
import os
import pickle

import numpy as np
import pytest
from AnyQt.QtCore import QItemSelectionModel, Qt
from AnyQt.QtGui import QImage
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
from image_files import save_stack
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from Orange.widgets.tests.base import WidgetTest
from Orange.widgets.tests.utils import simulate
from orangewidget.settings import Context
from PIL import Image
from scipy import sparse
from shard_files import jpeg, make_shard

from orangecontrib.imageanalytics.images.shards import member_source, shard_members
from orangecontrib.imageanalytics.images.sources import is_file
from orangecontrib.imageanalytics.widgets import owimageviewer
from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer
from orangecontrib.imageanalytics.widgets.sheet import imageactions, thumbnails
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import (
    SourceRole,
    ThumbnailRole,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail
from orangecontrib.imageanalytics.widgets.utils import desktop

NAMES = ["a.png", "b.png", "c.png", "d.png", "e.png"]
# As the version of the add-on before this one saved it.
OLD_SETTINGS = {
    "autoCommit": True,
    "controlAreaVisible": True,
    "imageSize": 208,
    "savedWidgetGeometry": None,
    "__version__": 2,
}
OLD_CONTEXT = {
    "values": {
        "image_attr": ("image", 103),
        "selected_items": ({"c.png", "b.png"}, -2),
        "title_attr": ("name", 103),
        "__version__": 2,
    },
    "attributes": {"class": 1},
    "metas": {"name": 3, "image": 3},
}


def old_context():
    """One that migrating may change."""
    return Context(**copy.deepcopy(OLD_CONTEXT))


class Corpus(Table):
    """As other add-ons have."""


class TestOWImageViewer(WidgetTest):
    @pytest.fixture(autouse=True)
    def images(self, tmp_path):
        self.folder = str(tmp_path)
        for index, name in enumerate(NAMES):
            image = Image.new("RGB", (60 + index, 40), (50 * index, 90, 200))
            image.save(tmp_path / name)

    def setUp(self):
        self.widget = self.create_widget(OWImageViewer)

    def data(self, names=NAMES, cls=Table, X=None):
        image = StringVariable("image")
        image.attributes.update(type="image", origin=self.folder)
        classes = DiscreteVariable("class", values=("x", "y"))
        domain = Domain([], classes, [StringVariable("name"), image])
        if X is not None:
            attributes = [ContinuousVariable(f"x{i}") for i in range(X.shape[1])]
            domain = Domain(attributes, domain.class_vars, domain.metas)
        else:
            X = np.empty((len(names), 0))
        metas = np.array(
            [[str(name).upper(), name] for name in names], dtype=object
        ).reshape(-1, 2)
        return cls.from_numpy(domain, X, np.arange(len(names)) % 2.0, metas)

    @property
    def view(self):
        return self.widget.view

    def send(self, data):
        self.send_signal(self.widget.Inputs.data, data)

    def selected(self):
        data = self.get_output(self.widget.Outputs.selected_data)
        return None if data is None else list(data.get_column("image"))

    def show(self, loaded=True):
        self.widget.resize(900, 700)
        self.widget.show()
        if loaded:
            loader = self.widget.loader
            self.process_events(lambda: len(loader.cache) and loader.idle)

    def tick(self, *names):
        """Choose labels as a user does."""
        combo = self.widget.labels_combo
        wanted = set(names)
        for row, variable in enumerate(combo.variables):
            name = getattr(variable, "name", None)
            ticked = {var.name for var in combo.chosen()}
            if name is not None and (name in wanted) != (name in ticked):
                combo._toggle(combo.variables.index(row))

    def titles(self):
        model = self.view.model()
        return [model.index(row).data() for row in range(model.rowCount())]

    def test_outputs(self):
        data = self.data()
        self.send(data)
        assert self.selected() is None
        annotated = self.get_output(self.widget.Outputs.data)
        assert annotated.domain["Selected"].values == ("No", "Yes")
        np.testing.assert_array_equal(annotated.get_column("Selected"), 0)

        self.view.select_rows([3, 1])
        assert self.selected() == ["b.png", "d.png"]
        annotated = self.get_output(self.widget.Outputs.data)
        np.testing.assert_array_equal(annotated.get_column("Selected"), [0, 1, 0, 1, 0])
        np.testing.assert_array_equal(annotated.ids, data.ids)

        self.send(None)
        assert self.selected() is None
        assert self.get_output(self.widget.Outputs.data) is None
        assert self.view.model().rowCount() == 0

    def test_rows_without_a_image_are_left_out(self):
        self.send(self.data(["", "a.png", None, "c.png"]))
        assert self.titles() == ["x", "x"] or self.titles() == ["y", "y"]
        self.view.selectAll()
        assert self.selected() == ["a.png", "c.png"]
        annotated = self.get_output(self.widget.Outputs.data)
        np.testing.assert_array_equal(annotated.get_column("Selected"), [0, 1, 0, 1])

    def test_relative_paths_start_from_the_origin(self):
        self.send(self.data())
        source = self.view.model().index(0).data(SourceRole)
        assert source == os.path.join(self.folder, "a.png")
        self.show()
        assert self.view.model().index(0).data(ThumbnailRole).size == (60, 40)
        assert not self.widget.Warning.no_images_shown.is_shown()

    def test_without_automatic_commit(self):
        self.send(self.data())
        self.widget.controls.autoCommit.click()
        self.view.selectAll()
        assert self.selected() is None
        self.widget.commit.now()
        assert self.selected() == NAMES

    def test_control_a(self):
        self.send(self.data())
        self.show()
        QTest.keyClick(self.view, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        assert self.selected() == NAMES

    def test_selection_is_kept_for_the_same_images(self):
        data = self.data()
        self.send(data)
        self.view.select_rows([0, 1])
        self.send(data[::-1])
        assert self.selected() == ["b.png", "a.png"]
        # What is away for a while comes back selected.
        self.send(data[2:])
        assert self.selected() is None
        self.send(data[1:])
        assert self.selected() == ["b.png"]
        self.send(data)
        assert self.selected() == ["a.png", "b.png"]
        self.send(data[1:])
        self.view.select_rows([1])
        self.send(data)
        assert self.selected() == ["c.png"]

    def test_selection_is_not_kept_for_other_columns(self):
        self.send(self.data())
        self.view.select_rows([0])
        other = self.data().transform(
            Domain([], None, [self.data().domain["image"].renamed("other")])
        )
        self.send(other)
        assert self.widget.selected_items == set()
        assert self.get_output(self.widget.Outputs.selected_data) is None

    def test_selection_and_columns_are_saved(self):
        self.send(self.data())
        self.tick("name")
        self.view.select_rows([2])
        settings = self.widget.settingsHandler.pack_data(self.widget)
        self.widget = self.create_widget(OWImageViewer, stored_settings=settings)
        self.send(self.data())
        assert [var.name for var in self.widget.title_attrs] == ["name"]
        assert self.view.selected_rows() == [2]
        assert self.selected() == ["c.png"]

    def reopen(self):
        settings = self.widget.settingsHandler.pack_data(self.widget)
        settings = pickle.loads(pickle.dumps(settings))
        self.widget = self.create_widget(OWImageViewer, stored_settings=settings)

    def test_one_of_several_equal_cells_is_saved(self):
        data = self.data(["a.png", "b.png", "a.png", "a.png"])
        for rows in ([0], [2], [0, 3], [0, 1, 2, 3], [1]):
            self.send(data)
            self.view.select_rows(rows)
            self.reopen()
            self.send(data)
            assert self.view.selected_rows() == rows
            self.send(None)
        self.send(data)
        self.view.select_rows([0, 2, 3])
        self.send(data[1:3])
        assert self.selected() == ["a.png"]

    def test_cells_saved_without_a_number_stand_for_all_like_them(self):
        settings = {
            **OLD_SETTINGS,
            "context_settings": [old_context()],
        }
        self.widget = self.create_widget(OWImageViewer, stored_settings=settings)
        self.send(self.data(["b.png", "a.png", "b.png"]))
        assert self.view.selected_rows() == [0, 2]

    def test_settings_of_the_older_add_on(self):
        settings = {
            **OLD_SETTINGS,
            "context_settings": [old_context()],
        }
        self.widget = self.create_widget(OWImageViewer, stored_settings=settings)
        assert self.view.scale() == 208
        self.send(self.data())
        assert self.widget.image_attr.name == "image"
        assert [var.name for var in self.widget.title_attrs] == ["name"]
        assert self.selected() == ["b.png", "c.png"]

    def test_older_contexts_without_a_text_column_are_dropped(self):
        for stored in (None, ("class", 101)):
            values = {**OLD_CONTEXT["values"], "image_attr": stored, "__version__": 1}
            context = Context(**{**OLD_CONTEXT, "values": values})
            settings = {"__version__": 1, "context_settings": [context]}
            self.widget = self.create_widget(OWImageViewer, stored_settings=settings)
            self.send(self.data())
            assert self.widget.image_attr.name == "image"
            assert self.selected() is None

    def test_sizes_that_the_slider_does_not_have(self):
        for stored, size in ((10**9, 1024), (-5, 32), ("large", 100), (64.0, 64)):
            settings = {**OLD_SETTINGS, "imageSize": stored}
            self.widget = self.create_widget(OWImageViewer, stored_settings=settings)
            assert self.view.scale() == size

    def test_drop_in_for_the_older_viewers(self):
        widget = OWImageViewer
        assert "Orange.widgets.data.owimageviewer.OWImageViewer" in widget.replaces
        assert widget.Inputs.data.name == "Data"
        outputs = widget.Outputs.selected_data.name, widget.Outputs.data.name
        assert outputs == ("Selected Images", "Data")

    def test_proposed_columns(self):
        data = self.data()
        image, name = data.domain["image"], data.domain["name"]
        marked = DiscreteVariable("marked", values=("a.png",))
        marked.attributes["type"] = "image"
        plain = DiscreteVariable("plain", values=("a.png",))
        for domain, image_attr, title_attr in (
            (Domain([], data.domain.class_var, [name, image]), image, "class"),
            (Domain([], None, [name, image]), image, "name"),
            (Domain([], None, [image]), image, "image"),
            (Domain([], None, [name]), name, "name"),
            (Domain([], None, [plain, name]), name, "name"),
            (Domain([], None, [plain, marked]), marked, "marked"),
            (Domain([], None, [plain]), plain, "plain"),
        ):
            self.send(data.transform(domain))
            assert self.widget.image_attr == image_attr
            assert [var.name for var in self.widget.title_attrs] == [title_attr]

    def test_categories_are_offered_if_there_is_no_text(self):
        plain, marked = (DiscreteVariable(n, values=NAMES) for n in ("plain", "marked"))
        marked.attributes["type"] = "image"
        name = StringVariable("name")
        for metas, offered in (
            ([plain, marked, name], ["marked", "name"]),
            ([plain, marked], ["marked", "plain"]),
            ([plain], ["plain"]),
        ):
            self.send(self.data().transform(Domain([], None, metas)))
            assert [var.name for var in self.widget.image_model] == offered
        metas = np.array([[0.0], [np.nan], [2.0]])
        self.send(
            Table.from_numpy(Domain([], None, [plain]), np.empty((3, 0)), metas=metas)
        )
        self.view.selectAll()
        assert self.titles() == ["a.png", "c.png"]
        output = self.get_output(self.widget.Outputs.selected_data)
        assert list(output.get_column("plain")) == [0, 2]

    def test_titles(self):
        data = self.data()
        with data.unlocked(data.Y):
            data.Y[0] = np.nan
        self.send(data)
        assert self.titles() == ["", "y", "x", "y", "x"]
        self.view.select_rows([1])
        self.tick("name")
        assert self.titles() == [name.upper() for name in NAMES]
        self.tick()
        assert self.titles() == [""] * 5
        assert self.view.selected_rows() == [1]

    def test_several_labels(self):
        self.send(self.data())
        self.view.select_rows([1])
        height = self.view.visualRect(self.view.model().index(0)).height()
        self.tick("class", "name")
        assert self.titles() == [
            "x, A.PNG",
            "y, B.PNG",
            "x, C.PNG",
            "y, D.PNG",
            "x, E.PNG",
        ]
        assert self.view.model().labels(1) == ["y", "B.PNG"]
        assert self.view.visualRect(self.view.model().index(0)).height() > height
        assert self.view.selected_rows() == [1]
        assert self.widget.labels_combo.text() == "class, name"
        self.reopen()
        self.send(self.data())
        assert self.view.model().labels(1) == ["y", "B.PNG"]
        self.tick()
        self.reopen()
        self.send(self.data())
        assert self.widget.title_attrs == []
        assert self.view.model().labels(1) == []

    def test_colors(self):
        self.send(self.data())
        widget = self.widget
        assert widget.color_attr is None and self.view.look.colors is None
        simulate.combobox_activate_item(widget.controls.color_attr, "class")
        np.testing.assert_array_equal(
            self.view.look.colors, widget.data.domain["class"].colors[[0, 1, 0, 1, 0]]
        )
        assert widget.legend.rows() == [("x", "3"), ("y", "2")]
        widget.legend.clicked.emit(0, Qt.KeyboardModifier.NoModifier)
        assert self.selected() == ["a.png", "c.png", "e.png"]
        assert widget.legend.rows() == [("x", "3 of 3"), ("y", "2")]
        widget.legend.clicked.emit(1, Qt.KeyboardModifier.ShiftModifier)
        assert self.selected() == NAMES
        # Rows in another order have their own colours.
        simulate.combobox_activate_item(widget.controls.group_attr, "class")
        np.testing.assert_array_equal(
            self.view.look.colors, widget.data.domain["class"].colors[[0, 0, 0, 1, 1]]
        )
        assert widget.legend.rows() == [("x", "3 of 3"), ("y", "2 of 2")]
        self.reopen()
        self.send(self.data())
        assert self.widget.color_attr.name == "class"
        self.send(None)
        assert self.view.look.colors is None

    def shown(self):
        model = self.view.model()
        return "".join(
            os.path.basename(model.source(row))[0] for row in range(model.rowCount())
        )

    def test_sorting(self):
        data = self.data(X=np.array([[2, np.nan, 1, 2, 0]], dtype=float).T)
        self.send(data)
        self.view.select_rows([0, 1])
        combo = self.widget.controls.sort_attr
        for name, ascending, descending in (
            ("x0", "ecadb", "adceb"),
            ("name", "abcde", "edcba"),
            ("class", "acebd", "bdace"),
        ):
            simulate.combobox_activate_item(combo, name)
            assert self.shown() == ascending
            self.widget.controls.descending.click()
            assert self.shown() == descending
            self.widget.controls.descending.click()
        # The selection goes with the images, and the output is as the data.
        assert self.view.selected_rows() == [0, 3]
        self.view.select_rows([3, 2])
        assert self.selected() == ["b.png", "e.png"]
        self.reopen()
        self.send(data)
        assert self.shown() == "acebd"
        assert self.selected() == ["b.png", "e.png"]
        simulate.combobox_activate_index(self.widget.controls.sort_attr, 0)
        assert self.shown() == "abcde"

    def test_sorting_loads_nothing_again(self):
        self.send(self.data())
        self.show()
        loaded = [self.widget.loader.get(self.view.model().source(r)) for r in range(5)]
        combo = self.widget.controls.sort_attr
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(thumbnails, "stamp", lambda path: pytest.fail("read again"))
            patch.setattr(
                owimageviewer, "numbered_cells", lambda *a: pytest.fail("read again")
            )
            simulate.combobox_activate_item(combo, "name")
            self.process_events(lambda: self.widget.loader.idle)
        sources = [thumbnail.source for thumbnail in loaded]
        assert [self.widget.loader.get(source) for source in sources] == loaded
        # The same table may come because its files have changed.
        Image.new("RGB", (30, 30)).save(sources[0])
        self.send(self.data())
        self.process_events(lambda: self.widget.loader.get(sources[0]).size == (30, 30))

    def test_groups(self):
        data = self.data()
        with data.unlocked(data.Y):
            data.Y[3] = np.nan
        self.send(data)
        self.show()
        self.view.select_rows([0, 1])
        simulate.combobox_activate_item(self.widget.controls.group_attr, "class")
        look = self.view.look
        assert self.shown() == "acebd"
        assert look.headings == ["x", "y", "(missing)"]
        assert look.counts.tolist() == [3, 1, 1]
        assert self.view.selected_rows() == [0, 3]
        # A click on a heading hides its images, another one shows them.
        place = self.view.heading_rect(1).center()
        click = QTest.mouseClick
        left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
        click(self.view.viewport(), left, none, place)
        assert look.collapsed.tolist() == [False, True, False]
        assert list(self.view.visible_rows()) == [0, 1, 2, 4]
        assert self.selected() == ["a.png", "b.png"]
        # The keys pass over it.
        self.view.setCurrentIndex(self.view.model().index(2))
        QTest.keyClick(self.view, Qt.Key.Key_Right)
        assert self.view.currentIndex().row() == 4
        QTest.keyClick(self.view, Qt.Key.Key_Minus)
        assert self.widget.collapsed_groups == {"y", None}
        assert not self.view.grab().isNull()

        self.reopen()
        self.send(data)
        assert self.view.look.collapsed.tolist() == [False, True, True]
        self.show(loaded=False)
        self.view.setCurrentIndex(self.view.model().index(0))
        QTest.keyClick(self.view, Qt.Key.Key_Asterisk)
        assert not self.view.look.collapsed.any()
        QTest.keyClick(self.view, Qt.Key.Key_Minus)
        QTest.keyClick(self.view, Qt.Key.Key_Plus)
        assert self.widget.collapsed_groups == set()
        simulate.combobox_activate_index(self.widget.controls.group_attr, 0)
        assert self.view.look.headings == []
        assert self.shown() == "abcde"

    def test_sorted_within_groups(self):
        self.send(self.data())
        widget = self.widget
        simulate.combobox_activate_item(widget.controls.group_attr, "class")
        simulate.combobox_activate_item(widget.controls.sort_attr, "name")
        widget.controls.descending.click()
        assert self.shown() == "ecadb"

    def test_one_of_several_equal_cells_stays_selected_when_sorted(self):
        data = self.data(["a.png", "b.png", "a.png"], X=np.array([[3.0], [2], [1]]))
        self.send(data)
        self.view.select_rows([0])
        simulate.combobox_activate_item(self.widget.controls.sort_attr, "x0")
        assert self.view.selected_rows() == [2]
        self.reopen()
        self.send(data)
        assert self.view.selected_rows() == [2]
        np.testing.assert_array_equal(
            self.get_output(self.widget.Outputs.selected_data).X, [[3]]
        )

    def test_empty_states_say_what_to_do(self):
        assert "Import Images" in self.view.look.message
        self.send(self.data())
        assert self.view.look.message == ""
        self.send(Table("iris"))
        assert "no column with images" in self.view.look.message
        data = self.data().copy()
        with data.unlocked():
            data.metas[:] = ""
        self.send(data)
        name = self.widget.image_attr.name
        assert f"Column '{name}' is empty." in self.view.look.message
        self.send(None)
        assert "Import Images" in self.view.look.message
        assert "no column" not in self.view.look.message
        # Nothing covers the images when a widget is opened for the first time.
        assert not OWImageViewer.UserAdviceMessages

    def test_another_column(self):
        self.send(self.data())
        self.view.select_rows([0])
        simulate.combobox_activate_item(self.widget.controls.image_attr, "name")
        assert self.view.model().index(0).data(SourceRole) == "A.PNG"
        assert self.get_output(self.widget.Outputs.selected_data) is None
        self.show()
        assert self.widget.Warning.no_images_shown.is_shown()
        message = str(self.widget.Warning.no_images_shown)
        assert "name" in message and "file not found" in message
        simulate.combobox_activate_item(self.widget.controls.image_attr, "image")
        self.process_events(
            lambda: (
                not self.widget.Warning.no_images_shown.is_shown()
                and self.widget.loader.idle
            )
        )
        assert self.view.model().index(0).data(ThumbnailRole).image is not None

    def test_one_broken_image_is_no_reason_to_warn(self):
        self.send(self.data(["missing.png", *NAMES]))
        self.show()
        assert not self.widget.Warning.no_images_shown.is_shown()
        index = self.view.model().index(0)
        assert index.data(ThumbnailRole).error == "file not found"
        assert "file not found" in index.data(Qt.ItemDataRole.ToolTipRole)

    def test_data_without_images(self):
        self.send(Table("iris")[::10])
        assert self.widget.Error.no_image_attr.is_shown()
        assert self.widget.image_attr is None
        assert self.get_output(self.widget.Outputs.data) is None
        self.send(None)
        assert not self.widget.Error.no_image_attr.is_shown()

    def test_empty_table(self):
        self.send(self.data([]))
        assert self.view.model().rowCount() == 0
        assert not self.widget.Warning.active and not self.widget.Error.active
        assert len(self.get_output(self.widget.Outputs.data)) == 0

    def test_all_missing(self):
        self.send(self.data(["", None, ""]))
        assert self.widget.Warning.no_images.is_shown()
        self.send(self.data())
        assert not self.widget.Warning.no_images.is_shown()

    def test_subclass_and_sparse(self):
        self.send(self.data(cls=Corpus, X=sparse.csr_matrix(np.eye(5))))
        self.view.select_rows([1, 2])
        selected = self.get_output(self.widget.Outputs.selected_data)
        assert isinstance(selected, Corpus) and sparse.issparse(selected.X)
        annotated = self.get_output(self.widget.Outputs.data)
        assert isinstance(annotated, Corpus) and len(annotated) == 5

    def test_summaries(self):
        self.send(self.data())
        self.view.select_rows([1])
        (summary,) = self.widget.input_summaries["Data"].values()
        assert summary.summary == 5
        (summary,) = self.widget.output_summaries["Selected Images"].values()
        assert summary.summary == 1

    def test_many_rows_are_loaded_lazily(self):
        data = self.data([f"{index}.png" for index in range(20_000)])
        self.send(data)
        assert len(self.view.model().loader.cache) == 0
        self.show()
        n_visible = len(self.view.visible_rows())
        assert n_visible <= len(self.widget.loader.cache) <= 3 * n_visible
        self.view.selectAll()
        assert len(self.selected()) == 20_000

    def test_size(self):
        self.send(self.data())
        self.widget.controls.imageSize.setValue(200)
        assert self.view.scale() == 200
        self.view.zoom_by(1)
        assert self.view.scale() == self.widget.imageSize == 216
        for direction, end in ((1, 1024), (-1, 32)):
            for _ in range(70):
                self.view.zoom_by(direction)
            assert self.view.scale() == self.widget.imageSize == end

    def test_preview(self):
        self.send(self.data())
        self.show()
        self.view.setCurrentIndex(self.view.model().index(1))
        QTest.keyClick(self.view, Qt.Key.Key_Space)
        assert self.widget.preview.isVisible()
        QTest.keyClick(self.widget.preview, Qt.Key.Key_Right)
        assert self.selected() == ["c.png"]
        QTest.keyClick(self.widget.preview, Qt.Key.Key_Escape)
        assert not self.widget.preview.isVisible()

    def test_moving_in_the_preview_keeps_the_selection(self):
        self.send(self.data())
        self.show()
        self.view.select_rows([0, 2])
        self.view.preview_requested.emit(self.view.currentIndex())
        output = self.get_output(self.widget.Outputs.selected_data)
        QTest.keyClick(self.widget.preview, Qt.Key.Key_Right)
        assert self.view.currentIndex().row() == 1
        assert self.selected() == ["a.png", "c.png"]
        assert self.get_output(self.widget.Outputs.selected_data) is output

    def test_nothing_is_sent_while_the_mouse_is_down(self):
        self.send(self.data())
        self.show()
        viewport, left = self.view.viewport(), Qt.MouseButton.LeftButton
        place = self.view.visualRect(self.view.model().index(1)).center()
        no_modifier = Qt.KeyboardModifier.NoModifier
        QTest.mousePress(viewport, left, no_modifier, place)
        assert self.view.selected_rows() == [1]
        assert self.selected() is None
        QTest.mouseRelease(viewport, left, no_modifier, place)
        assert self.selected() == ["b.png"]
        assert self.widget.selected_items == {"b.png"}

    def test_restored_selection_has_the_current_item(self):
        self.send(self.data())
        self.view.select_rows([1, 3])
        self.send(self.data()[1:])
        assert self.selected() == ["b.png", "d.png"]
        assert self.view.currentIndex().row() == 0

    def test_images_of_the_old_data_do_not_decide_on_the_warning(self):
        self.send(self.data())
        image = QImage(1, 1, QImage.Format.Format_RGB32)
        old = Thumbnail(self.view.model().index(0).data(SourceRole), None, image)
        self.send(self.data(["missing.png"]))
        missing = self.view.model().index(0).data(SourceRole)
        self.widget.loader.loaded.emit([old])
        failed = Thumbnail(missing, None, error="file not found")
        self.widget.loader.loaded.emit([failed])
        assert self.widget.Warning.no_images_shown.is_shown()
        self.send(self.data())
        self.widget.loader.loaded.emit([failed])
        assert not self.widget.Warning.no_images_shown.is_shown()

    def menu(self, row):
        index = self.view.model().index(row)
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.view.selectionModel().setCurrentIndex(index, flag)
        actions = self.widget.image_actions.menu(index).actions()
        return {action.text(): action for action in actions if action.text()}

    def test_context_menu(self):
        self.send(self.data(["a.png", "missing.png", "data:image/png;base64,x"]))
        self.show()
        enabled = [
            {text for text, action in self.menu(row).items() if action.isEnabled()}
            for row in range(3)
        ]
        anything = {"Preview", "Copy Path"}
        files = {*anything, "Show in Folder"}
        assert enabled[0] == {*files, "Open in Desktop's Viewer", "Copy Image"}
        # What is no image could be a program.
        assert enabled[1] == files
        assert enabled[2] == {"Preview", "Copy Address"}

    def test_context_menu_of_a_shard(self):
        path = os.path.join(self.folder, "a.tar")
        with open(path, "wb") as file:
            file.write(make_shard([("in/a.jpg", jpeg(1))]))
        self.addCleanup(os.remove, path)
        (member,) = shard_members(path)
        self.send(self.data([member_source(path, member), "memory://a.jpg"]))
        self.show()
        enabled = [
            {text for text, action in self.menu(row).items() if action.isEnabled()}
            for row in range(2)
        ]
        shown = {"Preview", "Copy Image", "Copy Address"}
        assert enabled == [{*shown, "Show in Folder"}, {"Preview", "Copy Address"}]

    def test_open_and_show_in_folder(self):
        opened, result = [], [True]

        class Desktop:
            @staticmethod
            def open_image(source):
                opened.append(source)
                return result[0]

            show_in_folder = open_image

        original, imageactions.desktop = imageactions.desktop, Desktop
        self.addCleanup(setattr, imageactions, "desktop", original)
        self.send(self.data())
        self.show()
        self.menu(1)["Open in Desktop's Viewer"].trigger()
        self.menu(2)["Show in Folder"].trigger()
        assert [os.path.basename(source) for source in opened] == ["b.png", "c.png"]
        assert not self.widget.Warning.cannot_open.is_shown()
        result[0] = False
        self.menu(1)["Open in Desktop's Viewer"].trigger()
        assert self.widget.Warning.cannot_open.is_shown()

    def test_copy(self):
        clipboard = QApplication.clipboard()
        self.send(self.data())
        self.show()
        self.menu(1)["Copy Path"].trigger()
        assert clipboard.text() == os.path.join(self.folder, "b.png")
        self.view.select_rows([0, 4])
        actions = self.widget.image_actions.menu(self.view.model().index(4)).actions()
        next(action for action in actions if action.text() == "Copy Path").trigger()
        assert [os.path.basename(path) for path in clipboard.text().split("\n")] == [
            "a.png",
            "e.png",
        ]
        clipboard.clear()
        self.menu(4)["Copy Image"].trigger()
        self.process_events(lambda: not clipboard.image().isNull())
        image = clipboard.image()
        assert (image.width(), image.height()) == (64, 40)
        assert image.pixelColor(5, 5).red() == 200
        assert len(self.widget.image_actions.copier.cache) == 0

    def test_copying_a_image_that_has_gone(self):
        self.send(self.data())
        self.show()
        action = self.menu(0)["Copy Image"]
        os.remove(os.path.join(self.folder, "a.png"))
        action.trigger()
        self.process_events(lambda: self.widget.Warning.cannot_copy.is_shown())
        assert "file not found" in str(self.widget.Warning.cannot_copy)

    def test_save_image_and_report(self):
        self.send(self.data())
        self.show()
        sheet = getattr(self.widget, self.widget.graph_name)
        for writer in self.widget.graph_writers:
            if writer.EXTENSIONS[0] in (".png", ".svg", ".pdf"):
                path = os.path.join(self.folder, f"sheet{writer.EXTENSIONS[0]}")
                writer.write(path, sheet)
                assert os.path.getsize(path) > 500
        sheet = Image.open(os.path.join(self.folder, "sheet.png")).convert("RGB")
        colours = {colour for _, colour in sheet.getcolors(1 << 24)}
        assert {(50 * i, 90, 200) for i in range(5)} <= colours

        self.view.select_rows([0, 1])
        self.widget.create_report_html()
        report = self.widget.report_html
        assert "<img" in report and "image" in report and "Selected" in report
        self.send(None)
        self.widget.create_report_html()
        assert "<img" not in self.widget.report_html

    def test_closing_while_loading(self):
        decoders = set(thumbnails.threading.enumerate())
        widget = self.create_widget(OWImageViewer)
        self.send_signal(widget.Inputs.data, self.data(), widget=widget)
        widget.show()
        self.process_events(lambda: set(thumbnails.threading.enumerate()) - decoders)
        widget.onDeleteWidget()
        self.process_events(
            lambda: not set(thumbnails.threading.enumerate()) - decoders
        )
        widget.hide()


class TestDeepImages(WidgetTest):
    @pytest.fixture(autouse=True)
    def stack(self, tmp_path):
        self.path = str(tmp_path / "cells.tif")
        save_stack(self.path, n_planes=2)

    def setUp(self):
        self.widget = self.create_widget(OWImageViewer)

    def data(self, intensity=None):
        image = StringVariable("image")
        image.attributes["type"] = "image"
        if intensity:
            image.attributes["intensity"] = intensity
        paths = [self.path, f"{self.path}#page=3", f"{self.path}#page=9"]
        metas = np.array(paths, dtype=object)[:, None]
        domain = Domain([], None, [image])
        return Table.from_numpy(domain, np.empty((3, 0)), metas=metas)

    def shown(self, data):
        self.send_signal("Data", data)
        self.widget.show()
        model, loader = self.widget.view.model(), self.widget.loader
        self.process_events(lambda: loader.idle and loader.get(self.path), 20_000)
        return [model.index(row).data(ThumbnailRole) for row in range(3)]

    def test_pages(self):
        whole, page, none = self.shown(self.data())
        assert (whole.size, page.size) == ((64, 48), (64, 48))
        assert whole.image != page.image
        assert page.image.convertToFormat(QImage.Format.Format_Grayscale8) is not None
        assert none.error == "there is no page 9, the last is 4"
        tooltip = self.widget.view.model().index(1).data(Qt.ItemDataRole.ToolTipRole)
        size = os.path.getsize(self.path)
        assert "#page=3" in tooltip and f"{size / 1e3:.1f} kB" in tooltip

    def test_what_the_network_has_seen(self):
        automatic = self.shown(self.data())[1]
        dark = self.shown(self.data("0:60000"))[1]
        again = self.shown(self.data())[1]
        greys = [
            thumbnail.image.pixelColor(20, 20).red()
            for thumbnail in (automatic, dark, again)
        ]
        assert greys[0] == greys[2] > greys[1]
        assert greys[1] < 6

    def test_the_file_of_a_page(self):
        assert is_file(f"{self.path}#page=3")
        url = desktop._file_url(f"{self.path}#page=3")
        assert url.toLocalFile() == self.path

import os
import time

import numpy as np
import pytest
from AnyQt.QtCore import QEvent, QPoint, QPointF, Qt
from AnyQt.QtGui import QColor, QMouseEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication
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

from orangecontrib.imageanalytics.image_grid import ImageGrid
from orangecontrib.imageanalytics.widgets.grid import grid_task
from orangecontrib.imageanalytics.widgets.owimagegrid import CROPPED, WHOLE, OWImageGrid
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail

COUNT = 24
NO, SHIFT, CONTROL, ALT = (
    getattr(Qt.KeyboardModifier, f"{name}Modifier")
    for name in ("No", "Shift", "Control", "Alt")
)
# As the version of the add-on before this one saved it.
OLD_SETTINGS = {
    "auto_commit": False,
    "auto_update": True,
    "cell_fit": "Resize",
    "columns": 7,
    "imageSize": 100,
    "label_selected": True,
    "rows": 6,
    "savedWidgetGeometry": None,
    "__version__": 1,
}
OLD_CONTEXT = {
    "values": {"imageAttr": (1, -2), "label_attr": ("kind", 101), "__version__": 1},
    "attributes": {f"n{i}": 2 for i in range(8)} | {"kind": 1},
    "metas": {"image": 3, "copy": 3},
}


class TestOWImageGrid(WidgetTest):
    @pytest.fixture(autouse=True)
    def images(self, tmp_path):
        self.folder = str(tmp_path)
        for index in range(COUNT):
            color = (10 * index, 90, 200)
            Image.new("RGB", (60, 40), color).save(tmp_path / f"{index}.png")

    def setUp(self):
        self.widget = self.create_widget(OWImageGrid)

    def tearDown(self):
        self.widget.onDeleteWidget()
        super().tearDown()

    def data(self, count=COUNT):
        random = np.random.default_rng(0)
        kinds = np.arange(count) % 3
        X = random.normal(size=(3, 8))[kinds] * 5 + random.normal(size=(count, 8))
        attributes = [ContinuousVariable(f"n{i}") for i in range(8)]
        image, copy = StringVariable("image"), StringVariable("copy")
        for variable in (image, copy):
            variable.attributes.update(type="image", origin=self.folder)
        kind = DiscreteVariable("kind", values=("x", "y", "z"))
        domain = Domain(attributes, kind, [image, copy])
        names = [f"{index}.png" for index in range(count)]
        metas = np.array([[name, name] for name in names], dtype=object)
        return Table.from_numpy(domain, X, kinds, metas)

    def send(self, data):
        self.send_signal(self.widget.Inputs.data, data)
        self.wait_until_finished(timeout=180_000)

    def send_subset(self, data):
        self.send_signal(self.widget.Inputs.data_subset, data)

    @property
    def view(self):
        return self.widget.view

    def names(self, output, group=None):
        data = self.get_output(output)
        if data is None:
            return None
        rows = slice(None)
        if group is not None:
            variable = data.domain["Group"]
            rows = data.get_column(variable) == variable.values.index(group)
        return sorted(data.get_column("image")[rows])

    def selected(self, group=None):
        return self.names(self.widget.Outputs.selected_data, group)

    def row_of(self, name):
        return [
            str(self.widget.data[int(r)]["image"]) for r in self.widget._shown
        ].index(name)

    def select(self, names, modifiers=NO):
        self.view.select([self.row_of(name) for name in names], modifiers)

    def test_what_the_network_has_seen(self):
        data = self.data()
        data.domain["image"].attributes["intensity"] = "100:200"
        self.send(data)
        self.widget.show()
        loader = self.widget.loader
        assert loader.intensity == (100, 200)
        source = os.path.join(self.folder, "20.png")  # (200, 90, 200) as it is
        self.process_events(lambda: loader.get(source) is not None, 20_000)
        assert loader.get(source).image.pixelColor(1, 1).getRgb()[:3] == (255, 0, 255)
        self.send(self.data())
        assert loader.intensity == "auto"

    def show(self):
        self.widget.show()
        loader = self.widget.loader
        self.process_events(lambda: len(loader.cache) and loader.idle)

    def center(self, name):
        model = self.view.model()
        return self.view.visualRect(model.index(self.row_of(name), 0)).center()

    def test_outputs(self):
        data = self.data()
        self.send(data)
        assert self.selected() is None
        annotated = self.get_output(self.widget.Outputs.data)
        np.testing.assert_array_equal(annotated.get_column("Selected"), 0)
        np.testing.assert_array_equal(annotated.ids, data.ids)

        self.select(["3.png", "1.png"])
        assert self.selected() == ["1.png", "3.png"]
        assert self.selected("G1") == ["1.png", "3.png"]
        annotated = self.get_output(self.widget.Outputs.data)
        np.testing.assert_array_equal(
            np.flatnonzero(annotated.get_column("Selected")), [1, 3]
        )
        self.send(None)
        assert self.selected() is None
        assert self.get_output(self.widget.Outputs.data) is None
        assert self.view.model().rowCount() == 0

    def test_it_is_the_grid_of_the_core(self):
        self.send(self.data())
        grid = ImageGrid(self.data())
        grid.process(self.widget.columns, self.widget.rows)
        shown = grid.grid_indices[grid.grid_indices >= 0]
        np.testing.assert_array_equal(self.widget._shown, shown)
        assert self.widget.columns * self.widget.rows >= COUNT
        # The images are broader than high.
        assert self.widget.columns * 60 >= self.widget.rows * 40

    def test_groups(self):
        self.send(self.data())
        self.select(["1.png", "2.png"])
        self.select(["3.png"], SHIFT)
        self.select(["4.png"], CONTROL)
        self.select(["5.png"], CONTROL | SHIFT)
        assert self.selected("G1") == ["1.png", "2.png"]
        assert self.selected("G2") == ["3.png", "4.png", "5.png"]
        annotated = self.get_output(self.widget.Outputs.data)
        assert annotated.domain["Selected"].values == ("G1", "G2", "Unselected")
        self.select(["1.png", "2.png"], ALT)
        assert self.selected("G1") == ["3.png", "4.png", "5.png"]
        self.select(["4.png"], CONTROL)
        assert self.selected() == ["3.png", "5.png"]
        self.select([])
        assert self.selected() is None

    def test_mouse(self):
        self.send(self.data())
        self.show()
        viewport, button = self.view.viewport(), Qt.MouseButton.LeftButton
        QTest.mouseClick(viewport, button, NO, self.center("7.png"))
        assert self.selected() == ["7.png"]
        QTest.mouseClick(viewport, button, CONTROL, self.center("9.png"))
        assert self.selected("G1") == ["7.png", "9.png"]
        QTest.mouseClick(viewport, button, SHIFT, self.center("8.png"))
        assert self.selected("G2") == ["8.png"]
        area = viewport.rect()
        QTest.mousePress(viewport, button, NO, QPoint(1, 1))
        for place in (area.center(), area.bottomRight()):
            # Qt 5's `QTest.mouseMove` moves a mouse that there may not be.
            global_place = QPointF(viewport.mapToGlobal(place))
            kind = QEvent.Type.MouseMove
            event = QMouseEvent(kind, QPointF(place), global_place, button, button, NO)
            QApplication.sendEvent(viewport, event)
        assert self.view.selection.band.isVisible()
        QTest.mouseRelease(viewport, button, NO, area.bottomRight())
        assert len(self.selected()) == COUNT
        assert not self.view.selection.band.isVisible()

    def test_keys(self):
        self.send(self.data())
        self.show()
        first = int(np.argmin(self.view.sheet_geometry.cells))
        QTest.keyClick(self.view, Qt.Key.Key_Home)
        assert self.view.currentIndex().row() == first
        QTest.keyClick(self.view, Qt.Key.Key_Right)
        second = self.view.currentIndex().row()
        assert (
            self.view.sheet_geometry.cells[second]
            > self.view.sheet_geometry.cells[first]
        )
        QTest.keyClick(self.view, Qt.Key.Key_Down)
        QTest.keyClick(self.view, Qt.Key.Key_Up)
        assert self.view.currentIndex().row() == second
        QTest.keyClick(self.view, Qt.Key.Key_Space, CONTROL)
        assert len(self.selected()) == 1
        QTest.keyClick(self.view, Qt.Key.Key_A, CONTROL)
        assert len(self.selected()) == COUNT
        QTest.keyClick(self.view, Qt.Key.Key_Space)
        assert self.widget.preview.isVisible()
        QTest.keyClick(self.widget.preview, Qt.Key.Key_Space)
        assert not self.widget.preview.isVisible()

    def test_zoom(self):
        self.send(self.data())
        self.show()
        bars = self.view.horizontalScrollBar(), self.view.verticalScrollBar()
        assert [bar.maximum() for bar in bars] == [0, 0]
        index = self.view.indexAt(self.view.viewport().rect().center())
        middle = self.view.visualRect(index).center()
        self.view.set_scale(4, middle)
        assert self.view.indexAt(middle) == index
        edge = self.view.sheet_geometry.steps[0]
        moved = self.view.visualRect(index).center() - middle
        assert moved.manhattanLength() < edge // 4
        assert all(bar.maximum() > 100 for bar in bars)
        assert self.widget.zoom == 50
        QTest.keyClick(self.view, Qt.Key.Key_0)
        assert self.view.scale() == 1
        assert self.widget.zoom == 0
        self.widget.zoom = 100
        self.widget.controls.zoom.valueChanged.emit(100)
        assert self.view.scale() > 1

    def test_size_by_hand(self):
        self.send(self.data())
        self.select(["2.png"])
        assert not self.widget.spins[0].isEnabled()
        self.widget.controls.auto_size.click()
        assert self.widget.spins[0].isEnabled()
        self.widget.columns = 4
        self.widget._change_columns()
        self.wait_until_finished()
        assert (self.widget.columns, self.widget.rows) == (4, 6)
        self.widget.rows = 2
        self.widget._change_rows()
        self.wait_until_finished()
        assert (self.widget.columns, self.widget.rows) == (12, 2)
        assert (self.widget.grid.size_x, self.widget.grid.size_y) == (12, 2)
        assert self.selected() == ["2.png"]

        # Another table may not fit.
        self.widget.columns, self.widget.rows = 3, 3
        self.send(self.data(20))
        assert (self.widget.columns, self.widget.rows) == (3, 7)

    def test_the_layout_is_kept_for_other_sizes(self):
        self.send(self.data())
        places = self.widget.grid._places
        self.widget.auto_size = False
        self.widget.columns = 8
        self.widget._change_columns()
        self.wait_until_finished()
        assert self.widget.grid._places is places
        self.widget.layout_combo.setCurrentIndex(1)
        self.widget.layout_combo.activated.emit(1)
        self.wait_until_finished()
        assert self.widget.grid.layout == "pca"

    def test_size_follows_the_window(self):
        self.send(self.data())
        self.widget.show()
        self.widget.resize(500, 900)
        self.process_events(lambda: self.widget.rows > self.widget.columns)

    def test_cell_fit(self):
        self.send(self.data())
        self.show()

        def corner():
            image = self.view.viewport().grab().toImage()
            model = self.view.model()
            rect = self.view.visualRect(model.index(self.row_of("20.png"), 0))
            return image.pixelColor(rect.center().x(), rect.top() + 6).red()

        assert corner() > 240
        self.widget.controls.cell_fit.buttons[CROPPED].click()
        assert abs(corner() - 200) < 3

    def test_labels_and_colors(self):
        self.send(self.data())
        assert self.widget.color_attr.name == "kind"
        assert self.widget.label_attr is None
        model = self.view.model()
        assert model.index(0, 0).data() == ""
        geometry = self.view.sheet_geometry
        assert geometry.label_height() == 0
        simulate.combobox_activate_item(self.widget.controls.label_attr, "image")
        names = [model.index(row, 0).data() for row in range(COUNT)]
        assert names[self.row_of("4.png")] == "4.png"
        assert geometry.label_height() > 0

        palette = self.widget.color_attr.palette
        kinds = self.widget.data.Y[self.widget._shown].astype(int)
        colors = [QColor(*rgb.tolist()) for rgb in self.view.look.colors]
        assert colors == [palette[kind] for kind in kinds]
        simulate.combobox_activate_index(self.widget.controls.color_attr, 0)
        assert self.view.look.colors is None

    def test_legend(self):
        self.send(self.data())
        legend = self.widget.legend
        assert legend.rows() == [("x", "8"), ("y", "8"), ("z", "8")]
        legend.clicked.emit(1, NO)
        assert self.selected() == sorted(f"{i}.png" for i in range(1, COUNT, 3))
        legend.clicked.emit(2, SHIFT)
        assert self.selected("G2") == sorted(f"{i}.png" for i in range(2, COUNT, 3))
        assert legend.rows() == [("x", "8"), ("y", "8 of 8"), ("z", "8 of 8")]
        simulate.combobox_activate_index(self.widget.controls.color_attr, 0)
        assert legend.isHidden()

    def test_colors_of_numbers(self):
        self.send(self.data())
        simulate.combobox_activate_item(self.widget.controls.color_attr, "n0")
        assert len(np.unique(self.view.look.colors, axis=0)) > 5

    def test_hovering_shows_the_image_large(self):
        self.send(self.data())
        simulate.combobox_activate_item(self.widget.controls.label_attr, "image")
        self.show()
        card = self.widget.hover_card
        row = self.row_of("7.png")
        # The grid may be laid out anew, to fit the window and the labels.
        self.view.model().modelReset.connect(
            lambda: self.view.hovered.emit(self.row_of("7.png"))
        )
        self.view.hovered.emit(row)
        self.process_events(card.isVisible, 20_000)
        text = card._text.text()
        assert "7.png" in text and "kind:</b> y" in text
        assert "60 × 40" in text  # noqa: RUF001
        assert not self.view.has_tooltips
        QTest.mousePress(
            self.view.viewport(), Qt.MouseButton.LeftButton, NO, self.center("7.png")
        )
        assert not card.isVisible()
        # Large images need no card.
        self.view.set_scale(100)
        self.view.hovered.emit(row)
        assert self.view.has_tooltips
        self.view.hovered.emit(-1)

    def test_menu(self):
        self.send(self.data())
        self.show()
        index = self.view.model().index(self.row_of("3.png"))
        names = [
            action.text() for action in self.widget.image_actions.menu(index).actions()
        ]
        assert "Copy Image" in names and "Show in Folder" in names

    def test_empty_states_say_what_to_do(self):
        assert "Connect Image Embedding" in self.view.look.message
        self.send(self.data())
        assert self.view.look.message == ""
        data = self.data()
        self.send(data.transform(Domain([], None, data.domain.metas)))
        assert "Put Image Embedding before" in self.view.look.message
        self.send(Table("iris"))
        assert "no column with images" in self.view.look.message
        with data.unlocked():
            data.metas[:] = ""
        self.send(data)
        assert "Column 'image' is empty." in self.view.look.message
        self.send(self.data()[:1])
        assert self.view.look.message == ""
        self.send(None)
        assert "Connect Image Embedding" in self.view.look.message

    def test_a_zoomed_grid_stays_as_it_is_when_the_window_changes(self):
        self.send(self.data())
        self.show()
        self.view.set_scale(3)
        size = self.widget.columns, self.widget.rows
        self.widget.resize(500, 900)
        self.process_events(lambda: not self.widget._resize_timer.isActive())
        assert self.widget.task is None
        assert (self.widget.columns, self.widget.rows) == size
        assert self.view.scale() == 3

    def test_subset(self):
        data, warning = self.data(), self.widget.Warning
        self.send(data)
        self.send_subset(data[[2, 5]])
        shown = self.widget._shown[~self.view.look.dimmed]
        assert sorted(shown) == [2, 5]
        assert not warning.incompatible_subset.is_shown()
        assert not warning.extras_in_subset.is_shown()

        # The same images in another table
        self.send_subset(self.data()[:3])
        assert sorted(self.widget._shown[~self.view.look.dimmed]) == [0, 1, 2]
        assert not warning.extras_in_subset.is_shown()

        self.send(data[:10])
        self.send_subset(data[5:15])
        assert sorted(self.widget._shown[~self.view.look.dimmed]) == [5, 6, 7, 8, 9]
        assert warning.extras_in_subset.is_shown()
        assert not warning.incompatible_subset.is_shown()
        self.send_subset(data[15:])
        assert self.view.look.dimmed.all()
        assert warning.incompatible_subset.is_shown()
        assert not warning.extras_in_subset.is_shown()
        self.send_subset(Table("iris"))
        assert warning.incompatible_subset.is_shown()
        self.send_subset(None)
        assert self.view.look.dimmed is None
        assert not warning.incompatible_subset.is_shown()

    def test_subset_before_data(self):
        data = self.data()
        self.send_subset(data[:2])
        self.send(data)
        assert sorted(self.widget._shown[~self.view.look.dimmed]) == [0, 1]

    def test_rows_left_out(self):
        data = self.data()
        with data.unlocked():
            data.X[1, 3] = np.nan
            data.X[4] = 2
            data.metas[6] = ""
        self.send(data)
        assert "2 images are left out" in str(self.widget.Warning.left_out)
        assert sorted(self.widget._shown) == sorted(set(range(COUNT)) - {1, 4, 6})
        self.view.select(range(COUNT - 3), NO)
        assert len(self.selected()) == COUNT - 3
        assert len(self.get_output(self.widget.Outputs.data)) == COUNT
        self.send(data[1:2])
        assert self.widget.Warning.no_valid_data.is_shown()
        assert not self.widget.Warning.left_out.is_shown()

    def test_unusable_data(self):
        self.send(Table("iris"))
        assert self.widget.Error.no_image_attr.is_shown()
        data = self.data()
        self.send(data.transform(Domain([], None, data.domain.metas)))
        assert self.widget.Error.no_features.is_shown()
        assert not self.widget.Error.no_image_attr.is_shown()
        with data.unlocked():
            data.metas[:] = ""
        self.send(data)
        assert self.widget.Warning.no_valid_data.is_shown()
        self.send(self.data())
        assert not self.widget.Warning.no_valid_data.is_shown()
        assert not self.widget.Error.active

    def test_no_image_can_be_shown(self):
        data = self.data()
        data.domain["image"].attributes["origin"] = "/nowhere"
        self.send(data)
        self.show()
        assert "not found" in str(self.widget.Warning.no_images_shown)

    def test_images_of_the_old_data_do_not_decide_on_the_warning(self):
        self.send(self.data())
        old = Thumbnail("/elsewhere/a.jpg", None, error="file not found")
        self.widget.loader.loaded.emit([old])
        assert not self.widget.Warning.no_images_shown.is_shown()

    def test_stop_and_start(self):
        release = []

        def slowly(task, state):
            while not release and not state.is_interruption_requested():
                time.sleep(0.01)
            return lay_out(task, state)

        lay_out = grid_task.lay_out
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grid_task, "lay_out", slowly)
            self.send_signal(self.widget.Inputs.data, self.data())
            button = self.widget.run_button
            assert button.isEnabled()
            assert "Laying out 24 images" in self.view.look.message
            button.click()
            assert self.widget.task is None
            assert self.widget.Information.stopped.is_shown()
            assert len(self.get_output(self.widget.Outputs.data)) == COUNT
            release.append(True)
            button.click()
            self.wait_until_finished()
        assert not self.widget.Information.stopped.is_shown()
        assert not button.isEnabled()
        assert self.view.look.message == ""
        assert len(self.widget._shown) == COUNT

    def test_unexpected_error(self):
        def fail(task, state):
            raise RuntimeError("of the moon")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(grid_task, "lay_out", fail)
            self.send(self.data())
        assert "of the moon" in str(self.widget.Error.unexpected_error)
        assert "could not be laid out" in self.view.look.message
        self.send(self.data())
        assert not self.widget.Error.active

    def test_saved_settings(self):
        self.send(self.data())
        self.select(["3.png"])
        self.select(["5.png"], SHIFT)
        simulate.combobox_activate_item(self.widget.controls.label_attr, "copy")
        settings = self.widget.settingsHandler.pack_data(self.widget)
        self.widget.onDeleteWidget()
        self.widget = self.create_widget(OWImageGrid, stored_settings=settings)
        self.send(self.data())
        assert self.selected("G1") == ["3.png"]
        assert self.selected("G2") == ["5.png"]
        assert self.widget.label_attr.name == "copy"
        # Rows of other data are other images.
        self.send(self.data())
        assert self.selected() is None

    def test_settings_of_the_older_add_on(self):
        settings = {**OLD_SETTINGS, "context_settings": [Context(**OLD_CONTEXT)]}
        self.widget = self.create_widget(OWImageGrid, stored_settings=settings)
        assert self.widget.cell_fit == WHOLE
        assert self.widget.auto_size
        assert not self.widget.auto_commit
        self.send(self.data())
        assert self.widget.imageAttr.name == "copy"
        assert self.widget.label_attr.name == "kind"
        stored = self.create_widget(OWImageGrid, stored_settings={"cell_fit": 1})
        assert stored.cell_fit == CROPPED

    def test_report(self):
        self.send(self.data())
        self.select(["1.png"])
        self.show()
        self.widget.send_report()
        for text in ("t-SNE", "image", "24", "Selected", "<img"):
            assert text in self.widget.report_html

    def test_nothing_is_decoded_before_it_is_seen(self):
        self.send(self.data())
        self.process_events()
        assert len(self.widget.loader.cache) == 0
        self.show()
        assert len(self.widget.loader.cache) == COUNT
        paths = {os.path.join(self.folder, f"{i}.png") for i in range(COUNT)}
        assert set(self.widget._sources) == paths

    def test_empty_click_clears(self):
        self.send(self.data())
        self.widget.auto_size = False
        self.widget.columns, self.widget.rows = 10, 10
        self.widget._change_size()
        self.wait_until_finished()
        self.show()
        self.select(["1.png"])
        empty = np.setdiff1d(np.arange(100), self.view.sheet_geometry.cells)[0]
        lefts, tops = self.view.sheet_geometry.edges()
        place = QPoint(int(lefts[empty % 10]) + 5, int(tops[empty // 10]) + 5)
        QTest.mouseClick(self.view.viewport(), Qt.MouseButton.LeftButton, NO, place)
        assert self.selected() is None

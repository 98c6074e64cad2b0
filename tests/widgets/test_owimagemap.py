"""Image Map, as a user sees and uses it."""

import contextlib
import os
from collections import Counter

import numpy as np
import pyqtgraph as pg
import pytest
from AnyQt.QtCore import QEvent, QPoint, QPointF, Qt
from AnyQt.QtGui import QColor, QMouseEvent
from AnyQt.QtTest import QSignalSpy, QTest
from AnyQt.QtWidgets import QApplication
from helpers import PATIENCE
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
    TimeVariable,
)
from Orange.widgets.tests.base import WidgetTest
from Orange.widgets.tests.utils import simulate
from orangewidget.io import PdfFormat, PngFormat, SvgFormat
from orangewidget.utils import getdeepattr
from PIL import Image

from orangecontrib.imageanalytics.widgets.map.mapgraph import SELECTED
from orangecontrib.imageanalytics.widgets.owimagemap import OWImageMap
from orangecontrib.imageanalytics.widgets.sheet.thumbnails import Thumbnail

COUNT = 12
NO, SHIFT, CONTROL, ALT = (
    getattr(Qt.KeyboardModifier, f"{name}Modifier")
    for name in ("No", "Shift", "Control", "Alt")
)
KINDS = ("ants", "bees", "cats")
LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


class ImageMapTest(WidgetTest):
    """Twelve images in three rows of four, at the places (column, row)."""

    @pytest.fixture(autouse=True)
    def images(self, tmp_path):
        self.folder = str(tmp_path)
        for index in range(COUNT):
            color = (20 * index, 90, 200)
            Image.new("RGB", (60, 40), color).save(tmp_path / f"{index}.png")

    def setUp(self):
        self.widget = self.create_widget(OWImageMap)

    def data(self, places=None, count=COUNT):
        if places is None:
            places = np.column_stack(np.divmod(np.arange(count), 4)[::-1])
        image = StringVariable("image")
        image.attributes.update(type="image", origin=self.folder)
        features = [ContinuousVariable(f"n{i}") for i in range(3)]
        axes = [ContinuousVariable("t-SNE-x"), ContinuousVariable("t-SNE-y")]
        kind = DiscreteVariable("kind", values=KINDS)
        X = np.random.default_rng(0).normal(size=(count, 3))
        metas = np.empty((count, 3), dtype=object)
        metas[:, 0] = [f"{index}.png" for index in range(count)]
        metas[:, 1:] = places
        return Table.from_numpy(
            Domain(features, kind, [image, *axes]), X, np.arange(count) % 3, metas
        )

    def send(self, data):
        self.send_signal(self.widget.Inputs.data, data)

    def show(self):
        self.widget.show()
        self.widget.resize(900, 600)
        self.widget.image_size = 32
        self.images_item.places.set_edge(32)
        self.widget.graph.reset_button_clicked()
        loader = self.widget.loader
        self.process_events(
            lambda: (
                len(self.images_item.places.shown()) == len(self.widget.imaged)
                and loader.idle
                and len(loader.cache) == len(self.widget.imaged)
            ),
            20_000,
        )

    @property
    def images_item(self):
        return self.widget.graph.images

    @property
    def plot(self):
        return self.widget.graph.plot_widget

    def point(self, row):
        """Where an image is in the viewport of the plot."""
        place = QPointF(*self.images_item.places.in_window()[row])
        return self.plot.mapFromScene(self.images_item.mapToScene(place))

    def click(self, row, modifiers=NO, button=LEFT):
        with self.held(modifiers):
            QTest.mouseClick(self.plot.viewport(), button, modifiers, self.point(row))
            self.process_events()

    @contextlib.contextmanager
    def held(self, modifiers):
        """Orange asks the application which keys are held, which QTest leaves out."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(QApplication, "keyboardModifiers", lambda: modifiers)
            yield

    def move(self, place, button):
        """Move the mouse with a button down, which QTest has not."""
        view = self.plot.viewport()
        event = QMouseEvent(
            QEvent.Type.MouseMove,
            QPointF(place),
            QPointF(view.mapToGlobal(place)),
            button,
            button,
            NO,
        )
        QApplication.sendEvent(view, event)
        # pyqtgraph ignores moves that follow each other too fast.
        QTest.qWait(1000 // pg.getConfigOption("mouseRateLimit") + 5)

    def selected(self, group=None):
        data = self.get_output(self.widget.Outputs.selected_data)
        if data is None:
            return None
        names = data.get_column("image")
        if group is not None:
            variable = data.domain["Group"]
            names = names[data.get_column(variable) == variable.values.index(group)]
        return [int(name.partition(".")[0]) for name in names]


class TestData(ImageMapTest):
    def test_columns_are_proposed(self):
        self.send(self.data())
        widget = self.widget
        assert widget.image_attr.name == "image"
        assert [axis.name for axis in widget.axes] == ["t-SNE-x", "t-SNE-y"]
        assert widget.attr_color.name == "kind"
        assert widget.attr_label is None
        assert widget.is_projection
        assert not widget.Information.no_projection.is_shown()
        assert {variable.name for variable in widget.axis_model if variable} == {
            "n0",
            "n1",
            "n2",
            "t-SNE-x",
            "t-SNE-y",
        }

    def test_data_without_a_projection(self):
        data = self.data()
        image = data.domain["image"]
        self.send(data.transform(Domain(data.domain.attributes, None, [image])))
        assert [axis.name for axis in self.widget.axes] == ["n0", "n1"]
        assert not self.widget.is_projection
        assert self.widget.Information.no_projection.is_shown()
        simulate.combobox_activate_item(self.widget.controls.attr_y, "n2")
        assert not self.widget.Information.no_projection.is_shown()
        self.send(None)
        assert not self.widget.Information.no_projection.is_shown()

    def test_columns_of_vectors_are_no_axes(self):
        """Orange's lists leave them out, since Image Embedding hides them."""
        data = self.data()
        self.send(data)
        for name, variable in (
            ("attr_x", "n1"),
            ("attr_y", "n2"),
            ("attr_color", "n0"),
        ):
            simulate.combobox_activate_item(
                getattr(self.widget.controls, name), variable
            )
        hidden = [
            variable.renamed(variable.name) for variable in data.domain.attributes
        ]
        for variable in hidden:
            variable.attributes["hidden"] = True
        domain = Domain(hidden, data.domain.class_var, data.domain.metas)
        self.send(Table.from_numpy(domain, data.X, data.Y, data.metas))
        assert [axis.name for axis in self.widget.axes] == ["t-SNE-x", "t-SNE-y"]
        image = data.domain["image"]
        self.send(data.transform(Domain(hidden, None, [image])))
        assert self.widget.Error.no_numbers.is_shown()

    def test_nothing_yet(self):
        assert "t-SNE" in self.widget.view.message()
        self.send(self.data())
        assert self.widget.view.message() == ""
        self.send(None)
        assert "t-SNE" in self.widget.view.message()
        assert self.get_output(self.widget.Outputs.annotated_data) is None
        self.send(self.data()[:0])
        assert "t-SNE" in self.widget.view.message()
        self.send(Table("iris"))
        assert "no column with images" in self.widget.view.message()
        data = self.data()
        self.send(data.transform(Domain([], None, data.domain.metas[:1])))
        assert "no two numeric columns" in self.widget.view.message()
        with data.unlocked():
            data.metas[:, 1:] = np.nan
        self.send(data)
        assert "Choose other axes." in self.widget.view.message()

    def test_data_that_comes_before_the_window_is_open(self):
        graph = self.widget.graph
        self.send(self.data())
        self.widget.resize(900, 600)
        self.widget.show()
        self.process_events(lambda: graph.view_box.width() > 200, PATIENCE)
        shown = graph.view_box.targetRange()
        places = graph.images.places
        home = places.home()
        graph.reset_button_clicked()
        np.testing.assert_allclose(graph.view_box.targetRange(), shown, atol=1e-6)
        assert home.left() == pytest.approx(shown[0][0])
        assert home.width() == pytest.approx(shown[0][1] - shown[0][0])

    def test_no_size_of_the_window_keeps_the_plot_moving(self):
        self.send(self.data())
        self.show()
        self.widget.graph.reset_button_clicked()
        moves = []
        self.widget.graph.view_box.sigTransformChanged.connect(
            lambda: moves.append(self.widget.width())
        )
        for width in range(700, 1000, 3):
            self.widget.resize(width, 600)
            for _ in range(30):
                self.process_events()
        assert max(Counter(moves).values()) < 15

    def test_a_larger_window_leaves_the_zoom_to_the_user(self):
        self.send(self.data())
        self.show()
        box = self.widget.graph.view_box
        box.scaleBy((0.5, 0.5))
        zoomed = box.targetRange()
        self.widget.resize(1100, 800)
        self.process_events(lambda: self.widget.width() == 1100, PATIENCE)
        np.testing.assert_allclose(box.targetRange(), zoomed, atol=1e-6)

    def test_no_column_with_images(self):
        self.send(Table("iris"))
        assert self.widget.Error.no_image_attr.is_shown()
        self.send(self.data())
        assert not self.widget.Error.no_image_attr.is_shown()

    def test_no_two_numeric_columns(self):
        data = self.data()
        for names in ([], ["n0"]):
            attributes = [data.domain[name] for name in names]
            image = data.domain["image"]
            self.send(data.transform(Domain(attributes, None, [image])))
            assert self.widget.Error.no_numbers.is_shown()
            assert self.get_output(self.widget.Outputs.annotated_data) is None
        self.send(self.data())
        assert not self.widget.Error.no_numbers.is_shown()

    def test_missing_and_infinite_places(self):
        places = np.column_stack(np.divmod(np.arange(COUNT), 4)[::-1]).astype(float)
        places[0, 0], places[1, 1], places[2, 0] = np.nan, np.inf, 1e200
        self.send(self.data(places))
        self.show()
        message = str(self.widget.Information.left_out)
        assert message.startswith("3 rows are not shown: 't-SNE-x' or 't-SNE-y'")
        assert self.widget.graph.n_valid == COUNT - 3
        self.click(0)
        assert self.selected() == [3]
        annotated = self.get_output(self.widget.Outputs.annotated_data)
        assert len(annotated) == COUNT
        places[:] = np.nan
        self.send(self.data(places))
        assert self.widget.Warning.no_places.is_shown()
        assert not self.widget.Information.left_out.is_shown()
        self.widget.grab()

    def test_odd_places(self):
        for places in (
            np.zeros((COUNT, 2)),
            np.column_stack((np.arange(COUNT), np.full(COUNT, 3.0))),
            1e15 + np.arange(2 * COUNT).reshape(COUNT, 2),
            np.arange(2 * COUNT).reshape(COUNT, 2) * 1e-12,
            np.arange(2 * COUNT).reshape(COUNT, 2) * 1e98,
            np.arange(2 * COUNT).reshape(COUNT, 2) * 1e-305,
            np.arange(2 * COUNT).reshape(COUNT, 2) * 5e-324,
        ):
            for rows in (slice(None), slice(1)):
                with self.subTest(places=str(places[:2]), rows=rows):
                    self.send(self.data(places)[rows])
                    self.widget.show()
                    self.process_events(
                        lambda: len(self.images_item.places.shown()) > 0, 20_000
                    )
                    self.widget.grab()
                    inside = self.images_item.places.in_window()
                    box = self.images_item.places.box()
                    assert all(box.contains(QPointF(*place)) for place in inside)

    def test_rows_without_images_are_dots(self):
        data = self.data()
        with data.unlocked(data.metas):
            data[3, "image"] = ""
            data[5, "image"] = np.nan
        self.send(data)
        self.show()
        assert self.widget.graph.n_valid == COUNT
        assert self.widget.imaged.tolist() == [0, 1, 2, 4, *range(6, COUNT)]
        self.click(3)  # the fourth with an image
        assert self.selected() == [4]
        with data.unlocked(data.metas):
            data.metas[:, 0] = ""
        self.send(data)
        assert self.widget.Warning.no_images.is_shown()
        self.widget.graph.select_all()
        assert len(self.get_output(self.widget.Outputs.selected_data)) == COUNT

    def test_images_that_cannot_be_shown(self):
        data = self.data()
        self.send(data)
        self.widget.unshown.take(
            [Thumbnail("elsewhere", (1, 1), error="of other data")]
        )
        assert not self.widget.Warning.no_images_shown.is_shown()
        for index in range(COUNT):
            os.remove(os.path.join(self.folder, f"{index}.png"))
        self.widget.show()
        self.process_events(self.widget.Warning.no_images_shown.is_shown, 20_000)
        self.send(None)
        assert not self.widget.Warning.no_images_shown.is_shown()

    def test_dates(self):
        data = self.data()
        date = TimeVariable("date", have_date=1)
        metas = (*data.domain.metas, date)
        data = data.transform(Domain(data.domain.attributes, None, metas))
        with data.unlocked(data.metas):
            data.metas[:, -1] = np.arange(COUNT) * 86400 * 30
        self.send(data)
        simulate.combobox_activate_item(self.widget.controls.attr_x, "date")
        for axis, shows_dates in (("bottom", True), ("left", False)):
            # Orange 3.39 asks it otherwise.
            (tick,) = self.plot.getAxis(axis).tickStrings([0], 1, 86400 * 365)
            assert (tick == "1970") == shows_dates
        self.widget.show()
        self.widget.grab()

    def test_settings_are_kept(self):
        data = self.data()
        self.send(data)
        simulate.combobox_activate_item(self.widget.controls.attr_x, "n1")
        simulate.combobox_activate_item(self.widget.controls.attr_label, "kind")
        simulate.combobox_activate_item(self.widget.controls.attr_color, "n2")
        self.widget.controls.image_size.setValue(100)
        self.widget.preview.toggle_details()
        self.widget.graph.select_by_indices([2, 4], NO)
        self.widget.graph.select_by_indices([7], SHIFT)
        settings = self.widget.settingsHandler.pack_data(self.widget)
        other = self.create_widget(OWImageMap, stored_settings=settings)
        self.send_signal(other.Inputs.data, data, widget=other)
        assert other.attr_x.name == "n1"
        assert other.attr_label.name == "kind"
        assert other.attr_color.name == "n2"
        assert other.image_size == 100
        assert other.preview.details.isHidden()
        other.graph.reset_button_clicked()
        assert other.graph.images.places.edge() == pytest.approx(100)
        groups = self.get_output(other.Outputs.selected_data, widget=other)
        assert list(groups.get_column("image")) == ["2.png", "4.png", "7.png"]
        assert list(groups.get_column("Group")) == [0, 0, 1]
        other.onDeleteWidget()

    def test_bad_settings(self):
        for stored in ({"image_size": "x"}, {"image_size": 10**6}, {"image_size": -1}):
            widget = self.create_widget(OWImageMap, stored_settings=stored)
            assert 24 <= widget.image_size <= 256
            widget.onDeleteWidget()
        for selection in ([(99, 1)], [(1, -1)], "x", [("a", 1)], [(1,)], 5):
            stored = {"selection": selection}
            widget = self.create_widget(OWImageMap, stored_settings=stored)
            self.send_signal(widget.Inputs.data, self.data(), widget=widget)
            assert self.get_output(widget.Outputs.selected_data, widget=widget) is None
            widget.onDeleteWidget()

    def test_what_the_network_has_seen(self):
        data = self.data()
        data.domain["image"].attributes["intensity"] = "100:200"
        self.send(data)
        assert self.widget.loader.intensity == (100, 200)
        self.send(self.data())
        assert self.widget.loader.intensity == "auto"


class TestSelection(ImageMapTest):
    def setUp(self):
        super().setUp()
        self.send(self.data())
        self.show()

    def test_clicks(self):
        assert self.selected() is None
        self.click(5)
        assert self.selected() == [5]
        self.click(7)
        assert self.selected() == [7]
        self.click(1, CONTROL)
        assert self.selected() == [1, 7]
        self.click(2, SHIFT)
        assert self.selected("G1") == [1, 7]
        assert self.selected("G2") == [2]
        self.click(7, ALT)
        assert self.selected() == [1, 2]
        annotated = self.get_output(self.widget.Outputs.annotated_data)
        assert len(annotated) == COUNT

    def test_a_click_on_nothing(self):
        self.click(5)
        between = (self.point(5) + self.point(10)) / 2
        QTest.mouseClick(self.plot.viewport(), LEFT, NO, between)
        self.process_events(lambda: self.selected() is None)

    def test_a_click_at_the_edge_of_an_image(self):
        place = self.point(5) + QPoint(13, 8)
        QTest.mouseClick(self.plot.viewport(), LEFT, NO, place)
        self.process_events(lambda: self.selected() == [5])

    def test_rectangle(self):
        start, end = self.point(0) - QPoint(20, -20), self.point(5) + QPoint(20, -20)
        view = self.plot.viewport()
        QTest.mousePress(view, LEFT, NO, start)
        for part in (0.3, 0.6, 1.0):
            self.move(start + (end - start) * part, LEFT)
        QTest.mouseRelease(view, LEFT, NO, end)
        self.process_events(lambda: self.selected() == [0, 1, 4, 5])

    def test_legend_selects(self):
        legend = self.widget.legend
        assert legend.rows() == [(kind, "4") for kind in KINDS]
        legend.clicked.emit(1, NO)
        assert self.selected() == [1, 4, 7, 10]
        assert legend.rows()[1] == ("bees", "4 of 4")
        legend.clicked.emit(2, CONTROL)
        assert len(self.selected()) == 8
        legend.clicked.emit(2, ALT)
        assert self.selected() == [1, 4, 7, 10]
        self.click(0)
        assert legend.rows() == [("ants", "1 of 4"), ("bees", "4"), ("cats", "4")]

    def test_keys(self):
        key = Qt.Key
        QTest.keyClick(self.plot, key.Key_Home)
        assert self.widget.view.currentIndex().row() == 0
        for pressed, row in (
            (key.Key_Right, 1),
            (key.Key_Up, 5),
            (key.Key_Up, 9),
            (key.Key_Up, 9),
            (key.Key_Left, 8),
            (key.Key_Down, 4),
            (key.Key_PageDown, 5),
            (key.Key_PageUp, 4),
            (key.Key_End, 11),
            (key.Key_PageDown, 11),
        ):
            QTest.keyClick(self.plot, pressed)
            assert self.widget.view.currentIndex().row() == row
        assert self.selected() is None
        QTest.keyClick(self.plot, key.Key_Space, CONTROL)
        assert self.selected() == [11]
        QTest.keyClick(self.plot, key.Key_A, CONTROL)
        assert self.selected() == list(range(COUNT))
        box = self.widget.graph.view_box
        whole = box.viewRect().width()
        QTest.keyClick(self.plot, key.Key_Plus)
        assert box.viewRect().width() == pytest.approx(whole / 1.25, rel=0.01)
        QTest.keyClick(self.plot, key.Key_Minus)
        assert box.viewRect().width() == pytest.approx(whole, rel=0.01)
        QTest.keyClick(self.plot, key.Key_Plus)
        QTest.keyClick(self.plot, key.Key_0)
        assert box.viewRect().width() == pytest.approx(whole, rel=0.05)

    def test_keys_bring_images_into_view(self):
        QTest.keyClick(self.plot, Qt.Key.Key_Home)
        for _ in range(12):
            QTest.keyClick(self.plot, Qt.Key.Key_Plus)
        places, box = self.images_item.places, self.images_item.places.box()
        assert not box.contains(QPointF(*places.in_window()[11]))
        QTest.keyClick(self.plot, Qt.Key.Key_End)
        assert box.contains(QPointF(*places.in_window()[11]))

    def test_keys_without_images(self):
        self.send(None)
        for key in (Qt.Key.Key_Home, Qt.Key.Key_Right, Qt.Key.Key_Space, Qt.Key.Key_A):
            QTest.keyClick(self.plot, key)
            QTest.keyClick(self.plot, key, CONTROL)
        assert self.selected() is None

    def test_menu(self):
        menus = []
        actions = self.widget.image_actions
        actions._show_menu = lambda *_: None
        self.widget.view.menu_requested.connect(
            lambda index, place: menus.append((index.row(), actions.menu(index)))
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("AnyQt.QtWidgets.QMenu.exec", lambda *_: None)
            self.click(4, button=RIGHT)
        ((row, menu),) = menus
        assert row == 4
        texts = {action.text(): action for action in menu.actions()}
        assert texts["Preview"].isEnabled()
        assert not texts["Compare"].isEnabled()
        texts["Copy Path"].trigger()
        assert QApplication.clipboard().text() == os.path.join(self.folder, "4.png")

    def test_compare(self):
        compare = self.widget.compare
        QTest.keyClick(self.plot, Qt.Key.Key_C)
        assert not compare.isVisible()
        self.click(4)
        self.click(6, CONTROL)
        assert self.widget.view.selected_rows() == [4, 6]
        QTest.keyClick(self.plot, Qt.Key.Key_C)
        assert compare.isVisible()
        compare.close()

    def test_escape_closes_the_preview(self):
        QTest.keyClick(self.plot, Qt.Key.Key_Home)
        QTest.keyClick(self.plot, Qt.Key.Key_Space)
        assert self.widget.preview.isVisible()
        QTest.keyClick(self.plot, Qt.Key.Key_Escape)
        assert not self.widget.preview.isVisible()
        assert self.widget.isVisible()

    def test_preview(self):
        preview, view = self.widget.preview, self.widget.view
        spy = QSignalSpy(view.preview_requested)
        for part in (QTest.mouseClick, QTest.mouseDClick, QTest.mouseRelease):
            part(self.plot.viewport(), LEFT, NO, self.point(3))
        self.process_events(lambda: len(spy) == 1)
        assert preview.isVisible()
        assert view.currentIndex().row() == 3
        QTest.keyClick(preview, Qt.Key.Key_Left)
        assert view.currentIndex().row() == 2
        preview.close()
        QTest.keyClick(self.plot, Qt.Key.Key_Space)
        assert preview.isVisible()

    def test_new_data_close_the_windows(self):
        view, preview, card = (
            self.widget.view,
            self.widget.preview,
            self.widget.view.card,
        )
        view.setCurrentIndex(view.model().index(3))
        preview.open()
        assert preview.isVisible()
        self.images_item.hovered.emit(2)
        self.process_events(card.isVisible)
        self.send(self.data()[:5])
        assert not preview.isVisible()
        assert not card.isVisible()
        assert not view.currentIndex().isValid()

    def test_saved_selection_waits_for_data(self):
        self.widget.graph.select_by_indices([2, 3], NO)
        stored = self.widget.settingsHandler.pack_data(self.widget)
        other = self.create_widget(OWImageMap, stored_settings=stored)
        self.send_signal(other.Inputs.data, None, widget=other)
        self.send_signal(other.Inputs.data, self.data(), widget=other)
        selected = self.get_output(other.Outputs.selected_data, widget=other)
        assert len(selected) == 2

    def test_selection_follows_its_rows(self):
        self.widget.graph.select_by_indices([2, 3], NO)
        data = self.widget.data
        with data.unlocked(data.X):
            data.X[1, 0] = np.nan
        simulate.combobox_activate_item(self.widget.controls.attr_x, "n0")
        assert self.widget.graph.n_valid == COUNT - 1
        assert self.selected() == [2, 3]

    def test_the_same_data_keep_the_selection(self):
        self.widget.graph.select_by_indices([2, 3], NO)
        data = self.widget.data
        self.send(data.copy())
        assert self.selected() == [2, 3]
        # The same rows with other images
        with data.unlocked(data.metas):
            data.metas[:, 0] = data.metas[::-1, 0]
        self.send(data)
        assert self.selected() is None

    def test_other_data_have_another_selection(self):
        self.widget.graph.select_by_indices([2, 3], NO)
        self.send(self.data(np.random.default_rng(0).normal(size=(COUNT, 2))))
        assert self.selected() is None
        self.widget.graph.select_by_indices([1], NO)
        self.send(None)
        assert self.selected() is None


class TestLooks(ImageMapTest):
    def setUp(self):
        super().setUp()
        self.send(self.data())
        self.show()

    def pixels(self, row):
        """Colours from the middle of an image upwards, until those of the next."""
        image = self.plot.grab().toImage()
        place = self.plot.viewport().mapTo(self.plot, self.point(row))
        return [image.pixelColor(place - QPoint(0, up)) for up in range(20)]

    def middle(self, row):
        return self.pixels(row)[0]

    def test_images_and_frames(self):
        kinds = [QColor(*c.tolist()) for c in self.widget.attr_color.colors]
        for row in (6, 7):
            pixels = self.pixels(row)
            assert all(color == QColor(20 * row, 90, 200) for color in pixels[:10])
            assert pixels[10:].count(kinds[row % 3]) == 2
            assert SELECTED not in pixels
        self.click(6)
        assert SELECTED in self.pixels(6)
        assert kinds[0] in self.pixels(6)
        assert SELECTED not in self.pixels(7)
        simulate.combobox_activate_index(self.widget.controls.attr_color, 0)
        assert kinds[1] not in self.pixels(7)
        assert not self.widget.legend.isVisible()

    def test_numbers_as_colors(self):
        simulate.combobox_activate_item(self.widget.controls.attr_color, "n0")
        column = self.widget.data.X[:, 0]
        palette = self.widget.attr_color.palette
        largest = int(np.argmax(column))
        assert QColor(*palette.palette[-1].tolist()) in self.pixels(largest)

    def test_subset(self):
        before = self.middle(6)
        self.send_signal(self.widget.Inputs.data_subset, self.widget.data[:6])
        self.process_events(lambda: self.middle(6) != before)
        assert self.middle(6).lightness() > before.lightness()
        assert self.middle(5) == QColor(100, 90, 200)
        warning = self.widget.Warning
        # The same images in another table
        self.send_signal(self.widget.Inputs.data_subset, self.data()[:3])
        assert self.widget.get_subset_mask().tolist() == [True] * 3 + [False] * 9
        assert not warning.subset_independent.is_shown()
        both = Table.concatenate([self.data()[:3], self.data()[:1]])
        with both.unlocked(both.metas):
            both[3, "image"] = "elsewhere.png"
        self.send_signal(self.widget.Inputs.data_subset, both)
        assert warning.subset_not_subset.is_shown()
        self.send_signal(self.widget.Inputs.data_subset, both[3:])
        assert warning.subset_independent.is_shown()
        self.send_signal(self.widget.Inputs.data_subset, None)
        assert not warning.subset_independent.is_shown()
        assert self.widget.get_subset_mask() is None

    def test_labels(self):
        simulate.combobox_activate_item(self.widget.controls.attr_label, "image")
        model = self.widget.image_model
        assert model.index(3, 0).data() == "3.png"
        self.widget.controls.image_size.setValue(64)
        before = self.plot.grab().toImage()
        simulate.combobox_activate_index(self.widget.controls.attr_label, 0)
        assert self.plot.grab().toImage() != before

    def test_images_make_room(self):
        places = self.images_item.places
        self.widget.controls.image_size.setValue(256)
        self.process_events(lambda: 0 < len(places.shown()) < COUNT, 20_000)
        few = set(places.shown().tolist())
        edge = places.edge()
        label = self.widget.room_label
        expected = f"{len(few)} of {COUNT} images have room"
        self.process_events(lambda: label.text().startswith(expected), 20_000)
        # On zooming in, images become larger; none goes that is still in the window.
        for _ in range(8):
            box = self.widget.graph.view_box
            box.scaleBy((0.8, 0.8), box.mapToView(QPointF(*places.in_window()[5])))
            assert places.edge() >= edge
            edge = places.edge()
            inside = [
                row
                for row in few
                if places.box().contains(QPointF(*places.in_window()[row]))
            ]
            assert set(inside) <= set(places.shown().tolist())
            few = set(places.shown().tolist())
            shown = places.in_window()[places.shown()]
            apart = np.abs(shown[:, None] - shown).max(axis=2)
            np.fill_diagonal(apart, np.inf)
            assert apart.min(initial=np.inf) >= edge

    def test_hover(self):
        card = self.widget.view.card
        self.move(self.point(2), Qt.MouseButton.NoButton)
        self.process_events(card.isVisible, 20_000)
        text = card._text.text()
        assert "<b>kind:</b> cats" in text
        assert "2.png" in text
        assert "60 × 40 pixels" in text  # noqa: RUF001
        self.move((self.point(2) + self.point(7)) / 2, Qt.MouseButton.NoButton)
        self.process_events(lambda: not card.isVisible())

    def test_images_in_view_are_loaded_large(self):
        places, loader = self.images_item.places, self.widget.loader
        source = os.path.join(self.folder, "0.png")
        assert loader.get(source).box == (64, 64)
        QTest.keyClick(self.plot, Qt.Key.Key_Home)
        for _ in range(12):
            QTest.keyClick(self.plot, Qt.Key.Key_Plus)
        assert places.edge() > 64
        self.process_events(lambda: loader.get(source).box[0] >= places.edge(), 20_000)

    def test_save(self):
        graph = getdeepattr(self.widget, self.widget.graph_name)
        for format_ in (PngFormat, SvgFormat, PdfFormat):
            path = os.path.join(self.folder, f"saved{format_.EXTENSIONS[0]}")
            format_.write_image(path, graph)
            assert os.path.getsize(path) > 1000
        with Image.open(os.path.join(self.folder, "saved.png")) as saved:
            colors = {color for _, color in saved.convert("RGB").getcolors(10**6)}
        assert {(20 * index, 90, 200) for index in range(COUNT)} <= colors
        with open(os.path.join(self.folder, "saved.svg"), encoding="utf-8") as file:
            content = file.read()
        assert content.count("<image") >= COUNT
        # With the legend
        assert all(kind in content for kind in KINDS)

    def test_report(self):
        simulate.combobox_activate_item(self.widget.controls.attr_label, "image")
        self.click(3)
        self.widget.send_report()
        for text in ("Image column", "t-SNE-x / t-SNE-y", "kind", "<img", "Selected"):
            assert text in self.widget.report_html
        self.send(None)
        self.widget.send_report()

    def test_nothing_is_loaded_for_a_closed_window(self):
        self.widget.hide()
        loader = self.widget.loader
        self.process_events(lambda: loader.idle)
        loader.clear()
        self.send(self.data(np.random.default_rng(0).normal(size=(COUNT, 2))))
        self.process_events(lambda: not self.images_item._request_timer.isActive())
        assert len(loader.cache) == 0

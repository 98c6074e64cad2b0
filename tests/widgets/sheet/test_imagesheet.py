"""What Image Viewer and Image Grid both offer for their sheet."""

import os
import re

import numpy as np
import pytest
from AnyQt.QtCore import Qt
from AnyQt.QtGui import QContextMenuEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QApplication, QMenu
from Orange.data import (
    ContinuousVariable,
    DiscreteVariable,
    Domain,
    StringVariable,
    Table,
)
from Orange.widgets.tests.base import WidgetTest
from orangewidget.utils import saveplot
from PIL import Image

from orangecontrib.imageanalytics.widgets.owimagegrid import OWImageGrid
from orangecontrib.imageanalytics.widgets.owimageviewer import OWImageViewer

COUNT = 12
Keys = Qt.Key


class _SheetTests:
    """Run for each of the widgets."""

    cls: type

    @pytest.fixture(autouse=True)
    def images(self, tmp_path):
        self.folder = str(tmp_path)
        for index in range(COUNT):
            color = (20 * index, 90, 200)
            Image.new("RGB", (60, 40), color).save(tmp_path / f"{index}.png")

    def setUp(self):
        self.widget = self.create_widget(self.cls)

    def tearDown(self):
        self.widget.onDeleteWidget()
        super().tearDown()

    def send(self):
        random = np.random.default_rng(0)
        kinds = np.arange(COUNT) % 3
        attributes = [ContinuousVariable(f"n{i}") for i in range(8)]
        image = StringVariable("image")
        image.attributes.update(type="image", origin=self.folder)
        kind = DiscreteVariable("kind", values=("x", "y", "z"))
        domain = Domain(attributes, kind, [image])
        names = [[f"{index}.png"] for index in range(COUNT)]
        X = random.normal(size=(COUNT, 8))
        data = Table.from_numpy(domain, X, kinds, np.array(names, dtype=object))
        data.name = "photos"
        self.send_signal(self.widget.Inputs.data, data)
        if self.cls is OWImageGrid:
            self.wait_until_finished(timeout=60_000)
        self.widget.show()

    def select(self, count):
        # The first `count` rows of the view
        self.widget.view.select_rows(range(count))
        assert len(self.widget.view.selected_rows()) == count

    def source(self, row):
        return os.path.basename(self.widget.view.model().source(row))

    def test_arrow_keys_lead_to_other_images_in_the_preview(self):
        self.send()
        view, preview = self.widget.view, self.widget.preview
        QTest.keyClick(view, Keys.Key_Home)
        QTest.keyClick(view, Keys.Key_Space)
        assert preview.isVisible()
        first = view.currentIndex().row()
        QTest.keyClick(preview, Keys.Key_Right)
        assert view.currentIndex().row() != first
        self.process_events(lambda: preview.idle)
        assert self.source(view.currentIndex().row()) in preview.details.toPlainText()
        QTest.keyClick(preview, Keys.Key_Left)
        assert view.currentIndex().row() == first

    def test_preview_lists_the_values_of_the_row(self):
        self.send()
        view, preview = self.widget.view, self.widget.preview
        for row in (0, 7):
            view.setCurrentIndex(view.model().index(row))
            preview.open()
            number = int(self.source(row).partition(".")[0])
            lines = preview.details.toPlainText().splitlines()
            assert lines[lines.index("kind") + 1] == "xyz"[number % 3]
            n0 = self.widget.data.X[number, 0]
            assert float(lines[lines.index("n0") + 1]) == pytest.approx(n0, rel=1e-3)

    def test_strip_is_remembered(self):
        self.send()
        preview = self.widget.preview
        self.widget.view.setCurrentIndex(self.widget.view.model().index(0))
        preview.open()
        assert preview.details.isVisible()
        QTest.keyClick(preview, Keys.Key_I)
        assert self.widget.show_details is False
        stored = self.widget.settingsHandler.pack_data(self.widget)
        other = self.create_widget(self.cls, stored_settings=stored)
        assert other.preview.details.isHidden()
        other.onDeleteWidget()

    def test_compare_by_key_and_menu(self):
        self.send()
        view, compare = self.widget.view, self.widget.compare
        for count, can in ((1, False), (3, True), (5, False)):
            self.select(count)
            actions = self.widget.image_actions.menu(view.model().index(0)).actions()
            (action,) = [a for a in actions if a.text() == "Compare"]
            assert action.isEnabled() is can
            QTest.keyClick(view, Keys.Key_C)
            assert compare.isVisible() is can
            compare.close()
        self.select(2)
        actions = self.widget.image_actions.menu(view.model().index(0)).actions()
        next(a for a in actions if a.text() == "Compare").trigger()
        names = [pane.name for pane in compare.panes]
        assert names == [self.source(0), self.source(1)]
        compare.close()

    def test_new_data_closes_the_windows(self):
        self.send()
        self.select(2)
        self.widget.compare.open()
        self.widget.preview.open()
        self.send_signal(self.widget.Inputs.data, None)
        assert not self.widget.compare.isVisible()
        assert not self.widget.preview.isVisible()

        # Nor is an empty one opened.
        self.widget.preview.open()
        assert not self.widget.preview.isVisible()

    def test_new_data_close_the_hover_card(self):
        self.widget.resize(700, 500)
        self.widget.show()  # or the grid is laid out anew to fit the window
        self.send()
        view, card = self.widget.view, self.widget.hover_card
        self.process_events(lambda: self.widget.loader.idle)
        view.hovered.emit(0)
        self.process_events(card.isVisible)
        self.send_signal(self.widget.Inputs.data, None)
        assert not card.isVisible()

    def test_menu_is_about_the_image_that_was_clicked(self):
        self.send()
        view = self.widget.view
        self.process_events(lambda: view.visualRect(view.model().index(5)).isValid())
        shown = []
        self.monkeypatch.setattr(
            QMenu, "exec", lambda menu, place: shown.append(menu.actions())
        )
        for reason in (
            QContextMenuEvent.Reason.Mouse,
            QContextMenuEvent.Reason.Keyboard,
        ):
            place = view.visualRect(view.model().index(5)).center()
            if reason == QContextMenuEvent.Reason.Mouse:
                QTest.mousePress(view.viewport(), Qt.MouseButton.RightButton, pos=place)
            event = QContextMenuEvent(reason, place, view.viewport().mapToGlobal(place))
            QApplication.sendEvent(view.viewport(), event)
            assert view.currentIndex().row() == 5
        next(a for a in shown[-1] if a.text() == "Preview").trigger()
        preview = self.widget.preview
        assert preview.isVisible()
        assert self.source(5) in preview.details.toPlainText()

    def test_data_may_be_replaced_while_the_menu_is_open(self):
        self.send()
        view = self.widget.view
        self.process_events(lambda: view.model().thumbnail(1) is not None)
        expected = view.model().source(1)
        actions = self.widget.image_actions.menu(view.model().index(1)).actions()
        self.send_signal(self.widget.Inputs.data, None)
        named = {action.text(): action for action in actions}
        QApplication.clipboard().clear()
        for name in ("Preview", "Compare", "Copy Path"):
            named[name].trigger()
        assert QApplication.clipboard().text() == expected
        assert not self.widget.preview.isVisible()

    def save(self, name, monkeypatch):
        path = os.path.join(self.folder, name)

        def dialog(start_dir, start_filter, formats):
            extension = os.path.splitext(name)[1]
            found = next(f for f in formats if extension in f.EXTENSIONS)
            return path, found, found.DESCRIPTION

        with monkeypatch.context() as patch:
            patch.setattr(saveplot.filedialogs, "open_filename_dialog_save", dialog)
            self.widget.save_graph()
        self.process_events(lambda: not self.widget.export.busy)
        with open(path, "rb") as file:
            return file.read()

    @pytest.fixture(autouse=True)
    def patches(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def test_whole_sheet_is_saved(self):
        self.send()
        self.widget.resize(300, 200)
        text = self.save("sheet.html", self.monkeypatch).decode()
        assert "<title>photos</title>" in text
        assert len(re.findall("<img ", text)) == COUNT
        assert self.save("sheet.pdf", self.monkeypatch).startswith(b"%PDF")
        assert self.save("sheet.png", self.monkeypatch).startswith(b"\x89PNG")
        assert not self.widget.Warning.active

    def test_without_data_only_the_view_is_saved(self):
        self.widget.show()
        assert self.widget.contact_sheet() is None
        assert self.save("sheet.png", self.monkeypatch).startswith(b"\x89PNG")

    def test_unnamed_data(self):
        self.send()
        self.widget.data.name = "untitled"
        assert self.widget.contact_sheet().title == self.widget.captionTitle != ""


class TestOfImageViewer(_SheetTests, WidgetTest):
    cls = OWImageViewer


class TestOfImageGrid(_SheetTests, WidgetTest):
    cls = OWImageGrid

    def test_sheet_keeps_cells_colours_and_labels(self):
        self.send()
        widget = self.widget
        widget.label_attr = widget.data.domain["image"]
        widget._show_labels()
        sheet = widget.contact_sheet()
        assert sheet.columns == widget.grid.size_x
        assert list(sheet.cells) == list(np.flatnonzero(widget.grid.grid_indices >= 0))
        assert [str(key) for key in sheet.legend] == ["x (4)", "y (4)", "z (4)"]
        for entry in sheet.entries:
            name = os.path.basename(entry.source)
            assert entry.lines == (name,)
            number = int(name.partition(".")[0])
            assert entry.color == sheet.legend[number % 3].color

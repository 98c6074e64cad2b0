"""Label Images: keys, proposals, undo, and that nothing is lost."""

import time
from unittest import mock

import numpy as np
import pytest
from all_widgets import table
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QLineEdit
from helpers import PATIENCE
from labelling_widget import (  # noqa: F401
    N_IMAGES,
    LabelImagesTest,
    embedded,
    image_paths,
    vectors_of,
)
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.labels import NO_CLASS
from orangecontrib.imageanalytics.widgets.labelling import label_sheet
from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import (
    DASHED_FRAME,
    NO_FRAME,
    SOLID_FRAME,
)


class TestLabelImages(LabelImagesTest):
    def test_keys_give_classes(self):
        self.start()
        view = self.widget.view
        assert self.widget.label_sheet.selected().tolist() == [0]
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.press(Qt.Key.Key_Space)
        self.press(Qt.Key.Key_9)  # no class has it
        assert self.names() == {0: "cat", 1: "dog"}
        assert self.widget.session.skipped.nonzero()[0].tolist() == [2]
        assert self.widget.label_sheet.selected().tolist() == [3]
        view.select_rows(range(view.count()))
        self.press(Qt.Key.Key_Delete)
        assert self.names() == {}

    def test_keys_of_a_list_of_classes(self):
        self.start([])
        edit = self.widget.panel.class_list.name_edit
        QTest.keyClicks(edit, " a  cat ")
        QTest.keyClick(edit, Qt.Key.Key_Return)
        assert edit.text() == ""
        QTest.keyClicks(edit, "a cat")
        QTest.keyClick(edit, Qt.Key.Key_Return)
        assert "a cat" in str(self.widget.Warning.bad_name)
        assert self.widget.Warning.bad_name.is_shown()
        (number,) = self.widget.session.classes
        self.widget.panel.class_list.renamed.emit(number, "dog")
        assert not self.widget.Warning.bad_name.is_shown()
        self.widget.panel.class_list.recolored.emit(number, "#123456")
        given = self.widget.session.classes[number]
        assert (given.name, given.color) == ("dog", "#123456")
        self.widget.label_sheet.select_images(np.array([3]))
        QTest.keyClick(self.widget.panel.class_list.view, Qt.Key.Key_Return)
        assert self.names() == {3: "dog"}
        QTest.keyClick(self.widget.panel.class_list.view, Qt.Key.Key_Delete)
        assert not self.widget.session.classes
        self.widget.undo()
        assert self.names() == {3: "dog"}
        self.settle()

    def test_renaming_in_the_list(self):
        self.start(["cat"])
        item = self.widget.panel.class_list.view.model().item(0)
        assert item.text() == "1   cat"
        view = self.widget.panel.class_list.view
        view.edit(item.index())
        editor = view.findChild(QLineEdit)
        assert editor.text() == "cat"
        editor.selectAll()
        QTest.keyClicks(editor, "lion")
        # A lesson ends while the user is typing.
        self.widget.session.label([0], 0)
        self.widget.show_state()
        assert editor.text() == "lion"
        QTest.keyClick(editor, Qt.Key.Key_Return)
        self.process_events()
        assert [c.name for c in self.widget.session.classes.values()] == ["lion"]
        assert item.text() == "1   lion"
        item.setText("  ")
        assert item.text() == "1   lion"
        item.setText("tiger")
        assert item.text() == "1   tiger"
        self.settle()

    def test_learning_that_fails(self):
        self.start()
        for error, message in (
            (MemoryError(), self.widget.Error.out_of_memory),
            (ValueError("odd"), self.widget.Error.unexpected_error),
        ):
            self.send(embedded(self.paths))
            self.widget._teacher._prepare = mock.Mock(side_effect=error)
            self.widget._teacher._orders = None
            self.widget.begin_round()
            self.settle()
            assert message.is_shown()
        self.press(Qt.Key.Key_1)
        assert self.names() == {0: "cat"}

    def test_proposals(self):
        self.start()
        self.label(0, Qt.Key.Key_1)
        assert self.get_output("All").get_column("by").tolist()[0] == 0
        self.label(N_IMAGES - 1, Qt.Key.Key_2)
        classes = self.widget.proposals.classes
        half = N_IMAGES // 2
        assert len(set(classes[:half])) == len(set(classes[half:])) == 1
        look, rows = self.widget.view.look, self.widget.label_sheet._rows
        assert look.frames[rows[0]] == SOLID_FRAME
        assert look.frames[rows[1]] == DASHED_FRAME
        assert (look.colors[rows[1]] == look.colors[rows[0]]).all()
        labels = self.widget.view.model().labels
        assert labels(int(rows[0])) == ["✓ cat"]
        (text,) = labels(int(rows[1]))
        assert text.startswith("cat ") and text.endswith("%")
        everything = self.get_output("All")
        assert everything.domain.class_var.values == ("cat", "dog")
        assert len(everything) == N_IMAGES
        by = everything.get_column("by")
        assert (by == 0).sum() == 2 and (by == 1).sum() == N_IMAGES - 2
        certainty = everything.get_column("certainty")
        assert certainty[0] == 1 and (certainty[1:-1] < 1).all()
        assert (everything.Y[:half] == 0).all() and (everything.Y[half:] == 1).all()
        labelled = self.get_output("Labelled")
        assert len(labelled) == 2
        assert labelled.Y.tolist() == [0, 1]
        np.testing.assert_array_equal(labelled.X, vectors_of(N_IMAGES)[[0, -1]])

    def test_a_screen_is_accepted(self):
        self.start()
        self.widget.show()
        self.widget.resize(900, 500)
        self.label(0, Qt.Key.Key_1)
        self.label(N_IMAGES - 1, Qt.Key.Key_2)
        seen = set(self.widget.label_sheet.on_screen().tolist())
        assert 2 < len(seen) <= N_IMAGES
        self.press(Qt.Key.Key_Return)
        assert set(self.names()) == seen | {0, N_IMAGES - 1}
        assert self.names()[1] == "cat"
        self.press(Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
        self.widget.hide()

    def test_undo_and_redo(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        assert self.names() == {0: "cat", 1: "dog"}
        self.widget.panel.undo_button.click()
        self.settle()
        assert self.names() == {0: "cat"}
        assert self.widget.label_sheet.selected().tolist() == [1]
        self.widget.panel.redo_button.click()
        self.settle()
        assert self.names() == {0: "cat", 1: "dog"}
        for _ in range(4):  # two labels, two classes
            self.widget.undo()
        assert not self.widget.session.classes
        assert not self.widget.panel.undo_button.isEnabled()
        self.settle()

    def test_orders(self):
        self.start()
        for order in ("random", "typical", "uncertain", "like"):
            self.widget.order = order
            self.widget.label_sheet.select_images(np.array([5]))
            self.widget.change_order()
            self.settle()
            assert sorted(self.widget.label_sheet.images) == list(range(N_IMAGES))
        # Those of its own group come before the others.
        images = self.widget.label_sheet.images.tolist()
        assert images[0] == 5 and set(images[: N_IMAGES // 2]) == set(range(12))

    def test_without_vectors(self):
        self.send(table(self.paths))
        assert self.widget.Information.no_vectors.is_shown()
        self.widget.add_class("cat")
        self.widget.add_class("dog")
        self.settle()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        assert self.names() == {0: "cat", 1: "dog"}
        assert (self.widget.proposals.classes == NO_CLASS).all()
        assert (self.widget.view.look.frames == NO_FRAME).sum() == N_IMAGES - 2
        assert len(self.get_output("Labelled")) == 2
        self.send(embedded(self.paths))
        assert not self.widget.Information.no_vectors.is_shown()
        assert self.names() == {0: "cat", 1: "dog"}

    def test_nothing_is_selected_until_the_model_has_learned(self):
        self.start()
        QTest.keyClick(self.widget.view, Qt.Key.Key_1)
        assert self.widget._round_due
        QTest.keyClick(self.widget.view, Qt.Key.Key_2)
        self.settle()
        assert self.names() == {0: "cat"}

    def test_several_at_a_time(self):
        self.widget.at_a_time = 3
        self.start()
        QTest.keyClick(self.widget.view, Qt.Key.Key_1)
        QTest.keyClick(self.widget.view, Qt.Key.Key_2)
        assert self.names() == {0: "cat", 1: "dog"}
        assert self.widget.view.look.headings == ["To label"]
        QTest.keyClick(self.widget.view, Qt.Key.Key_2)
        self.settle()
        assert self.widget.view.look.headings == ["Just labelled", "To label"]
        assert self.widget.label_sheet.images[:3].tolist() == [2, 1, 0]
        assert self.widget.label_sheet.selected().tolist() == [3]

    def test_sections_stay_closed_whatever_they_are_called(self):
        """The texts might be the same in a language."""
        with mock.patch.object(label_sheet, "SECTIONS", ("Images",) * 4):
            self.start()
            self.widget.view.toggle_section(0)
            self.label(0, Qt.Key.Key_1)
        look = self.widget.view.look
        assert list(look.headings) == ["Images"] * 2
        assert list(look.collapsed) == [False, True]

    def test_all_are_labelled(self):
        self.start()
        self.widget.view.select_rows(range(N_IMAGES))
        self.press(Qt.Key.Key_1)
        assert len(self.names()) == N_IMAGES
        assert "To label" not in self.widget.view.look.headings
        self.press(Qt.Key.Key_1)

    def test_report_and_sheet(self):
        self.start()
        self.label(0, Qt.Key.Key_1)
        self.widget.send_report()
        sheet = self.widget.contact_sheet()
        assert [key.name for key in sheet.legend] == ["cat", "(missing)"]
        assert sum(bool(entry.color) for entry in sheet.entries) == 1

    def test_a_missing_vector(self):
        X = vectors_of(N_IMAGES)
        X[3] = np.nan
        self.send(embedded(self.paths, X))
        self.widget.order = "uncertain"
        self.widget.add_class("cat")
        self.widget.add_class("dog")
        self.settle()
        self.label(0, Qt.Key.Key_1)
        self.label(N_IMAGES - 1, Qt.Key.Key_2)
        assert self.widget.proposals.classes[3] == NO_CLASS
        assert np.isnan(self.get_output("All").Y[3])


@pytest.mark.slow
class TestManyImages(WidgetTest):
    """20,000 images: a key shows in under 50 ms; here, on a machine with other work."""

    def test_key(self):
        n_images = 20_000
        X = np.random.default_rng(0).random((n_images, 64))
        widget = self.create_widget(OWLabelImages)
        paths = [f"/no/such/{number}.png" for number in range(n_images)]
        self.send_signal("Images", embedded(paths, X), widget=widget)
        self.wait_until_finished(widget, timeout=PATIENCE)
        assert QTest.qWaitFor(lambda: not widget._round_due, PATIENCE)
        widget.add_class("cat")
        widget.show()
        times = []
        for _ in range(10):
            assert QTest.qWaitFor(
                lambda: widget.task is None and not widget._round_due, PATIENCE
            )
            start = time.perf_counter()
            QTest.keyClick(widget.view, Qt.Key.Key_1)
            widget.view.viewport().repaint()
            times.append(time.perf_counter() - start)
        widget.hide()
        assert widget.session.n_labeled == 10
        assert np.median(times) < 1, times

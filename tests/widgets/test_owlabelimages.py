"""Label Images: keys, proposals, undo, and that nothing is lost."""

import csv
import os
import shutil
import subprocess
import sys
import threading
import time
from unittest import mock

import numpy as np
import pytest
from all_widgets import table
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QLineEdit
from helpers import PATIENCE, make_image
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from Orange.widgets.tests.base import WidgetTest

from orangecontrib.imageanalytics.labels import NO_CLASS, LabeledImage, read_labels
from orangecontrib.imageanalytics.labels.autosave import autosave_folder
from orangecontrib.imageanalytics.widgets.labelling import label_store
from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages
from orangecontrib.imageanalytics.widgets.sheet.sheetlook import (
    DASHED_FRAME,
    NO_FRAME,
    SOLID_FRAME,
)

N_IMAGES = 24
N_FEATURES = 6


def vectors_of(n_images):
    """Two groups of images that differ, first the ones and then the others."""
    rng = np.random.default_rng(0)
    X = rng.normal(0, 0.3, (n_images, N_FEATURES))
    X[: n_images // 2, 0] += 3
    X[n_images // 2 :, 1] += 3
    return X


def embedded(paths, X=None):
    X = vectors_of(len(paths)) if X is None else X
    attributes = [ContinuousVariable(f"n{i}") for i in range(X.shape[1])]
    return table(paths, attributes, X=X)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    paths = []
    for number in range(N_IMAGES):
        path = folder / f"{number:02}.png"
        make_image(number, (24, 24)).save(path)
        paths.append(str(path))
    return paths


class TestLabelImages(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, images, fresh_cache, tmp_path):
        self.paths, self.tmp_path = images, tmp_path

    def setUp(self):
        self.widget = self.new_widget()

    def new_widget(self, record=None):
        settings = {"order": "given"}
        if record is not None:
            settings["record"] = record
        return self.create_widget(OWLabelImages, stored_settings=settings)

    def settle(self, widget=None):
        widget = widget or self.widget
        self.wait_until_finished(widget, timeout=PATIENCE)
        assert QTest.qWaitFor(
            lambda: widget.task is None and not widget._round_due, PATIENCE
        )
        self.wait_until_finished(widget, timeout=PATIENCE)

    def send(self, data, widget=None, signal="Images"):
        self.send_signal(signal, data, widget=widget or self.widget)
        self.settle(widget)

    def start(self, names=("cat", "dog")):
        self.send(embedded(self.paths))
        for name in names:
            self.widget.add_class(name)
        self.settle()

    def press(self, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.widget.view, key, modifier)
        self.settle()

    def label(self, image, key):
        self.widget.label_sheet.select_images(np.array([image]))
        self.press(key)

    def names(self, widget=None):
        session = (widget or self.widget).session
        classes = session.classes
        return {
            image: classes[number].name
            for image, number in enumerate(session.labels.tolist())
            if number != NO_CLASS
        }

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

    def test_known_labels(self):
        variable = DiscreteVariable("animal", ("dog", "cat"))
        known = table([*self.paths[:3], "elsewhere.png"])
        domain = Domain((), variable, known.domain.metas)
        known = Table.from_numpy(
            domain, known.X, np.array([0, np.nan, 1, 1]), known.metas
        )
        self.send_signal("Labels", known)
        self.start([])
        assert self.names() == {0: "dog", 2: "cat"}
        # What is taken away does not come back with the workflow.
        self.label(0, Qt.Key.Key_Delete)
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        second = self.create_widget(OWLabelImages, stored_settings=packed)
        self.send_signal("Labels", known, widget=second)
        self.send(embedded(self.paths), second)
        assert self.names(second) == {2: "cat"}
        self.send_signal("Labels", Table("housing"))
        assert self.widget.Warning.labels_unused.is_shown()
        self.send_signal("Labels", None)
        assert not self.widget.Warning.labels_unused.is_shown()
        self.settle()

    def test_known_labels_of_images_that_come_later(self):
        variable = DiscreteVariable("animal", ("dog", " ", "cat\n"))
        variable.attributes["colors"] = {"dog": "#123456", " ": "red", "cat\n": "no"}
        known = table(self.paths[:3])
        domain = Domain((), variable, known.domain.metas)
        known = Table.from_numpy(domain, known.X, np.array([0, 1, 2]), known.metas)
        self.send(known, signal="Labels")
        self.send(embedded(self.paths[:2]))
        assert self.names() == {0: "dog"}
        self.send(embedded(self.paths))
        assert self.names() == {0: "dog", 2: "cat"}
        dog, cat = self.widget.session.classes.values()
        assert dog.color == "#123456" != cat.color
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        second = self.create_widget(OWLabelImages, stored_settings=packed)
        self.send(embedded(self.paths), second)
        assert self.names(second) == {0: "dog", 2: "cat"}

    def test_an_autosave_is_offered_when_images_come(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.widget.onDeleteWidget()
        assert self.widget.store.wait(60)
        second = self.new_widget()
        self.send(None, second)
        self.send(embedded(self.paths), second)
        assert second.offer_bar.isVisibleTo(second)

    def test_workflow(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.press(Qt.Key.Key_Space)
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        # Elsewhere, there is no autosave.
        self.widget.onDeleteWidget()
        shutil.rmtree(autosave_folder())
        second = self.create_widget(OWLabelImages, stored_settings=packed)
        self.send(embedded(self.paths), second)
        assert self.names(second) == {0: "cat", 1: "dog"}
        assert second.session.skipped.nonzero()[0].tolist() == [2]
        assert not second.offer_bar.isVisibleTo(second)
        assert not second.session.undo_text

    def test_images_that_are_gone_are_remembered(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.send(embedded(self.paths[1:]))
        assert self.names() == {0: "dog"}
        self.send(None)
        assert self.get_output("All") is None
        self.send(embedded(self.paths))
        assert self.names() == {0: "cat", 1: "dog"}

    def test_a_moved_folder(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        assert self.widget.store.wait(60)
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        moved = []
        for number, path in enumerate(reversed(self.paths)):
            new = self.tmp_path / "moved" / f"photo {number}.png"
            new.parent.mkdir(exist_ok=True)
            shutil.move(path, new)
            moved.append(str(new))
        second = self.create_widget(OWLabelImages, stored_settings=packed)
        self.send(embedded(moved, vectors_of(N_IMAGES)[::-1]), second)
        assert self.names(second) == {N_IMAGES - 1: "cat", N_IMAGES - 2: "dog"}

    def test_an_edited_file(self):
        self.start()
        self.press(Qt.Key.Key_1)
        assert self.widget.store.wait(60)
        make_image(999, (30, 30)).save(self.paths[0])
        self.send(embedded(self.paths))
        assert self.names() == {0: "cat"}
        assert self.widget.Warning.files_changed.is_shown()

    def test_an_autosave_is_offered(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.widget.onDeleteWidget()
        assert self.widget.store.wait(60)
        second = self.new_widget()
        self.send(embedded(self.paths), second)
        assert self.names(second) == {}
        assert second.offer_bar.isVisibleTo(second)
        assert "2 labels" in second.offer_bar.label.text()
        second.offer_bar.take_button.click()
        self.settle(second)
        assert self.names(second) == {0: "cat", 1: "dog"}
        assert second.store.wait(60)
        (name,) = [n for n in os.listdir(autosave_folder()) if n.endswith("json")]
        assert second.store.autosave_path.endswith(name)
        second.undo()
        assert self.names(second) == {}
        self.settle(second)

    def test_autosaves_of_open_widgets_are_not_offered(self):
        self.start()
        self.press(Qt.Key.Key_1)
        assert self.widget.store.wait(60)
        second = self.new_widget()
        self.send(embedded(self.paths), second)
        assert not second.offer_bar.isVisibleTo(second)

    def test_two_widgets_of_one_workflow_do_not_share_an_autosave(self):
        self.start()
        self.press(Qt.Key.Key_1)
        assert self.widget.store.wait(60)
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        second = self.create_widget(OWLabelImages, stored_settings=packed)
        self.send(embedded(self.paths), second)
        second.add_class("horse")
        assert second.store.wait(60)
        assert second.store.autosave_path != self.widget.store.autosave_path
        self.settle(second)

    def test_a_damaged_autosave(self):
        os.makedirs(autosave_folder())
        path = os.path.join(autosave_folder(), "abc.json")
        with open(path, "w") as file:
            file.write('{"version": 1, "clas')
        self.start()
        assert self.widget.Warning.autosave_damaged.is_shown()
        assert f"{path}.damaged-1" in str(self.widget.Warning.autosave_damaged)
        assert not os.path.exists(path)
        assert os.path.getsize(f"{path}.damaged-1")

    def test_autosave_that_fails(self):
        with mock.patch(
            "orangecontrib.imageanalytics.labels.autosave.replaced_file",
            side_effect=OSError("disk full"),
        ):
            self.start()
            self.press(Qt.Key.Key_1)
            assert self.widget.store.wait(60)
            self.process_events()
        assert "disk full" in str(self.widget.Warning.not_autosaved)
        assert self.names() == {0: "cat"}

    def test_csv(self):
        self.start()
        self.label(0, Qt.Key.Key_1)
        self.label(N_IMAGES - 1, Qt.Key.Key_2)
        path = str(self.tmp_path / "labels.csv")
        dialog = "AnyQt.QtWidgets.QFileDialog."
        with mock.patch(f"{dialog}getSaveFileName", lambda *_: (path[:-4], "")):
            self.widget.files.export_button.click()
        assert QTest.qWaitFor(self.widget.Information.done.is_shown, PATIENCE)
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == N_IMAGES
        assert rows[0]["image"] == self.paths[0]
        assert (rows[0]["class"], rows[0]["by"]) == ("cat", "person")
        assert rows[1]["by"] == "proposed"
        assert 0.5 < float(rows[1]["certainty"]) < 1
        second = self.new_widget()
        self.send(embedded(self.paths), second)
        with mock.patch(f"{dialog}getOpenFileName", lambda *_: (path, "")):
            second.files.read_button.click()
        assert QTest.qWaitFor(second.Information.done.is_shown, PATIENCE)
        self.settle(second)
        assert self.names(second) == {0: "cat", N_IMAGES - 1: "dog"}
        assert f"{N_IMAGES - 2} rows left out" in str(second.Information.done)
        second.undo()
        assert self.names(second) == {}
        self.settle(second)
        bad = self.tmp_path / "bad.csv"
        bad.write_bytes(b"\xff\xfe\x00")
        with mock.patch(f"{dialog}getOpenFileName", lambda *_: (str(bad), "")):
            second.files.read_button.click()
        assert QTest.qWaitFor(second.Error.file_error.is_shown, PATIENCE)
        assert str(bad) in str(second.Error.file_error)

    def test_export_that_fails(self):
        self.start()
        path = str(self.tmp_path / "no" / "labels.csv")
        dialog = "AnyQt.QtWidgets.QFileDialog.getSaveFileName"
        with mock.patch(dialog, lambda *_: (path, "")):
            self.widget.files.export_button.click()
        assert QTest.qWaitFor(self.widget.Error.file_error.is_shown, PATIENCE)
        assert path in str(self.widget.Error.file_error)

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

    def test_a_label_that_is_taken_away_while_known_ones_are_looked_up(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.send_signal("Labels", table(self.paths))
        self.widget.label_sheet.select_images(np.array([0]))
        QTest.keyClick(self.widget.view, Qt.Key.Key_Delete)
        assert self.widget.store.busy
        self.settle()
        assert self.names() == {1: "dog"}

    def test_what_was_labelled_before_is_not_undone(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.send_signal("Images", embedded(self.paths))
        self.widget.label_sheet.select_images(np.array([3]))
        QTest.keyClick(self.widget.view, Qt.Key.Key_2)
        assert self.widget.store.busy
        self.settle()
        assert self.names() == {0: "cat", 3: "dog"}
        self.widget.undo()
        assert self.names()[0] == "cat"
        self.settle()

    def test_renamed_while_images_are_gone(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.send(embedded(self.paths[2:]))
        cat, dog = self.widget.session.classes
        self.widget.rename_class(cat, "lion")
        self.widget.rename_class(dog, "wolf")
        self.widget.undo()
        assert self.widget.store.wait(60)
        packed = OWLabelImages.settingsHandler.pack_data(self.widget)
        assert [i[1] for i in packed["record"]["images"]] == ["lion", "dog"]
        # Renamed while what is known about new images is still looked up.
        self.send_signal("Images", embedded(self.paths))
        dog = self.widget.session.number_of("dog")
        self.widget.rename_class(dog, "wolf")
        assert self.widget.store.busy
        self.settle()
        assert self.names() == {0: "lion", 1: "wolf"}
        assert len(self.widget.session.classes) == 2

    def test_read_back_while_other_images_come(self):
        path = self.tmp_path / "labels.csv"
        path.write_text(f"image,class\n{self.paths[5]},cat\n/no/such.png,dog\n")
        self.start([])
        release = threading.Event()

        def slow(*args):
            release.wait(60)
            return read_labels(*args)

        module = "orangecontrib.imageanalytics.widgets.labelling.label_files"
        with mock.patch(f"{module}.read_labels", slow):
            self.widget.files.read(str(path), self.widget._sources, "")
            self.send(embedded(self.paths[4:]))
            release.set()
            assert QTest.qWaitFor(self.widget.Information.done.is_shown, PATIENCE)
        self.settle()
        assert self.names() == {1: "cat"}
        (absent,) = self.widget.store.absent(self.widget.session)
        assert (absent.source, absent.class_name) == ("/no/such.png", "dog")

    def test_absent_images_that_are_read_while_images_are_looked_up(self):
        self.start()
        self.send_signal("Images", embedded(self.paths))
        self.widget.store.add_absent(
            [LabeledImage("/no/such.png", "dog")], self.widget.session
        )
        assert self.widget.store.busy
        self.settle()
        assert len(self.widget.store.absent(self.widget.session)) == 1

    def test_later_labels_of_absent_images_count(self):
        self.start()
        store, session = self.widget.store, self.widget.session
        for name in ("cat", "dog"):
            store.add_absent([LabeledImage("/no/such.png", name)], session)
        (image,) = store.settings(session, self.paths)["images"]
        assert image[:2] == ["/no/such.png", "dog"]

    def test_outputs_wait_for_what_is_known(self):
        self.start()
        self.press(Qt.Key.Key_1)
        sent = []
        send = self.widget.Outputs.labelled.send
        self.widget.commit.now()  # of the images before
        with mock.patch.object(
            self.widget.Outputs.labelled, "send", lambda t: (sent.append(t), send(t))
        ):
            release = threading.Event()
            found = label_store.find

            def slow(*args):
                release.wait(60)
                return found(*args)

            with mock.patch.object(label_store, "find", slow):
                self.send_signal("Images", embedded(self.paths[:4]))
                self.widget.add_class("horse")
                QTest.qWait(2 * self.widget._commit_timer.interval())
                assert not sent
                release.set()
                self.settle()
        assert sent and all(len(t) == 1 for t in sent)


KILLED = """
import os, sys, time
from all_widgets import table
from AnyQt.QtWidgets import QApplication
from AnyQt.QtTest import QTest
app = QApplication([])
from test_owlabelimages import embedded
from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages
widget = OWLabelImages()
widget.set_images(embedded(sys.argv[1:]))
widget.handleNewSignals()
assert QTest.qWaitFor(lambda: not widget.store.busy, 120_000)
widget.add_class("cat")
widget.session.label([1], widget.session.number_of("cat"))
widget.labels_changed()
assert widget.store.wait(60)
os.kill(os.getpid(), 9)
"""


class TestAfterCrash(WidgetTest):
    @pytest.fixture(autouse=True)
    def fixtures(self, images, fresh_cache):
        self.paths = images

    def test_killed(self):
        here = os.path.dirname(os.path.abspath(__file__))
        root = os.path.dirname(os.path.dirname(here))
        path = os.pathsep.join([root, here, os.path.dirname(here)])
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, *self.paths],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode == -9, ended.stderr
        widget = self.create_widget(OWLabelImages)
        self.send_signal("Images", embedded(self.paths), widget=widget)
        assert QTest.qWaitFor(lambda: widget.offer_bar.isVisibleTo(widget), PATIENCE)
        widget.take_offer()
        assert widget.session.labels.tolist().count(NO_CLASS) == N_IMAGES - 1
        assert widget.session.labels[1] != NO_CLASS
        self.wait_until_finished(widget, timeout=PATIENCE)


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

"""Labels from elsewhere and from earlier: none is lost, none goes to a wrong image."""

import csv
import os
import shutil
import subprocess
import sys
import threading
from unittest import mock

import all_widgets
import numpy as np
from all_widgets import table
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from helpers import PATIENCE, make_image
from labelling_widget import (  # noqa: F401
    N_IMAGES,
    LabelImagesTest,
    embedded,
    image_paths,
    vectors_of,
)
from Orange.data import DiscreteVariable, Domain, Table

from orangecontrib.imageanalytics.labels import NO_CLASS, LabeledImage, read_labels
from orangecontrib.imageanalytics.labels.autosave import autosave_folder
from orangecontrib.imageanalytics.widgets.labelling import label_store
from orangecontrib.imageanalytics.widgets.owlabelimages import OWLabelImages


class TestRemembering(LabelImagesTest):
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

    def test_known_labels_leave_what_the_user_does_meanwhile(self):
        self.start()
        self.press(Qt.Key.Key_1)
        self.press(Qt.Key.Key_2)
        self.send_signal("Labels", table(self.paths))
        self.widget.label_sheet.select_images(np.array([0]))
        QTest.keyClick(self.widget.view, Qt.Key.Key_Delete)
        assert self.widget.store.busy
        self.settle()
        assert self.names() == {1: "dog"}
        self.widget.undo()
        assert self.names() == {0: "cat", 1: "dog"}
        self.settle()

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
from labelling_widget import embedded
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


class TestAfterCrash(LabelImagesTest):
    def test_killed(self):
        tests = os.path.dirname(all_widgets.__file__)
        path = os.pathsep.join([os.path.dirname(tests), tests])
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, *self.paths],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert ended.returncode == -9, ended.stderr
        widget = self.widget
        self.send_signal("Images", embedded(self.paths), widget=widget)
        assert QTest.qWaitFor(lambda: widget.offer_bar.isVisibleTo(widget), PATIENCE)
        widget.take_offer()
        assert widget.session.labels.tolist().count(NO_CLASS) == N_IMAGES - 1
        assert widget.session.labels[1] != NO_CLASS
        self.wait_until_finished(widget, timeout=PATIENCE)

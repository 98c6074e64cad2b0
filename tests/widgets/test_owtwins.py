import numpy as np
import pytest
from all_widgets import table
from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest
from helpers import PATIENCE, wait_until
from Orange.data import ContinuousVariable, DiscreteVariable, Domain, Table
from Orange.widgets.tests.base import WidgetTest
from twin_images import save_copies

from orangecontrib.imageanalytics.twins import finding, fingerprints
from orangecontrib.imageanalytics.widgets.owtwins import OWTwins
from orangecontrib.imageanalytics.widgets.twins.twins_run import MOST_DISTANCE
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import without_links

# Of the seven images; "1 photo.png" and "3 second.jpg" are the largest.
GROUPS = ["1", "1", "?", "2", "1", "1", "2"]
SINGLE = [1, 2, 3]


class TestOWTwins(WidgetTest):
    @pytest.fixture(autouse=True)
    def images(self, tmp_path, monkeypatch):
        self.paths = save_copies(tmp_path / "twins")
        self.monkeypatch = monkeypatch

    def setUp(self):
        self.widget = self.create_widget(OWTwins)

    def tearDown(self):
        self.widget.onDeleteWidget()
        super().tearDown()

    def send(self, data):
        self.send_signal("Images", data, widget=self.widget)
        self.wait()

    def wait(self):
        self.wait_until_finished(self.widget, timeout=PATIENCE)
        self.process_events(lambda: self.widget.task is None, PATIENCE)

    def out(self, name):
        return self.get_output(name, self.widget)

    def paths_of(self, data):
        return [self.paths.index(path) for path in data.get_column("image")]

    def active(self):
        widget = self.widget
        return [m for group in widget.message_groups for m in group.active]

    def with_vectors(self):
        vectors = np.random.default_rng(0).normal(size=(7, 32))
        vectors[2] = vectors[3]
        attributes = [ContinuousVariable(f"n{i}") for i in range(32)]
        return table(self.paths, attributes, X=vectors)

    # Outputs

    def test_outputs(self):
        data = table(self.paths)
        self.send(data)
        assert not self.active()
        assert self.paths_of(self.out("Without Twins")) == SINGLE
        grouped = self.out("Data")
        assert [str(row["group"]) for row in grouped] == GROUPS
        assert (grouped.ids == data.ids).all()
        folds = grouped.get_column("fold")
        assert folds[0] == folds[1] == folds[4] == folds[5]
        assert folds[3] == folds[6]
        self.send(None)
        assert self.out("Without Twins") is self.out("Data") is None

    def test_folds(self):
        self.send(table(self.paths))
        assert len(self.out("Data").domain["fold"].values) == 3
        view = self.widget.view.model()
        resets = []
        view.modelReset.connect(lambda: resets.append(True))
        self.monkeypatch.setattr(finding.TwinFinder, "find", None)  # is not needed
        self.widget.controls.n_folds.setValue(2)
        self.wait()
        assert not self.active()
        assert not resets
        assert len(self.out("Data").domain["fold"].values) == 2

    def test_test_and_score_offers_the_folds_first(self):
        from Orange.widgets.evaluate.owtestandscore import OWTestAndScore

        kinds = DiscreteVariable("kind", ["a", "b"])
        data = table(self.paths)
        domain = Domain([ContinuousVariable("x")], kinds, data.domain.metas)
        data = data.transform(domain).copy()
        with data.unlocked():
            data.X[:], data.Y[:] = 1, np.arange(7) % 2
        self.send(data)
        scores = self.create_widget(OWTestAndScore)
        self.send_signal("Data", self.out("Data"), widget=scores)
        assert scores.fold_feature.name == "fold"

    def test_sending_by_hand(self):
        self.widget.controls.auto_commit.click()
        self.send(table(self.paths))
        assert self.out("Data") is None
        self.widget.commit.now()
        assert self.paths_of(self.out("Without Twins")) == SINGLE
        self.send(None)  # does not wait
        assert self.out("Data") is None

    # What is shown

    def shown(self):
        model = self.widget.view.model()
        rows = range(self.widget.view.count())
        return [self.paths.index(model.source(row)) for row in rows]

    def test_groups(self):
        self.send(table(self.paths))
        shown = self.shown()
        assert shown[0] == 1
        assert set(shown[1:4]) == {0, 4, 5}
        assert shown[4:] == [3, 6]
        look = self.widget.view.look
        assert look.headings == ["Group 1", "Group 2"]
        assert look.counts.tolist() == [4, 2]
        assert self.widget.legend.rows() == [("kept", "2"), ("left out", "4")]
        assert self.widget.status.text().startswith(
            "2 groups of twins; 4 images left out"
        )
        labels = self.widget.view.model().labels(0), self.widget.view.model().labels(5)
        size = "320 × 240"  # noqa: RUF001
        assert tuple(labels[0]) == ("1 photo.png", size, "kept")
        assert tuple(labels[1]) == ("6 second.jpg", size, "distance 0.00")

    def test_no_twins(self):
        self.send(table(self.paths[1:4]))
        assert self.widget.view.look.message.startswith("No twins")
        assert self.widget.view.count() == 0
        assert len(self.out("Without Twins")) == 3
        assert self.widget.legend.isHidden()

    def test_no_image_can_be_read(self):
        self.send(table(["/no/such/a.png", "/no/such/b.png"]))
        assert self.widget.view.look.message.startswith("None of the images can")
        status = without_links(self.widget.status.text())
        assert status == "2 not read"
        assert len(self.out("Without Twins")) == 2

    def test_values_under_the_mouse(self):
        self.send(table(self.paths))
        values = dict(self.widget.shown_values(5))
        assert values["Distance"] == "0.00"
        assert "320" in values["Pixels"]

    def test_messages_without_images(self):
        for data, text in (
            (None, "Connect Import Images"),
            (Table("iris"), "no column with images"),
            (table(["", ""]), "is empty"),
        ):
            self.send(table(self.paths))
            assert self.out("Data") is not None
            self.send(data)
            assert text in self.widget.view.look.message
            assert self.widget.view.count() == 0
            assert self.out("Data") is None
        assert not self.widget.Error.no_image_attr.is_shown()

    def test_colors_of_the_kept(self):
        self.send(table(self.paths))
        colors = self.widget.view.look.colors
        assert len({tuple(color) for color in colors[[0, 4]]}) == 1
        assert tuple(colors[0]) != tuple(colors[1])

    def test_compare_group_with_keys(self):
        self.send(table(self.paths))
        widget = self.widget
        assert not widget.compare_button.isEnabled()
        widget.show()
        view = widget.view
        view.setFocus()
        view.setCurrentIndex(view.model().index(5, 0))
        assert widget.compare_button.isEnabled()
        QTest.keyClick(widget.compare_button, Qt.Key.Key_Space)
        assert view.selected_rows() == [4, 5]
        assert widget.compare.isVisible()
        assert len(widget.compare.panes) == 2
        widget.hide()

    def test_size_of_images(self):
        self.send(table(self.paths))
        self.widget.controls.imageSize.setValue(200)
        assert self.widget.view.sheet_geometry.scale == 200
        self.widget.view.zoom_by(-1)
        assert self.widget.imageSize == self.widget.view.sheet_geometry.scale < 200

    # Options

    def test_methods(self):
        self.send(self.with_vectors())
        assert self.paths_of(self.out("Without Twins")) == [1, 3]
        combo = self.widget.method_combo
        for method, expected in (
            ("content", [0, 1, 2, 3, 4, 5]),
            ("hash", SINGLE),
            ("vectors", [0, 1, 3, 4, 5, 6]),
        ):
            combo.setCurrentIndex(combo.findData(method))
            combo.activated.emit(combo.currentIndex())
            self.wait()
            assert self.paths_of(self.out("Without Twins")) == expected
            assert self.widget.slider.isEnabled() == (method != "content")

    def test_without_vectors(self):
        self.send(table(self.paths))
        assert "no vectors; hashes are compared" in self.widget.status.text()
        combo = self.widget.method_combo
        combo.setCurrentIndex(combo.findData("vectors"))
        combo.activated.emit(combo.currentIndex())
        self.wait()
        assert self.widget.Error.no_vectors.is_shown()
        assert self.out("Data") is None
        self.send(self.with_vectors())
        assert not self.active()
        assert self.out("Data") is not None

    def test_distance_does_not_read_images_again(self):
        self.send(table(self.paths))
        self.monkeypatch.setattr(fingerprints, "decode", None)
        self.widget.slider.setValue(0)
        self.widget.find()
        self.wait()
        assert not self.active()
        assert len(self.out("Without Twins")) > len(SINGLE)
        assert self.widget._distance_label.text() == "0.00"
        self.widget.slider.setValue(MOST_DISTANCE)
        self.widget.find()
        self.wait()
        assert len(self.out("Without Twins")) <= len(SINGLE)

    def test_slider_with_keys(self):
        self.send(table(self.paths))
        QTest.keyClick(self.widget.slider, Qt.Key.Key_Home)
        self.process_events(
            lambda: len(self.out("Without Twins") or ()) > len(SINGLE), PATIENCE
        )

    def test_chains(self):
        angles = np.radians([0, 7, 14, 21, 120, 200, 270])
        vectors = np.column_stack([np.cos(angles), np.sin(angles)])
        attributes = [ContinuousVariable("a"), ContinuousVariable("b")]
        self.widget.method, self.widget.distance = "vectors", 10
        self.send(table(self.paths, attributes, X=vectors))
        # The second image is the largest of four; the fourth is not like it.
        assert str(self.widget.Warning.chained).startswith("1 image is like")

    # Work

    def test_unreadable_images(self):
        with open(self.paths[2], "w") as file:
            file.write("no image")
        self.send(table([*self.paths, "/no/such/file.png"]))
        assert str(self.widget.Warning.unreadable).startswith("2 images could not")
        assert "2 not read" in self.widget.status.text()
        self.widget.status.linkActivated.emit("#unreadable")
        (dialog,) = (
            child
            for child in self.widget.children()
            if type(child).__name__ == "SkippedDialog"
        )
        assert {row[0] for row in dialog.model} == {self.paths[2], "/no/such/file.png"}
        dialog.close()
        assert len(self.out("Without Twins")) == 4

    def test_stop_and_start(self):
        started, go_on = [], []
        decode = fingerprints.decode

        def slow(*args):
            started.append(args)
            wait_until(lambda: go_on)
            return decode(*args)

        self.monkeypatch.setattr(fingerprints, "decode", slow)
        self.send_signal("Images", table(self.paths), widget=self.widget)
        self.process_events(lambda: started, PATIENCE)
        assert self.widget.run_button.isEnabled()
        assert self.widget.isInvalidated()
        self.widget.run_button.click()
        assert self.widget.Information.stopped.is_shown()
        assert not self.widget.isInvalidated()
        assert self.out("Data") is None
        go_on.append(True)
        self.widget.run_button.click()
        self.wait()
        assert not self.active()
        assert self.paths_of(self.out("Without Twins")) == SINGLE
        assert not self.widget.run_button.isEnabled()

    def test_new_data_while_it_works(self):
        self.send_signal("Images", table(self.paths), widget=self.widget)
        self.send(table(self.paths[3:4] + self.paths[6:]))
        assert self.paths_of(self.out("Without Twins")) == [3]

    def test_an_error_that_is_not_expected(self):
        def fail(*_):
            raise ValueError("42 is odd")

        module = "orangecontrib.imageanalytics.widgets.twins.twins_task.TwinFinder.find"
        self.monkeypatch.setattr(module, fail)
        self.send(table(self.paths))
        assert "42 is odd" in str(self.widget.Error.unexpected_error)
        assert not self.widget.Error.no_vectors.is_shown()
        assert self.out("Data") is None

    def test_no_memory(self):
        def fail(*_):
            raise MemoryError

        module = "orangecontrib.imageanalytics.widgets.twins.twins_task.TwinFinder.find"
        self.monkeypatch.setattr(module, fail)
        self.send(table(self.paths))
        assert self.widget.Error.out_of_memory.is_shown()
        assert self.out("Data") is None

    # Report, settings

    def test_report(self):
        self.widget.send_report()
        self.send(table(self.paths))
        self.widget.send_report()
        report = self.widget.report_html
        assert "2 groups of twins" in report
        assert "Hashes and vectors" in report

    def test_settings(self):
        self.widget.method, self.widget.distance = "hash", 50
        self.widget.n_folds = 4
        packed = self.widget.settingsHandler.pack_data(self.widget)
        again = self.create_widget(OWTwins, stored_settings=packed)
        assert (again.method, again.distance, again.n_folds) == ("hash", 50, 4)
        assert again.method_combo.currentData() == "hash"
        assert again._distance_label.text() == "0.50"
        again.onDeleteWidget()

    def test_invalid_settings(self):
        stored = {"method": "guess", "distance": 10**6, "n_folds": 1}
        again = self.create_widget(OWTwins, stored_settings=stored)
        assert (again.method, again.distance, again.n_folds) == ("both", 100, 10)
        again.onDeleteWidget()

    def test_column_is_remembered(self):
        data = table(self.paths[:2])
        other = data.domain.metas[0].copy(name="other")
        data = data.transform(Domain([], None, [*data.domain.metas, other])).copy()
        with data.unlocked():
            data.metas[:, 1] = [self.paths[2], self.paths[3]]
        self.send(data)
        assert len(self.out("Without Twins")) == 1
        self.widget.image_attr = data.domain["other"]
        self.widget._change_column()
        self.wait()
        assert len(self.out("Without Twins")) == 2
        self.send(None)
        self.send(data)
        assert self.widget.image_attr.name == "other"

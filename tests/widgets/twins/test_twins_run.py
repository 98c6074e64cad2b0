"""How Twins runs: what is started again, and what is told of it."""

import numpy as np
import pytest
from all_widgets import table
from helpers import PATIENCE
from Orange.widgets.tests.base import WidgetTest
from twin_images import save_copies

from orangecontrib.imageanalytics.widgets.owtwins import OWTwins
from orangecontrib.imageanalytics.widgets.twins import twins_run
from orangecontrib.imageanalytics.widgets.twins.twins_run import STOPPED


class TestTwinsRun(WidgetTest):
    @pytest.fixture(autouse=True)
    def images(self, tmp_path, monkeypatch):
        self.paths = save_copies(tmp_path / "twins")
        self.tasks = []
        find = twins_run.find

        def spied(task, state):
            self.tasks.append(task)
            return find(task, state)

        monkeypatch.setattr(twins_run, "find", spied)

    def setUp(self):
        self.widget = self.create_widget(OWTwins)
        self.send_signal("Images", table(self.paths), widget=self.widget)

    def tearDown(self):
        self.widget.onDeleteWidget()
        super().tearDown()

    def wait(self):
        self.process_events(lambda: self.widget.task is None, PATIENCE)

    def folds(self):
        data = self.get_output("Data", self.widget)
        return len(data.domain["fold"].values)

    def test_another_number_of_folds(self):
        """Makes only the tables again."""
        self.wait()
        shown = self.widget.view.model()
        shown.modelReset.connect(lambda: pytest.fail("The view was filled again"))
        twins = self.widget.twins
        self.widget.controls.n_folds.setValue(3)
        self.wait()
        assert self.tasks[-1].twins is twins is self.widget.twins
        assert self.folds() == 3

    def test_another_number_of_folds_while_it_works(self):
        self.widget.controls.n_folds.setValue(2)
        self.wait()
        assert self.tasks[-1].twins is None
        assert self.folds() == 2

    def test_what_is_used_again(self):
        self.wait()
        finder, known = self.widget._finder, self.widget._known
        assert len(known) == len(self.paths)
        self.widget.find()
        self.wait()
        assert self.tasks[-1].finder is finder
        self.widget._on_method_changed()
        assert self.widget._finder is None
        self.wait()
        self.send_signal("Images", table(self.paths[:2]), widget=self.widget)
        self.wait()
        assert self.tasks[-1].finder is None
        assert self.tasks[-1].known is known

    def test_progress(self):
        self.widget.on_partial_result(0.42)
        assert self.widget.status.text() == "Comparing… 42%"
        assert self.widget.view.look.message == "Comparing 7 images… 42%"
        self.wait()
        # What was found remains while another distance is tried.
        self.widget.find()
        assert self.widget.view.look.message == ""
        assert self.widget.view.count() == 6
        self.wait()

    def test_stopped_and_folds_changed(self):
        self.widget.run_button.click()
        assert self.widget.status.text() == STOPPED
        assert self.widget.run_button.text() == "Start"
        self.widget.controls.n_folds.setValue(2)
        assert self.widget.task is None
        self.widget.run_button.click()
        assert self.widget.run_button.text() == "Stop"
        self.wait()
        assert self.folds() == 2

    def test_what_is_said_of_the_result(self):
        self.wait()
        widget = self.widget
        assert widget._summary().startswith("2 groups of twins; 4 images left out")
        twins = widget.twins
        twins.groups, twins.largest = np.zeros(7, int), np.arange(7)
        twins.failures["<b>.jpg"] = "is damaged"
        lines = widget._summary().split("<br/>")
        assert lines[0] == "No twins"
        assert "1 not read" in lines[-1]
        widget.method = "hash"
        assert len(widget._summary().split("<br/>")) == 2

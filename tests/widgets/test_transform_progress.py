"""The window that is shown while a transformation embeds images."""

import threading

import pytest
from AnyQt.QtCore import QTimer
from AnyQt.QtWidgets import QApplication, QProgressDialog
from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics import embedding_columns
from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.widgets.utils import transform_progress
from orangecontrib.imageanalytics.widgets.utils.transform_progress import (
    watch_embedding,
)


def dialogs():
    windows = QApplication.topLevelWidgets()
    return [w for w in windows if isinstance(w, QProgressDialog) and w.isVisible()]


class TestTransformProgress(GuiTest):
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr(transform_progress, "PATIENCE", 0)

    def test_the_widgets_watch_the_columns(self):
        assert embedding_columns.watch is watch_embedding

    def test_it_shows_how_far_the_work_is(self):
        with watch_embedding(1234) as tell:
            tell(0)
            tell(0.25)
            (dialog,) = dialogs()
            assert "1,234 images" in dialog.labelText()
            assert dialog.value() == 250
            assert dialog.isModal()
            tell(1)
            assert dialogs() == [dialog]  # until the work is really over
        assert not dialogs()

    def test_cancel(self):
        def press():
            (dialog,) = dialogs()
            dialog.cancel()

        with pytest.raises(Cancelled), watch_embedding(10) as tell:
            tell(0)
            QTimer.singleShot(0, press)
            while True:  # until it is pressed
                tell(0.5)
        assert not dialogs()

    def test_it_goes_away_when_the_work_fails(self):
        with pytest.raises(ZeroDivisionError), watch_embedding(10) as tell:
            tell(0)
            tell(0.5)
            assert dialogs()
            raise ZeroDivisionError
        assert not dialogs()

    def test_short_work_shows_nothing(self):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(transform_progress, "PATIENCE", 60)
            with watch_embedding(10) as tell:
                for step in range(10):
                    tell(step / 10)
                    assert not dialogs()

    def test_other_threads_have_no_windows(self):
        seen = []

        def work():
            with watch_embedding(10) as tell:
                tell(0)
                tell(0.5)
                seen.append(dialogs())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert seen == [[]]

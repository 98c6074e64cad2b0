from types import SimpleNamespace

import pytest
from orangewidget.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.saving.saving_status import (
    SavingStatus,
    summary,
)


class TestStatus(GuiTest):
    def test_text_and_progress(self):
        status = SavingStatus()
        status.show_progress("Looking")
        assert (status.text, status.bar.maximum()) == ("Looking", 0)
        assert not status.bar.isHidden()
        status.show_progress("Saving", 3, 7)
        assert (status.bar.value(), status.bar.maximum()) == (3, 7)
        status.show_text("Done")
        assert status.text == "Done"
        assert status.bar.isHidden()

    def test_the_link(self):
        status, asked = SavingStatus(), []
        status.failures_asked.connect(lambda: asked.append(1))
        status.label.linkActivated.emit("#failures")
        assert asked == [1]


@pytest.mark.parametrize(
    ("n_saved", "n_existed", "n_failed", "expected"),
    [
        (1, 0, 0, "1 image saved."),
        (2000, 0, 0, "2,000 images saved."),
        (0, 3, 0, "0 images saved, 3 existed."),
        (1, 2, 3, '1 image saved, 2 existed, <a href="#failures">3 not saved</a>.'),
    ],
)
def test_summary(n_saved, n_existed, n_failed, expected):
    saving = SimpleNamespace(
        saved=[()] * n_saved, skipped=[()] * n_existed, failures=[()] * n_failed
    )
    assert summary(saving) == expected

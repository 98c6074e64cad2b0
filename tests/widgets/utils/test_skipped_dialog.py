from AnyQt.QtWidgets import QApplication, QLabel, QWidget
from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import (
    SkippedDialog,
    without_links,
)

ROWS = [("a.png", "file is empty"), ("b.png", "not an image")]


class TestSkippedDialog(GuiTest):
    def setUp(self):
        self.parent = QWidget()

    def test_heading_is_shown_as_it_is(self):
        """In some languages, nouns have capitals."""
        for titles in ((), ("Bilder", "Bilder ohne Vektoren")):
            dialog = SkippedDialog(ROWS, self.parent, *titles)
            title, heading = titles or ("Skipped Images", "Skipped images")
            assert dialog.windowTitle() == title
            texts = [label.text() for label in dialog.findChildren(QLabel)]
            assert f"{heading}: 2" in texts

    def test_copy(self):
        dialog = SkippedDialog(ROWS, self.parent)
        dialog.copy()
        copied = QApplication.clipboard().text().splitlines()
        assert copied == ["a.png\tfile is empty", "b.png\tnot an image"]
        dialog.view.selectRow(1)
        dialog.copy()
        assert QApplication.clipboard().text() == "b.png\tnot an image"


def test_without_links():
    assert without_links('1 image, <a href="#x">2 <b>skipped</b></a>') == (
        "1 image, 2 <b>skipped</b>"
    )

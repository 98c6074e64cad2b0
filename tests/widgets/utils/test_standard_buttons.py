from AnyQt.QtCore import QTranslator
from AnyQt.QtWidgets import QApplication, QDialogButtonBox, QMessageBox, QPushButton
from Orange.widgets.tests.base import GuiTest

from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog
from orangecontrib.imageanalytics.widgets.utils.standard_buttons import (
    translate_buttons,
)


class Foreign(QTranslator):
    """Texts of Qt in another language."""

    def translate(self, context, text, *_):
        return "Foreign" if text.strip("&") in ("Cancel", "Close") else ""


class TestTranslateButtons(GuiTest):
    def setUp(self):
        self.translator = Foreign()
        QApplication.installTranslator(self.translator)

    def tearDown(self):
        QApplication.removeTranslator(self.translator)

    def test_texts_are_ours(self):
        for kind in (QMessageBox, QDialogButtonBox):
            box = kind()
            for name in ("Cancel", "Close"):
                button = box.addButton(getattr(kind, name))
                assert button.text() == "Foreign"
                translate_buttons(box)
                assert button.text() == name

    def test_other_buttons_are_left_alone(self):
        box = QMessageBox()
        button = box.addButton("Mine", QMessageBox.AcceptRole)
        translate_buttons(box)
        assert [b.text() for b in box.buttons()] == [button.text()] == ["Mine"]

    def test_dialog(self):
        dialog = SkippedDialog([("a.png", "not an image")], None)
        texts = [button.text() for button in dialog.findChildren(QPushButton)]
        assert sorted(texts) == ["Close", "Copy"]

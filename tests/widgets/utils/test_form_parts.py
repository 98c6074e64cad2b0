from types import SimpleNamespace

import pytest
from all_widgets import widget_classes
from AnyQt.QtGui import QColor, QPalette
from AnyQt.QtWidgets import QApplication, QComboBox, QLabel, QLineEdit, QPlainTextEdit
from Orange.widgets import gui
from Orange.widgets.settings import Setting
from Orange.widgets.tests.base import GuiTest, WidgetTest
from Orange.widgets.widget import OWWidget
from orangecanvas import styles

from orangecontrib.imageanalytics.widgets.utils.form_parts import (
    FittingStack,
    auto_send,
    error_color,
    setting_combo,
    show_placeholder,
)


def luminance(color):
    """Relative luminance, as WCAG 2.2 defines it."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in color.getRgbF()[:3]
    ]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(first, second):
    """Contrast ratio, as WCAG 2.2 defines it."""
    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


class TestFormParts(GuiTest):
    def test_errors_can_be_read_in_all_themes_of_orange(self):
        for name, theme in styles.colorthemes.items():
            palette = theme()
            color = QColor(error_color(palette))
            for role in (QPalette.Base, QPalette.Window):
                with self.subTest(theme=name, role=role):
                    assert contrast(color, palette.color(role)) > 4.5

    def test_placeholders_are_seen_in_dark_themes(self):
        for widget in (QLineEdit(), QPlainTextEdit(), QComboBox()):
            widget.setPalette(styles.breeze_dark())
            show_placeholder(widget)
            color = widget.palette().color(QPalette.PlaceholderText)
            assert color.lightnessF() > 0.8
            assert color.alphaF() == pytest.approx(0.5, abs=0.01)

    def test_a_stack_is_as_large_as_the_page_in_sight(self):
        stack, small, large = FittingStack(), QLabel("A"), QLabel("A\nB\nC")
        for page in (large, small):
            stack.addWidget(page)
        assert stack.sizeHint() == large.sizeHint()
        stack.setCurrentIndex(1)
        assert stack.sizeHint() == small.sizeHint()
        assert stack.minimumSizeHint() == small.minimumSizeHint()

    def test_a_combo_of_a_setting(self):
        owner, chosen = SimpleNamespace(pages="all"), []
        combo = setting_combo(
            owner,
            "pages",
            (("First", "first"), ("All", "all")),
            lambda: chosen.append(owner.pages),
        )
        assert combo.currentText() == "All"
        for index in (1, 0, 0):
            combo.activated.emit(index)
        assert chosen == ["first"]


class TestAllWidgets(WidgetTest):
    def test_placeholders_are_seen_in_dark_themes(self):
        before = QApplication.palette()
        self.addCleanup(QApplication.setPalette, before)
        QApplication.setPalette(styles.breeze_dark())
        seen = 0
        for cls in widget_classes():
            widget = self.create_widget(cls)
            for kind in (QLineEdit, QPlainTextEdit):
                for edit in widget.findChildren(kind):
                    if not edit.placeholderText():
                        continue
                    seen += 1
                    color = edit.palette().color(QPalette.PlaceholderText)
                    with self.subTest(cls=cls, text=edit.placeholderText()):
                        assert color.lightnessF() > 0.8
        assert seen > 1

    def test_the_button_that_sends(self):
        class OWSends(OWWidget):
            name = "Sends"
            want_main_area = False
            automatic: bool = Setting(True)

            def __init__(self):
                super().__init__()
                self.n_sent = 0
                self.box = auto_send(self, "automatic")

            @gui.deferred
            def commit(self):
                self.n_sent += 1

        widget = self.create_widget(OWSends)
        assert widget.box.button.text() == "Send Automatically"
        widget.commit.deferred()
        assert widget.n_sent == 1
        widget.box.checkbox.click()
        assert widget.box.button.text() == "Send Selection"
        widget.commit.deferred()
        assert widget.n_sent == 1
        widget.box.button.click()
        assert widget.n_sent == 2

"""Makes the texts of windows longer, as other languages do."""

import re

from AnyQt.QtGui import QStandardItemModel
from AnyQt.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QGroupBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTabWidget,
    QTreeWidget,
    QWidget,
)

LONGER = 0.4  # by which part texts get longer in other languages


class LongerTexts:
    """A part of `Looks`; it remembers which texts are longer already."""

    def __init__(self):
        self._translated = set()

    def _translate(self, window: QWidget):
        """Make the texts of a window longer, as other languages do."""
        for widget in (window, *window.findChildren(QWidget)):
            if isinstance(widget, QLabel | QAbstractButton):
                self._change(widget.text, widget.setText)
            elif isinstance(widget, QGroupBox):
                self._change(widget.title, widget.setTitle)
            elif isinstance(widget, QLineEdit | QPlainTextEdit):
                self._change(widget.placeholderText, widget.setPlaceholderText)
            elif isinstance(widget, QComboBox):
                self._translate_choices(widget)
            elif isinstance(widget, QTabWidget):
                for tab in range(widget.count()):
                    self._change(widget.tabText, widget.setTabText, tab)
            elif isinstance(widget, QTreeWidget):
                header = widget.headerItem()
                for column in range(header.columnCount()):
                    self._change(header.text, header.setText, column)
            elif hasattr(widget, "look"):
                widget.set_message(self._longer(widget.look.message))

    def _translate_choices(self, combo: QComboBox):
        # In other models are names of columns, which are the user's.
        if isinstance(combo.model(), QStandardItemModel) and not combo.isEditable():
            for index in range(combo.count()):
                self._change(combo.itemText, combo.setItemText, index)
            combo.updateGeometry()

    def _change(self, text, set_text, *place):
        before = text(*place)
        after = self._longer(before)
        if before != after:
            set_text(*place, after)

    def _longer(self, text: str) -> str:
        if text not in self._translated:
            text = re.sub(r"<[^>]*>|&#?\w+;|[^\W\d_]{2,}", _longer_word, text)
            self._translated.add(text)
        return text


def _longer_word(match) -> str:
    word = match.group()
    vowels = [place for place, letter in enumerate(word) if letter in "aeiouy"]
    if not vowels or word[0] in "<&":
        return word
    place = vowels[-1]
    return word[:place] + word[place] * max(1, round(LONGER * len(word))) + word[place:]

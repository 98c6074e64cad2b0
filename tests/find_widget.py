"""Find Images as its user sees it, for the tests of its parts."""

import os

import numpy as np
from AnyQt.QtCore import QT_VERSION_INFO, QMimeData, QPoint, QPointF, Qt, QUrl
from AnyQt.QtGui import QDragEnterEvent, QDropEvent
from AnyQt.QtWidgets import QApplication
from embedding_widget import EmbeddingTest

from orangecontrib.imageanalytics.widgets.owfindimages import OWFindImages


class FindTest(EmbeddingTest):
    """A base for tests of the widget, with six images and real networks."""

    cls = OWFindImages

    def check_minimum_size(self, widget):
        if QT_VERSION_INFO < (6,):
            # Without a screen, its letters are 4 % wider than those of Qt 6.
            assert widget.minimumSizeHint().width() < 832
        else:
            super().check_minimum_size(widget)

    def send(self, data=None, examples=None):
        """Send tables to the inputs, and wait until all is done."""
        self.send_signals(
            [
                (self.widget.Inputs.images, self.data if data is None else data),
                (self.widget.Inputs.examples, examples),
            ]
        )
        self.finish()

    def show(self, part):
        """Open the window, and go to a part of it: shortcuts need that."""
        self.widget.show()
        self.widget.activateWindow()
        part.setFocus()
        self.until(part.hasFocus)

    @property
    def view(self):
        return self.widget.view

    @property
    def panel(self):
        return self.widget.panel

    def names(self) -> list[str]:
        """Names of the images that are shown, in order."""
        model = self.view.model()
        return [os.path.basename(model.source(row)) for row in range(self.view.count())]

    def labels(self) -> list[list[str]]:
        return [list(self.view.model().labels(row)) for row in range(self.view.count())]

    def examples(self) -> list[str]:
        """Names of the examples that are shown."""
        model = self.panel.strip.view.model()
        count = self.panel.strip.view.count()
        return [os.path.basename(model.source(row)) for row in range(count)]

    @property
    def matches(self):
        return self.get_output(self.widget.Outputs.matches)

    @property
    def all(self):
        return self.get_output(self.widget.Outputs.data)

    def names_in(self, table) -> list[str]:
        return [os.path.basename(str(name)) for name in table.get_column("image")]

    def more_like(self, *rows):
        """Select images of the view, and press the button."""
        self.view.select_rows(rows)
        self.panel.strip.more_button.click()
        self.finish()

    def type(self, *texts):
        """Type descriptions, one a line."""
        for place, text in enumerate(texts):
            if place:
                self.panel.add_button.click()
            self.panel.lines.parts[place].edit.setText(text)
        self.finish()

    def sort_into(self, *names):
        self.panel.buttons["sort"].click()
        self.panel.classes.edit.setPlainText("\n".join(names))
        self.finish()

    def drop(self, *urls) -> bool:
        """Whether it was accepted."""
        data = QMimeData()
        data.setUrls([QUrl(url) for url in urls])
        keys, action = Qt.KeyboardModifier.NoModifier, Qt.DropAction.CopyAction
        button = Qt.MouseButton.LeftButton
        enter = QDragEnterEvent(QPoint(5, 5), action, data, button, keys)
        QApplication.sendEvent(self.widget, enter)
        if not enter.isAccepted():
            return False
        drop = QDropEvent(QPointF(5, 5), action, data, button, keys)
        QApplication.sendEvent(self.widget, drop)
        return drop.isAccepted()


def similarities(vectors, row) -> np.ndarray:
    """Cosine similarities of vectors to one of them."""
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return unit @ unit[row]

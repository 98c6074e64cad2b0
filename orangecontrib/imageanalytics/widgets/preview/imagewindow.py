"""What the windows that show images of a view at full size have in common."""

from AnyQt.QtCore import QEvent, QRect, Qt, QTimer
from AnyQt.QtWidgets import QSplitter, QVBoxLayout, QWidget

from orangecontrib.imageanalytics.widgets.preview.imagecanvas import (
    ZOOM_STEP,
    ImageCanvas,
)
from orangecontrib.imageanalytics.widgets.preview.viewbar import ViewBar
from orangecontrib.imageanalytics.widgets.sheet.sheetview import SheetView

#: Images are loaded when nothing has changed for so long.
SETTLE_MS = 80


class ImageWindow(QWidget):
    """
    A window that belongs to a view, and goes with it.

    Esc and Space close it; plus and minus zoom, 1 shows single pixels, 0 whole images,
    and I hides or shows the values.

    Parameters
    ----------
    view : SheetView
        View whose images are shown.
    """

    #: Width and height, as a part of the screen, when it is opened first.
    part = 0.7

    def __init__(self, view: SheetView):
        super().__init__(view.window(), Qt.WindowType.Window)
        self._view = view
        self._request_timer = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._request_timer.timeout.connect(self._request)
        self.bar = ViewBar(self)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        view.installEventFilter(self)

    def main_canvas(self) -> ImageCanvas:
        """The image that keys zoom."""
        raise NotImplementedError

    def toggle_details(self) -> None:
        """Hide the values, or show them again."""
        raise NotImplementedError

    def _request(self) -> None:
        """Have loaded what is shown."""
        raise NotImplementedError

    def _lay_out(
        self, orientation: Qt.Orientation, images: QWidget, details: QWidget
    ) -> None:
        """Put the images, their values and the bar into the window."""
        splitter = QSplitter(orientation, self)
        splitter.addWidget(images)
        splitter.addWidget(details)
        splitter.setStretchFactor(0, 1)
        splitter.setChildrenCollapsible(False)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(splitter, 1)
        layout.addWidget(self.bar)

    def _take_size(self) -> None:
        """Take a part of the screen, unless the user has changed the size."""
        if not self.testAttribute(Qt.WidgetAttribute.WA_Resized):
            space = self._view.screen().availableGeometry()
            place = QRect(space.topLeft(), space.size() * self.part)
            place.moveCenter(space.center())
            self.setGeometry(place)

    def _bring_up(self) -> None:
        """Show the window in front of others."""
        self.setWindowState(self.windowState() & ~Qt.WindowState.WindowMinimized)
        self.show()
        self.raise_()
        self.activateWindow()
        self.setFocus()

    def keyPressEvent(self, event) -> None:
        """Close the window, zoom, or hide the values."""
        keys, key = Qt.Key, event.key()
        if key in (keys.Key_Escape, keys.Key_Space):
            self.close()
        elif key in (keys.Key_Plus, keys.Key_Equal):
            self.main_canvas().zoom_by(ZOOM_STEP)
        elif key == keys.Key_Minus:
            self.main_canvas().zoom_by(1 / ZOOM_STEP)
        elif key == keys.Key_1:
            self.main_canvas().set_zoom(1.0)
        elif key == keys.Key_0:
            self.main_canvas().set_zoom(None)
        elif key == keys.Key_I and not event.modifiers():
            self.toggle_details()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched, event) -> bool:
        """The window goes with the view."""
        if watched is self._view and event.type() == QEvent.Type.Hide:
            self.close()
        return super().eventFilter(watched, event)

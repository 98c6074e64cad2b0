"""What the mouse and keys do in a view of images."""

from AnyQt.QtCore import QEvent, Qt
from AnyQt.QtGui import QContextMenuEvent

NOTCH = 120  # what Qt reports for one of a mouse wheel's


class EventsMixin:
    """
    The part of a `SheetView` that hears the mouse and keys.

    What they change in the selection is up to that.
    """

    _hovered = -1
    _turned = 0

    def hovered_row(self) -> int:
        """The row under the mouse; -1 if there is none."""
        return self._hovered

    def viewportEvent(self, event) -> bool:
        """Mark the item under the mouse."""
        kinds = QEvent.Type
        if event.type() in (kinds.HoverMove, kinds.HoverEnter):
            position = event.position() if hasattr(event, "position") else event.posF()
            self._hover(self.indexAt(position.toPoint()).row())
        elif event.type() in (kinds.HoverLeave, kinds.Leave):
            self._hover(-1)
        elif event.type() in (kinds.MouseButtonPress, kinds.Wheel):
            self.hovered.emit(-1)
        elif event.type() == kinds.ToolTip and not self.has_tooltips:
            return True
        return super().viewportEvent(event)

    def _hover(self, row: int) -> None:
        if row != self._hovered:
            for changed in (self._hovered, row):
                if 0 <= changed < self.count():
                    index = self.model().index(changed, 0)
                    self.viewport().update(self.visualRect(index))
            self._hovered = row
            self.hovered.emit(row)

    def mousePressEvent(self, event) -> None:
        """Select, begin a frame, or collapse a section."""
        section = self.heading_at(event.pos())
        if section >= 0 and event.button() == Qt.MouseButton.LeftButton:
            self.toggle_section(section)
            return
        self.selection.press(event)
        if self.selection.by_qt:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event) -> None:
        """Draw the frame."""
        if self.selection.by_qt:
            super().mouseMoveEvent(event)
        self.selection.move(event)

    def mouseReleaseEvent(self, event) -> None:
        """End the frame."""
        self.selection.release(event)
        if self.selection.by_qt:
            super().mouseReleaseEvent(event)
        self.selection.end()

    def mouseDoubleClickEvent(self, event) -> None:
        """Ask for the preview."""
        index = self.indexAt(event.pos())
        is_left = event.button() == Qt.MouseButton.LeftButton
        if is_left and self.heading_at(event.pos()) >= 0:
            self.mousePressEvent(event)
            return
        if self.selection.by_qt:
            super().mouseDoubleClickEvent(event)
        if is_left and index.isValid():
            self.preview_requested.emit(index)

    def contextMenuEvent(self, event) -> None:
        """Ask for the menu, by the mouse or the key that keyboards have for it."""
        place, index = event.pos(), self.indexAt(event.pos())
        if event.reason() == QContextMenuEvent.Reason.Keyboard:
            index = self.currentIndex()
            self.scrollTo(index)
            place = self.visualRect(index).center()
        if index.isValid():
            # What the menu does is about the current image; the selection stays.
            flag = self.selectionModel().SelectionFlag.NoUpdate
            self.selectionModel().setCurrentIndex(index, flag)
            self.menu_requested.emit(index, self.viewport().mapToGlobal(place))

    def wheelEvent(self, event) -> None:
        """Scroll or, with Ctrl, zoom about the mouse."""
        if not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            super().wheelEvent(event)
            return
        # Touchpads turn by small fractions of a wheel's notch.
        self._turned += event.angleDelta().y()
        notches = int(self._turned / NOTCH)
        self._turned -= notches * NOTCH
        if notches:
            self.zoom_by(notches, event.position().toPoint())
        event.accept()

    def keyPressEvent(self, event) -> None:
        """Select, zoom, collapse sections, or ask for the preview."""
        keys, key, current = Qt.Key, event.key(), self.currentIndex()
        control = event.modifiers() & Qt.KeyboardModifier.ControlModifier
        preview = key in (keys.Key_Space, keys.Key_Return, keys.Key_Enter)
        if self.selection.key(event):
            pass
        elif preview and not control and current.isValid():
            self.preview_requested.emit(current)
        elif not self._zoom_or_collapse(key, bool(control)):
            super().keyPressEvent(event)
            return
        event.accept()

    def _zoom_or_collapse(self, key, control: bool) -> bool:
        keys = Qt.Key
        steps = {keys.Key_Plus: 1, keys.Key_Equal: 1, keys.Key_Minus: -1}.get(key, 0)
        whole = key == keys.Key_0 and self.sheet_geometry.is_lattice
        section = self.current_section()
        if whole:
            self.set_scale(self.sheet_geometry.scale_range()[0])
        elif steps and (control or self.sheet_geometry.is_lattice):
            self.zoom_by(steps)
        elif section >= 0 and steps:
            self.collapse([section], steps < 0)
        elif section >= 0 and key == keys.Key_Asterisk:
            self.collapse(range(len(self.look.headings)), False)
        else:
            return False
        return True

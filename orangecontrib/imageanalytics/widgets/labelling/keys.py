"""The keys with which images are labelled."""

from AnyQt.QtCore import QEvent, QObject, Qt
from AnyQt.QtCore import pyqtSignal as Signal

_HINTS = (
    ("1</b> to <b>9", "class"),
    ("Space", "skip"),
    ("Enter", "accept all proposals on the screen"),
    ("Delete", "no class"),
    ("P", "preview"),
    ("Ctrl+Z", "undo"),
)
#: Lines break between hints only.
HINT = " &nbsp; ".join(
    f"<b>{keys}</b>: {action}".replace(" ", "&nbsp;") for keys, action in _HINTS
)


class LabelKeys(QObject):
    """
    Takes the keys of a view that label images, before the view has them.

    Parameters
    ----------
    view : SheetView
    """

    #: A digit from 1 to 9 was pressed.
    digit = Signal(int)
    skip = Signal()
    accept = Signal()
    clear = Signal()
    preview = Signal()

    def __init__(self, view):
        super().__init__(view)
        view.installEventFilter(self)

    def eventFilter(self, watched, event) -> bool:
        """Take a key."""
        if event.type() != QEvent.Type.KeyPress:
            return False
        modifiers = Qt.KeyboardModifier
        # With Shift, French keyboards write digits.
        free = modifiers.ShiftModifier | modifiers.KeypadModifier
        if event.modifiers() & ~free:
            return False
        keys, key, text = Qt.Key, event.key(), event.text()
        if len(text) == 1 and text in "123456789":
            self.digit.emit(int(text))
        elif key == keys.Key_Space:
            self.skip.emit()
        elif key in (keys.Key_Return, keys.Key_Enter):
            # Held, it would accept one screen after the other, unseen.
            if not event.isAutoRepeat():
                self.accept.emit()
        elif key in (keys.Key_Delete, keys.Key_Backspace):
            self.clear.emit()
        elif key == keys.Key_P:
            self.preview.emit()
        else:
            return False
        return True

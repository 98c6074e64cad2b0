"""A strip that lists what is known of an image."""

import html
import itertools
from collections.abc import Sequence

from AnyQt.QtCore import QEvent, QSize, Qt
from AnyQt.QtGui import QColor, QPalette, QTextOption
from AnyQt.QtWidgets import QFrame, QTextBrowser, QWidget

from orangecontrib.imageanalytics.widgets.preview.rowdetails import Detail


class DetailsPanel(QTextBrowser):
    """Names and values under headings; they scroll, and can be selected and copied."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._details: list[Detail] = []
        self.setOpenLinks(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        # A click must not take the keys from the window.
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.document().setDocumentMargin(10)

    def sizeHint(self) -> QSize:
        """Room for names and values of usual length."""
        return QSize(self.fontMetrics().averageCharWidth() * 42, 300)

    def show_details(self, details: Sequence[Detail]) -> None:
        """List these; the place scrolled to stays as long as there is one."""
        if list(details) == self._details:
            return
        place = self.verticalScrollBar().value()
        self._details = list(details)
        self._write()
        self.verticalScrollBar().setValue(place)

    def changeEvent(self, event) -> None:
        """Follow the colours of the desktop."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self._write()

    def _write(self) -> None:
        palette, roles = self.palette(), QPalette.ColorRole
        pale = mixed(palette.color(roles.Base), palette.color(roles.Text), 0.65).name()
        parts = []
        for group, details in itertools.groupby(self._details, lambda d: d.group):
            parts.append(
                f'<tr><td colspan="2" style="padding-top:8px">'
                f"<b>{html.escape(group)}</b></td></tr>"
            )
            parts += [
                f'<tr><td style="color:{pale}; padding-right:8px">'
                f"{html.escape(detail.name)}</td>"
                f"<td>{html.escape(detail.value)}</td></tr>"
                for detail in details
            ]
        table = f'<table width="100%" cellspacing="0" cellpadding="1">{"".join(parts)}'
        self.setHtml(f"{table}</table>")


def mixed(first: QColor, second: QColor, share: float) -> QColor:
    """A colour between two others, by how much of the second is in it."""
    return QColor(
        *(
            round(a + (b - a) * share)
            for a, b in zip(first.getRgb()[:3], second.getRgb()[:3], strict=True)
        )
    )

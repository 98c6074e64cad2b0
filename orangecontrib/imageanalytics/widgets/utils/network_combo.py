"""The list in which a network is chosen."""

from AnyQt.QtCore import QModelIndex, QRect, QSize, Qt
from AnyQt.QtGui import QPalette
from AnyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
)

from orangecontrib.imageanalytics.networks.registry import NETWORKS, Network

_DETAILS = Qt.UserRole + 1
_GAP = 24  # pixels between a name and its details


def network_details(network: Network) -> str:
    """Length of a network's vectors and where its weights are, in words."""
    length = f"{network.n_features:,} features"
    if network.available():
        return f"{length}, on this computer"
    if not network.megabytes:
        return f"{length}, not installed"
    return f"{length}, download of {network.megabytes:,.0f} MB"


class NetworkCombo(QComboBox):
    """The networks by name, with their details when the list is open."""

    def __init__(self, parent=None):
        super().__init__(parent)
        for network in NETWORKS:
            self.addItem(network.name, network.id)
        self.setItemDelegate(_TwoTexts(self))
        self.setMaxVisibleItems(len(NETWORKS))
        self.refresh()

    def refresh(self):
        """Tell anew which networks are on this computer."""
        for index, network in enumerate(NETWORKS):
            details = network_details(network)
            self.setItemData(index, details, _DETAILS)
            self.setItemData(index, network.description, Qt.ToolTipRole)
            accessible = f"{network.name}: {details}"
            self.setItemData(index, accessible, Qt.AccessibleTextRole)

    def showPopup(self):
        """Open the list, wide enough for the details."""
        self.refresh()
        view = self.view()
        width = view.sizeHintForColumn(0) + view.verticalScrollBar().sizeHint().width()
        view.setMinimumWidth(width)
        super().showPopup()


class _TwoTexts(QStyledItemDelegate):
    """Draws an item's name at the left and its details, paler, at the right."""

    def paint(self, painter, option, index: QModelIndex):
        super().paint(painter, option, index)
        option = QStyleOptionViewItem(option)
        self.initStyleOption(option, index)
        selected = bool(option.state & QStyle.State_Selected)
        role = QPalette.HighlightedText if selected else QPalette.Text
        color = option.palette.color(QPalette.Active, role)
        color.setAlphaF(0.7)
        painter.save()
        painter.setPen(color)
        painter.setFont(option.font)
        margin = QApplication.style().pixelMetric(QStyle.PM_FocusFrameHMargin) + 3
        painter.drawText(
            QRect(option.rect).adjusted(0, 0, -margin, 0),
            int(Qt.AlignRight | Qt.AlignVCenter),
            index.data(_DETAILS),
        )
        painter.restore()

    def sizeHint(self, option, index) -> QSize:
        size = super().sizeHint(option, index)
        details = option.fontMetrics.horizontalAdvance(index.data(_DETAILS))
        return QSize(size.width() + _GAP + details, size.height() + 4)

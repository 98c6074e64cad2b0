"""The choice of columns about images that Import Images adds to the table."""

from collections.abc import Sequence

from AnyQt.QtCore import Qt
from AnyQt.QtGui import QStandardItem, QStandardItemModel

from orangecontrib.imageanalytics.import_images import COLUMNS
from orangecontrib.imageanalytics.import_images.columns import needs
from orangecontrib.imageanalytics.widgets.utils.checkcombo import CheckCombo

TIP = (
    "Further columns. The first are read from what the camera has written into the "
    "files; for the last, the images are decoded, which takes longer."
)
TIPS = {
    "date taken": "Date and time of the camera's clock, or with its time zone",
    "camera": "Maker and model",
    "lens": "Model of the lens",
    "exposure": "Exposure time (s), f-number, ISO and focal length (mm)",
    "location": "Latitude and longitude (degrees), for Geo Map",
    "format": "Format of the file, such as JPEG",
    "brightness": "Mean of the gray values, from 0 (black) to 1 (white)",
    "contrast": "Standard deviation of the gray values, from 0 to 0.5",
    "sharpness": "Variance of the Laplacian; small for images that are blurred",
    "main color": "That of eleven colors, such as red, which most pixels have",
}


class ColumnsCombo(CheckCombo):
    """Shows the names of the columns that are added; its list stays open."""

    def __init__(self, chosen: Sequence[str] = (), parent=None):
        model = QStandardItemModel()
        for name in COLUMNS:
            item = QStandardItem(name.capitalize())
            item.setData(name, Qt.ItemDataRole.UserRole)
            item.setToolTip(TIPS[name])
            item.setFlags(
                Qt.ItemFlag.ItemIsEnabled
                | Qt.ItemFlag.ItemIsSelectable
                | Qt.ItemFlag.ItemIsUserCheckable
            )
            model.appendRow(item)
        super().__init__(model, parent)
        self.insertSeparator(sum(not needs("pixels", [name]) for name in COLUMNS))
        self.choose(chosen)

    def choose(self, names: Sequence[str]) -> None:
        """Tick only these columns, without emitting signals."""
        self.tick(row for row in range(self.count()) if self.itemData(row) in names)

    def chosen(self) -> list[str]:
        """The columns that are ticked."""
        return [self.itemData(row) for row in self.ticked()]

    def tips(self) -> tuple[str, ...]:
        """What the columns are for."""
        return (TIP,)

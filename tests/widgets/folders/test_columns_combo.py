from AnyQt.QtCore import Qt
from AnyQt.QtTest import QTest

from orangecontrib.imageanalytics.import_images import COLUMNS
from orangecontrib.imageanalytics.widgets.folders.columns_combo import (
    TIPS,
    ColumnsCombo,
)


def test_all_columns_are_offered():
    combo = ColumnsCombo(COLUMNS)
    assert combo.chosen() == list(COLUMNS)
    assert combo.text().startswith("Date taken, Camera")
    assert TIPS.keys() == set(COLUMNS)
    combo.choose([])
    assert combo.text() == "(None)"


def test_keys():
    combo = ColumnsCombo(["camera"])
    closed = []
    combo.closed.connect(lambda: closed.append(combo.chosen()))
    combo.show()
    combo.showPopup()
    view = combo.view()
    view.setCurrentIndex(combo.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Space)
    for _ in range(7):  # over the line between the two kinds
        QTest.keyClick(view, Qt.Key.Key_Down)
    QTest.keyClick(view, Qt.Key.Key_Space)
    combo.hidePopup()
    assert closed == [["date taken", "camera", "contrast"]]
    combo.hide()

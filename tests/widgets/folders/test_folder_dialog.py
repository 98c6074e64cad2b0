import pytest
from AnyQt.QtCore import Qt, QTimer
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QDialogButtonBox, QFileDialog, QListView, QTreeView

from orangecontrib.imageanalytics.widgets.folders import folder_dialog
from orangecontrib.imageanalytics.widgets.folders.folder_dialog import choose_folders


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    (tmp_path / "file.txt").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "name", "mode"),
    [
        (QTreeView, "treeView", QFileDialog.Detail),
        (QListView, "listView", QFileDialog.List),
    ],
)
def test_several_are_chosen(folder, until, monkeypatch, kind, name, mode):
    def choose(dialog):
        view = dialog.findChild(kind, name)
        model, root = view.model(), view.rootIndex()
        assert QTest.qWaitForWindowExposed(dialog)

        def rows():
            found = range(model.rowCount(root))
            return {model.index(row, 0, root).data(): row for row in found}

        # Files are not shown.
        until(lambda: "".join(rows()) == "abc")
        for letter in "ac":
            place = view.visualRect(model.index(rows()[letter], 0, root)).center()
            QTest.mouseClick(view.viewport(), Qt.LeftButton, Qt.ControlModifier, place)
        button = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.Open)
        until(button.isEnabled)
        button.click()

    def make(*arguments):
        dialog = make_folder_dialog(*arguments)
        dialog.setViewMode(mode)
        QTimer.singleShot(0, lambda: choose_or_close(dialog))
        return dialog

    def choose_or_close(dialog):
        try:
            choose(dialog)
        finally:
            if dialog.isVisible():
                dialog.reject()

    make_folder_dialog = folder_dialog.make_folder_dialog
    monkeypatch.setattr(folder_dialog, "make_folder_dialog", make)
    chosen = choose_folders(None, "Add", str(folder))
    assert sorted(chosen) == [str(folder / "a"), str(folder / "c")]


def test_cancelled(folder, monkeypatch):
    monkeypatch.setattr(QFileDialog, "exec", lambda self: 0)
    assert choose_folders(None, "Add", str(folder)) == []

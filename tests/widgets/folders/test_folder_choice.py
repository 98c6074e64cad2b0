from unittest.mock import patch

import pytest
from AnyQt.QtCore import QMimeData, QPointF, Qt, QUrl
from AnyQt.QtGui import QDropEvent
from AnyQt.QtTest import QTest
from AnyQt.QtWidgets import QFileDialog
from orangewidget.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.widgets.folders import folder_choice as module
from orangecontrib.imageanalytics.widgets.folders.folder_choice import (
    FolderChoice,
    adds_to_others,
    dropped_folders,
    short_name,
)
from orangecontrib.imageanalytics.widgets.folders.recent_folders import RecentFolders


@pytest.fixture
def choice():
    choice = FolderChoice()
    choice.show()
    choice.told = []
    for name in ("chosen", "added", "removed"):
        signal = getattr(choice, name)
        signal.connect(lambda what, name=name: choice.told.append((name, what)))
    choice.reload.connect(lambda: choice.told.append("reload"))
    yield choice
    choice.close()
    choice.deleteLater()


def recent(*paths, n_read=1):
    return RecentFolders([RecentPath.create(path, []) for path in paths], n_read)


def test_nothing_chosen(choice):
    choice.show_folders(recent())
    assert choice.combo.placeholderText() == "Choose a folder"
    assert not choice.combo.isEnabled() and not choice.reload_button.isEnabled()
    # Several can be chosen at once from the beginning.
    assert choice.add_button.isEnabled() and choice.browse_button.isEnabled()
    assert not choice.several.isVisible()


def test_one(choice):
    choice.show_folders(recent("/photos/a", "/photos/b"))
    assert choice.combo.currentText() == "a"
    assert choice.combo.toolTip() == "/photos/a"
    assert not choice.several.isVisible()
    choice.combo.activated.emit(1)
    name, (folder,) = choice.told.pop()
    assert (name, folder.abspath) == ("chosen", "/photos/b")
    choice.reload_button.click()
    assert choice.told.pop() == "reload"
    with patch.object(QFileDialog, "getExistingDirectory", return_value="/c") as ask:
        choice.browse_button.click()
    assert ask.call_args.args[-1] == "/photos"
    assert choice.told.pop() == ("chosen", ["/c"])
    with patch.object(QFileDialog, "getExistingDirectory", return_value=""):
        choice.browse_button.click()
    assert not choice.told


def test_several(choice):
    folders = recent("/photos/a", "/photos/b", "/photos/c", n_read=2)
    choice.show_folders(folders, {"/photos/b": "not found"})
    assert choice.several.isVisible()
    assert choice.combo.placeholderText() == "2 folders"
    texts = [choice.list.item(row).text() for row in range(choice.list.count())]
    assert texts == ["/photos/a", "/photos/b (not found)"]
    QTest.keyClick(choice.list, Qt.Key_Delete)
    assert not choice.told
    choice.list.item(1).setSelected(True)
    assert choice.remove_button.isEnabled()
    choice.activateWindow()
    assert QTest.qWaitForWindowActive(choice)
    choice.list.setFocus()
    QTest.keyClick(choice.list, Qt.Key_Delete)
    assert choice.told.pop() == ("removed", [1])
    with patch.object(module, "choose_folders", return_value=["/d", "/e"]):
        choice.add_button.click()
    assert choice.told.pop() == ("added", ["/d", "/e"])


def test_short_name():
    assert short_name("/photos/a/") == "a"
    assert short_name("/") == "/"


def test_dropped_folders(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "file").touch()

    def dropped(*urls):
        data = QMimeData()
        data.setUrls([QUrl(url) for url in urls])
        return dropped_folders(data)

    folder = QUrl.fromLocalFile(str(tmp_path / "a")).toString()
    file = QUrl.fromLocalFile(str(tmp_path / "file")).toString()
    assert dropped(folder, folder) == 2 * [str(tmp_path / "a")]
    assert dropped(folder, file) == dropped("https://example.org/a") == dropped() == []


def test_shift_adds():
    for modifiers in (Qt.ShiftModifier, Qt.NoModifier):
        event = QDropEvent(
            QPointF(5, 5), Qt.CopyAction, QMimeData(), Qt.LeftButton, modifiers
        )
        assert adds_to_others(event) == (modifiers == Qt.ShiftModifier)

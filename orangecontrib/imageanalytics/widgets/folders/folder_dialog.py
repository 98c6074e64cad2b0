"""A dialog in which several folders can be chosen."""

from AnyQt.QtWidgets import QAbstractItemView, QFileDialog, QListView, QTreeView


def make_folder_dialog(parent, title: str, start: str) -> QFileDialog:
    """
    A dialog for folders; hold Ctrl or Shift to choose several.

    Parameters
    ----------
    parent : QWidget
    title : str
        Title of the window.
    start : str
        The folder whose subfolders are shown.
    """
    dialog = QFileDialog(parent, title, start)
    # The dialogs of the desktops choose one folder at a time.
    dialog.setOption(QFileDialog.DontUseNativeDialog)
    dialog.setFileMode(QFileDialog.Directory)
    # In Qt 5 it is forgotten if the mode is set later.
    dialog.setOption(QFileDialog.ShowDirsOnly)
    for kind, name in ((QListView, "listView"), (QTreeView, "treeView")):
        view = dialog.findChild(kind, name)
        if view is not None:
            view.setSelectionMode(QAbstractItemView.ExtendedSelection)
    return dialog


def choose_folders(parent, title: str, start: str) -> list[str]:
    """
    Let the user choose folders.

    Parameters
    ----------
    parent, title, start
        As for `make_folder_dialog`.

    Returns
    -------
    list of str
        Paths of the folders; empty if cancelled.
    """
    dialog = make_folder_dialog(parent, title, start)
    try:
        return dialog.selectedFiles() if dialog.exec() else []
    finally:
        dialog.deleteLater()

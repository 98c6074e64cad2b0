"""Open an image with the programs of the desktop."""

import os
import sys

from AnyQt.QtCore import QDir, QProcess, QUrl
from AnyQt.QtGui import QDesktopServices

from orangecontrib.imageanalytics.images.sources import is_file, path_of


def open_image(source: str) -> bool:
    """
    Open an image in the program that the desktop has for it.

    Parameters
    ----------
    source : str
        Path, or an http, https or ftp address.

    Returns
    -------
    bool
        False if there is no such program.
    """
    url = _file_url(source) if is_file(source) else QUrl(source)
    return QDesktopServices.openUrl(url)


def show_in_folder(path: str) -> bool:
    """
    Open the folder of a file in the file manager, the file marked if it can do so.

    Parameters
    ----------
    path : str
        Path of the file; for a page or a file in a tar file, its source.

    Returns
    -------
    bool
        False if there is no file manager.
    """
    path = os.path.abspath(path_of(path))
    if sys.platform == "win32":
        arguments = ["/select,", QDir.toNativeSeparators(path)]
        return bool(QProcess.startDetached("explorer", arguments))
    if sys.platform == "darwin":
        return bool(QProcess.startDetached("open", ["-R", path]))
    return QDesktopServices.openUrl(QUrl.fromLocalFile(os.path.dirname(path)))


def _file_url(path: str) -> QUrl:
    return QUrl.fromLocalFile(os.path.abspath(path_of(path)))

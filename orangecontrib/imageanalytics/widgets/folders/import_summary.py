"""Texts of Import Images about the images that it has found."""

from collections.abc import Iterable

from AnyQt.QtWidgets import QWidget
from Orange.data import Table
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.import_images import ImportImages
from orangecontrib.imageanalytics.import_images.watch import Changes
from orangecontrib.imageanalytics.widgets.utils.skipped_dialog import SkippedDialog

# Of links in the text
SKIPPED, LEFT_OUT, UNMATCHED = "#skipped", "#left-out", "#unmatched"


def summary(importer: ImportImages, table: Table | None, n_folders: int) -> str:
    """
    The number of images, and of files that were left out, with links to lists of them.

    Parameters
    ----------
    importer : ImportImages
        The importer that has made the table.
    table : Orange.data.Table or None
        None if there are no images.
    n_folders : int
        How many folders were read.
    """
    n_images = len(table) if table else 0
    text = f"{n_images:,} {pl(n_images, 'image')}"
    if table and table.domain.class_var:
        n_categories = len(table.domain.class_var.values)
        text += f" / {n_categories:,} {pl(n_categories, 'category')}"
    if n_folders > 1:
        text += f" / {n_folders:,} folders"
    for link, found, label in (
        (UNMATCHED, importer.unmatched, "without a category"),
        (SKIPPED, importer.skipped, "skipped"),
        (LEFT_OUT, importer.left_out, "left out"),
    ):
        if found:
            text += f', <a href="{link}">{len(found):,} {label}</a>'
    if importer.has_more:
        n_files = len(importer.has_more)
        text += (
            f"<br/>{n_files:,} {pl(n_files, 'file has|files have')} "
            "more pages than the one that is used"
        )
    return text


def show_list(link: str, importer: ImportImages, parent: QWidget) -> None:
    """Open the list that a link in the summary leads to."""
    if link == LEFT_OUT:
        title, heading = "Files and Folders Left Out", "Files and folders left out"
        SkippedDialog(importer.left_out, parent, title, heading).show()
    elif link == UNMATCHED:
        show_unmatched(importer.unmatched, parent)
    else:
        SkippedDialog(importer.skipped, parent).show()


def show_unmatched(names: list[str], parent: QWidget) -> None:
    """Open the list of images whose names do not match the pattern."""
    rows = [(name, "the name does not match the pattern") for name in names]
    title, heading = "Images without a Category", "Images without a category"
    SkippedDialog(rows, parent, title, heading).show()


def folder_notes(missing: Iterable[OSError], contained: Iterable[str] = ()) -> dict:
    """Notes about some folders in the list, by their paths."""
    notes = dict.fromkeys(contained, "inside another folder")
    for error in missing:
        is_gone = isinstance(error, FileNotFoundError)
        notes[error.filename] = "not found" if is_gone else "cannot be read"
    return notes


def news(changes: Changes) -> str:
    """A short text about changes in folders."""
    counts = (
        (changes.n_new, "new"),
        (changes.n_changed, "changed"),
        (changes.n_removed, "removed"),
    )
    parts = [f"{n:,} {what}" for n, what in counts if n]
    n_first = next((n for n, _ in counts if n), 0)
    parts[0] += f" {pl(n_first, 'image')}"
    return ", ".join(parts)

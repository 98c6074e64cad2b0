"""Choose the folder and file name for each image of a table."""

from __future__ import annotations

from dataclasses import dataclass

from Orange.data import DiscreteVariable, Table, Variable

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.save_images.names import (
    Names,
    image_name,
    without_extension,
)
from orangecontrib.imageanalytics.save_images.progress import Callback, watched


@dataclass(frozen=True)
class Item:
    """An image to save.

    Attributes
    ----------
    row : int
    source : str
    subfolder : str
        Empty for the folder itself.
    text : str
        The text from which the name is made.
    name : str
        Name of the file, with extension.
    """

    row: int
    source: str
    subfolder: str
    text: str
    name: str


class Plan:
    """
    Subfolders and names for all images of a table; no two are the same.

    Parameters
    ----------
    data, column, names, subfolders, callback
        As for `Saving`.
    extension : str
        With the dot.

    Attributes
    ----------
    items : dict of int to Item
        The images to save, by rows.
    missing : list of int
        Rows that name no image.

    Raises
    ------
    ValueError
        If there is no such column.
    """

    def __init__(
        self,
        data: Table,
        column: str | Variable,
        names: str | Variable | None,
        subfolders: str | Variable | bool,
        extension: str,
        callback: Callback | None = None,
    ):
        self._names, self._extension = Names(), extension
        self.items: dict[int, Item] = {}
        self.missing: list[int] = []
        rows = zip(
            column_sources(data, column),
            _texts(data, names),
            self._subfolders(data, subfolders),
            strict=True,
        )
        for row, (source, text, subfolder) in enumerate(watched(list(rows), callback)):
            if source is None:
                self.missing.append(row)
                continue
            text = without_extension(text) if text else image_name(source)
            name = self._names.new(subfolder, text, extension)
            self.items[row] = Item(row, source, subfolder, text, name)

    def other_name(self, item: Item) -> str:
        """Another name for a file, in the same subfolder; from any thread."""
        return self._names.new(item.subfolder, item.text, self._extension)

    def _subfolders(self, data: Table, choice: str | Variable | bool) -> list[str]:
        """The subfolder of each row."""
        if choice is True:
            choice = data.domain.class_var
            if not isinstance(choice, DiscreteVariable):
                choice = None
        if choice is None or choice is False:
            return [""] * len(data)
        if not (choice in data.domain and data.domain[choice].is_discrete):
            raise ValueError(
                f"There is no categorical column {str(choice)!r} in the data."
            )
        variable = data.domain[choice]
        # Missing values have index -1, which is the empty name.
        known = [self._names.new("", value) for value in variable.values] + [""]
        values = data.get_column(variable)
        return [known[-1 if value != value else int(value)] for value in values]


def _texts(data: Table, names: str | Variable | None) -> list[str | None]:
    """The text that names each row's file; None if there is none."""
    if names is None:
        return [None] * len(data)
    if names not in data.domain:
        raise ValueError(f"There is no column {str(names)!r} in the data.")
    variable = data.domain[names]
    texts = (variable.str_val(value) for value in data.get_column(variable))
    return [None if text.strip() in ("", "?") else text for text in texts]

"""The options of Save Images for the columns that it uses."""

from collections.abc import Callable

from AnyQt.QtWidgets import QFormLayout, QSizePolicy, QWidget
from Orange.data import DiscreteVariable, Domain, Variable
from Orange.widgets import gui
from Orange.widgets.utils.itemmodels import DomainModel, VariableListModel
from Orange.widgets.widget import OWWidget


class ColumnOptions(QWidget):
    """
    Controls for the columns of images, of file names and of subfolders.

    Parameters
    ----------
    owner : OWWidget
        Has the settings ``image_column``, ``name_column`` and ``folder_column``.
    changed : callable
        Called after the user has changed one of them.
    """

    def __init__(self, owner: OWWidget, changed: Callable[[], None]):
        super().__init__()
        self._column_model = VariableListModel(parent=self)
        self._name_model = DomainModel(
            order=(DomainModel.METAS, DomainModel.CLASSES, DomainModel.ATTRIBUTES),
            placeholder="Name of the image",
            parent=self,
        )
        self._folder_model = DomainModel(
            order=(DomainModel.CLASSES, DomainModel.METAS, DomainModel.ATTRIBUTES),
            valid_types=DiscreteVariable,
            placeholder="None",
            parent=self,
        )
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.AllNonFixedFieldsGrow)
        for label, attribute, model, tip in (
            (
                "&Image column:",
                "image_column",
                self._column_model,
                "The column with the images' paths or URLs",
            ),
            (
                "File &names:",
                "name_column",
                self._name_model,
                "The column with the names of the files; equal names get a number",
            ),
            (
                "&Subfolders:",
                "folder_column",
                self._folder_model,
                "The column that has a subfolder for each value",
            ),
        ):
            combo = gui.comboBox(
                self,
                owner,
                attribute,
                model=model,
                callback=changed,
                addToLayout=False,
                searchable=attribute == "name_column",
            )
            combo.setToolTip(tip)
            combo.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Fixed)
            self._form.addRow(label, combo)

    def set_domain(self, columns: list[Variable], domain: Domain | None):
        """Offer columns with images, and those of a domain for names and folders."""
        self._column_model[:] = columns
        self._name_model.set_domain(domain)
        self._folder_model.set_domain(domain)

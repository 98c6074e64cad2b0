"""A list as small as a combo box, in which any number of variables can be ticked."""

from collections.abc import Sequence

from AnyQt.QtCore import Qt
from Orange.data import Domain, Variable
from Orange.widgets.utils.itemmodels import DomainModel

from orangecontrib.imageanalytics.widgets.utils.checkcombo import CheckCombo


class VariablesCombo(CheckCombo):
    """
    Shows the names of the variables that are ticked; its list stays open.

    Parameters
    ----------
    parent : QWidget, optional
        Owner.
    """

    def __init__(self, parent=None):
        flags = Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable
        variables = DomainModel(flags=flags | Qt.ItemFlag.ItemIsUserCheckable)
        super().__init__(variables, parent)
        self.variables = variables

    def set_domain(self, domain: Domain | None) -> None:
        """Offer the variables of another domain; none is ticked."""
        self.variables.set_domain(domain)
        self.show_ticked()

    def chosen(self) -> list[Variable]:
        """The variables that are ticked, in the order of the list."""
        return [self.variables[row] for row in self.ticked()]

    def choose(self, variables: Sequence[Variable]) -> None:
        """Tick only these variables, without emitting signals."""
        self.tick(row for row, var in enumerate(self.variables) if var in variables)

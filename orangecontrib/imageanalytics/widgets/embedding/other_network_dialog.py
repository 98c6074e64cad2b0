"""The window in which users choose their own network, by name or from a file."""

from AnyQt.QtCore import QSize, Qt, Signal
from AnyQt.QtWidgets import QDialog, QDialogButtonBox, QTabWidget, QVBoxLayout

from orangecontrib.imageanalytics.widgets.embedding.network_file_page import FilePage
from orangecontrib.imageanalytics.widgets.embedding.network_name_page import NamePage
from orangecontrib.imageanalytics.widgets.utils.standard_buttons import (
    translate_buttons,
)


class OtherNetworkDialog(QDialog):
    """Lets the user choose any network of a known Python package, or a file.

    Parameters
    ----------
    folder : str
        The folder in which file dialogs start.
    own : sequence of Choice
        Networks that were chosen before.
    parent : QWidget, optional
    """

    #: A `Choice` that can be used
    chosen = Signal(object)

    def __init__(self, folder: str = "", own=(), parent=None):
        super().__init__(parent)
        self.setAttribute(Qt.WA_DeleteOnClose)
        self.setWindowTitle("Other Network")
        self.tabs = QTabWidget()
        self.by_name = NamePage()
        self.from_file = FilePage(folder, own)
        self.tabs.addTab(self.by_name, "By &Name")
        self.tabs.addTab(self.from_file, "From a &File")
        self.tabs.currentChanged.connect(self._update)
        layout = QVBoxLayout(self)
        layout.addWidget(self.tabs)
        layout.addWidget(self._make_buttons())
        self.by_name.found.connect(self.from_file.architecture_form.add_names)
        for page in (self.by_name, self.from_file):
            page.changed.connect(self._update)
            page.taken.connect(self._take)
        self._update()
        em = self.fontMetrics().horizontalAdvance("m")
        size = QSize(42 * em, max(self.sizeHint().height(), 36 * em))
        # Its buttons and title must be reachable with large fonts, too.
        self.resize(size.boundedTo(0.9 * self.screen().availableGeometry().size()))
        self.by_name.search.setFocus()
        self.by_name.start()

    def _make_buttons(self):
        buttons = QDialogButtonBox(QDialogButtonBox.Cancel)
        translate_buttons(buttons)
        # Else Enter would cancel while there is nothing to use.
        buttons.button(QDialogButtonBox.Cancel).setAutoDefault(False)
        self.use_button = buttons.addButton("Use", QDialogButtonBox.AcceptRole)
        self.use_button.setDefault(True)
        buttons.accepted.connect(self.use)
        buttons.rejected.connect(self.reject)
        return buttons

    def _update(self):
        self.use_button.setEnabled(self.tabs.currentWidget().is_ready())
        # A network that works ends the dialog.
        self.tabs.setTabEnabled(0, not self.from_file.is_busy)

    def use(self):
        """Accept the choice if it works."""
        if self.use_button.isEnabled():
            self.tabs.currentWidget().take()

    def _take(self, choice):
        self.chosen.emit(choice)
        self.accept()

    def done(self, result):
        """Close the window; running threads end by themselves."""
        self.by_name.stop()
        self.from_file.stop()
        super().done(result)

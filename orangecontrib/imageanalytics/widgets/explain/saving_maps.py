"""Saving of heat maps, as the user sees it."""

import os

from AnyQt.QtWidgets import QFileDialog
from Orange.widgets.settings import Setting
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.widgets.explain.explaining_task import Saved, save


class SavingMapsMixin:
    """Saves in the thread of the widget."""

    last_dir: str = Setting("")

    def save_maps(self):
        """Let the user choose a folder, and save the heat maps there."""
        start = self.last_dir if os.path.isdir(self.last_dir) else ""
        folder = QFileDialog.getExistingDirectory(
            self, "Choose the Folder to Save Into", start or os.path.expanduser("~")
        )
        if not folder or self.explaining is None:
            return
        self.last_dir = folder
        self.Information.saved.clear()
        self.Information.saving_stopped.clear()
        self.Warning.not_saved.clear()
        self.Error.cannot_save.clear()
        self._saving = True
        strength = self.strength / 100
        intensity = self.intensity_of(self._column)
        self.start(save, self.explaining, folder, self.kind, strength, intensity)
        self._show_status(self._method_text())

    def _show_saved(self, saved: Saved):
        self._saving = False
        n_maps = saved.n_maps
        self.Information.saved(f"{n_maps:,} heat {pl(n_maps, 'map')}", saved.folder)
        if saved.failures:
            n = len(saved.failures)
            self.Warning.not_saved(
                f"{n:,} heat {pl(n, 'map')}", self._first_of(saved.failures)
            )
        self._show_status(self._method_text(), is_done=True)

"""What Explain Images shows of heat maps: in the sheet, and of the current image."""

from AnyQt.QtCore import QModelIndex

from orangecontrib.imageanalytics.explain import Explanation
from orangecontrib.imageanalytics.explain.explaining import SIMILARITY
from orangecontrib.imageanalytics.widgets.preview.rowdetails import row_values


class HeatViewMixin:
    """The heat maps and texts of the images; the widget has their explanations."""

    def _show_heat(self):
        opacity = self.strength / 100
        self.view.set_overlay(self._overlay, opacity)
        explanation = self._explanations.get(self._current)
        overlay = self._overlays.get(explanation)
        text = "" if explanation is None else self._caption(explanation)
        self.panel.show_heat(overlay, opacity, text)

    def _overlay(self, place: int):
        return self._overlays.get(self._explanations.get(self._rows[place]))

    def _label(self, place: int) -> list[str]:
        explanation = self._explanations.get(self._rows[place])
        return [""] if explanation is None else [self._result_text(explanation)]

    def _result_text(self, explanation: Explanation) -> str:
        if explanation.target:
            return f"{explanation.target}: {explanation.result:.0%}"
        if self.explaining.result_name == SIMILARITY:
            return f"similarity: {explanation.result:.3g}"
        return f"prediction: {explanation.result:.3g}"

    def _caption(self, explanation: Explanation) -> str:
        lines = [self._result_text(explanation)]
        middle, rim = explanation.heat_map.shares()
        if middle == middle:  # else nothing supports it
            lines.append(f"Heat in the middle: {middle:.0%}, at the rim: {rim:.0%}")
        else:
            lines.append("No part of the image supports it")
        if not explanation.is_final:
            lines.append("becoming finer…")
        return "\n".join(lines)

    def _on_current_changed(self, index: QModelIndex):
        valid = index.isValid() and index.row() < len(self._rows)
        self._current = self._rows[index.row()] if valid else None
        if valid:
            self.panel.show_image(
                self._sources[self._current],
                self.view.model().thumbnail(index.row()),
                self.loader.intensity,
            )
            self._show_heat()

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """The class, and what is explained."""
        values = row_values(self.data, self._rows[row], self.data.domain.class_vars)
        explanation = self._explanations.get(self._rows[row])
        if explanation is not None:
            values += [("Explained", self._result_text(explanation))]
        return values

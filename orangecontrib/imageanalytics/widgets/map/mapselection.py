"""What is selected on a map, by rows of the data, and what is in its subset."""

import numpy as np

#: Groups are numbers of 8 bits in Orange's plots.
MAX_GROUP = 255


class MapSelectionMixin:
    """
    For Image Map: selects what was selected, and says how many it is.

    Orange's own way keeps the numbers of the points. These change with the axes, since
    rows without a place are no points; so rows of the data are kept instead.
    """

    def apply_selection(self):
        """Select what was selected: rows of the data, wherever they are now."""
        stored, rows = self.selection or self._pending_selection, []
        if self.map_data is not None:
            # That of a workflow waits until there are data.
            self._pending_selection = None
            rows = self.map_data.rows.tolist()
        points = {row: point for point, row in enumerate(rows)}
        try:
            chosen = [
                (points[row], group)
                for row, group in stored or ()
                if 0 < group <= MAX_GROUP
            ]
        except (KeyError, TypeError, ValueError):
            chosen = []  # of other data
        if chosen:
            selection = np.zeros(self.graph.n_valid, dtype=np.uint8)
            places, groups = np.array(chosen).T
            selection[places] = groups
            self.graph.selection = selection
        self.graph.update_selection_colors()
        self._store_selection()

    def selection_changed(self):
        """Remember what is selected, and send it."""
        self._store_selection()
        self.commit.deferred()

    def _store_selection(self):
        self.selection, groups = None, self.graph.selection
        if groups is not None:
            rows = self.map_data.rows
            self.selection = [
                (int(rows[point]), int(groups[point]))
                for point in np.flatnonzero(groups)
            ]
        self.count_selected()

    def count_selected(self):
        """Tell in the legend how many points of each colour are selected."""
        groups = self.graph.selection
        same = groups is not None and self.coloring is not None
        if same and len(groups) == len(self.coloring):
            self.legend.set_selected(groups > 0)
        else:
            self.legend.set_selected(None)

    def _select_value(self, value: int, modifiers):
        self.graph.select_by_indices(self.coloring.rows_of(value), modifiers)


class MapSubsetMixin:
    """For Image Map: which points are in the subset."""

    # Of each point; None without a subset.
    _inside: np.ndarray | None = None

    def _handle_subset_data(self):
        """Find the subset's rows."""
        self.Warning.subset_independent.clear()
        self.Warning.subset_not_subset.clear()
        self._inside = None
        if self.map_data is None or not self.subset_data:
            return
        self._inside, n_found = self.map_data.inside(self.subset_data)
        if not n_found:
            self.Warning.subset_independent()
        elif n_found < len(self.subset_data):
            self.Warning.subset_not_subset()

    def get_subset_mask(self):
        """Which points are in the subset; None if there is no subset."""
        return self._inside

    def clear(self):
        """Forget what belongs to the data before."""
        super().clear()
        self._inside = None

"""What Find Images shows, what is selected there, and what it sends."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

import numpy as np
from Orange.data import Table
from Orange.widgets import gui
from Orange.widgets.utils.annotated_data import create_annotated_table
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.find_images import Query
from orangecontrib.imageanalytics.widgets.find.finder import Found, Sorted
from orangecontrib.imageanalytics.widgets.find.findrun import NOTHING_ASKED
from orangecontrib.imageanalytics.widgets.find.matchcontrols import SCORE
from orangecontrib.imageanalytics.widgets.preview.rowdetails import row_values
from orangecontrib.imageanalytics.widgets.sheet.imageactions import short
from orangecontrib.imageanalytics.widgets.sheet.selecteditems import (
    places_of,
    selected_items,
)
from orangecontrib.imageanalytics.widgets.sheet.thumbnailmodel import row_labels

NOTHING_FOUND = (
    "No image has such a score.\n\nMove the slider below “Show” to the left, or choose "
    "“The best” there."
)
NO_WORDS = "Choose a network that knows words."


def _named(query: Query) -> str:
    """What is looked for, in words."""
    parts = [str(description) for description in query.descriptions]
    if count := len(query.examples):
        parts.append(f"{count:,} {pl(count, 'example')}")
    return ", ".join(parts)


class SourcesOfRows(Sequence):
    """
    The sources of some rows, looked up when they are asked for: few are in sight.

    Parameters
    ----------
    sources : sequence of str
        Those of all rows.
    rows : numpy.ndarray of int
    """

    def __init__(self, sources: Sequence[str], rows: np.ndarray):
        self._sources, self._rows = sources, rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> str:
        return self._sources[self._rows[place]]

    def __iter__(self) -> Iterator[str]:
        return map(self._sources.__getitem__, self._rows.tolist())


class FindResultsMixin:
    """
    The part of `OWFindImages` that deals with results.

    Attributes
    ----------
    answer : Found or Sorted or None
        What is shown; None if nothing is looked for.
    """

    def _init_results(self) -> None:
        self.answer: Found | Sorted | None = None
        # The data with the columns of the answer, once they are made.
        self._table: Table | None = None
        # What the view shows: the images of these rows, in its order.
        self._rows = np.zeros(0, dtype=int)
        self._shown_sources: list[str | None] | None = None
        self._restoring = False

    # Answers

    def show_answer(self, answer: Found | Sorted | None) -> None:
        """Show what was found; None if nothing is looked for."""
        self.answer, self._table = answer, None
        self._warn_of_examples(answer)
        if isinstance(answer, Found) and len(answer.order):
            scores = answer.scores[answer.order]
            self.matches.show_scores(float(scores[-1]), float(scores[0]))
        self.show_matches()

    def take_table(self, table: Table | None) -> None:
        """Send the table with the columns of the answer."""
        self._table = table
        self.commit.deferred()

    def _warn_of_examples(self, answer: Found | Sorted | None) -> None:
        self.Warning.examples_failed.clear()
        failures = getattr(answer, "failures", None)
        if failures:
            source, reason = next(iter(failures.items()))
            count = len(failures)
            self.Warning.examples_failed(
                f"{count:,} {pl(count, 'example')}", short(source), reason
            )

    def _matching_rows(self) -> np.ndarray:
        """The rows that are shown, in their order."""
        answer = self.answer
        if isinstance(answer, Sorted):
            return answer.order
        if answer is None:
            return np.fromiter(self._cell_of, int, len(self._cell_of))
        top, least = self.matches.limits()
        if least is None:
            return answer.order[:top]
        # They are in descending order.
        scores = -answer.scores[answer.order]
        return answer.order[: np.searchsorted(scores, -least, side="right")]

    def show_matches(self) -> None:
        """Show the images that match, best first."""
        rows = self._matching_rows()
        view = self.view
        is_same = self._shown_sources is self._sources
        if not (is_same and np.array_equal(rows, self._rows)):
            self._rows, self._shown_sources = rows, self._sources
            # Signals of the new rows are about no selection of the user's.
            self._restoring = True
            view.model().set_images(
                SourcesOfRows(self._sources, rows),
                intensity=self.intensity_of(self.image_attr),
            )
            self._restoring = False
            self.set_details_of(self.data, rows)
        self.show_labels()
        view.set_sections(*self._sections())
        view.set_message(self._message())
        self._restore_selection()
        self._show_counts()

    def _sections(self) -> tuple[list[str], list[int]]:
        if not isinstance(self.answer, Sorted):
            return [], []
        indices = self.answer.indices[self.answer.order]
        found, counts = np.unique(indices, return_counts=True)
        values = self.answer.classes.values
        return [values[index] for index in found], counts.tolist()

    def show_labels(self) -> None:
        """Write the score and the labels below the images."""
        answer, rows = self.answer, self._rows
        titles = row_labels(self.data, self.title_attrs, rows)
        if answer is None:
            self.view.set_labels(len(self.title_attrs), titles)
            return
        self.view.set_labels(
            1 + len(self.title_attrs),
            lambda place: [answer.text(rows[place]), *titles(place)],
        )

    def _message(self) -> str:
        if self._cell_of:
            nothing = not len(self._rows) and isinstance(self.answer, Found)
            return NOTHING_FOUND if nothing else ""
        return self.no_images_text()

    def _show_counts(self) -> None:
        if self.finder is None or self.Error.cannot_find.is_shown():
            return  # something else is said
        answer = self.answer
        if isinstance(answer, Found):
            text = f"{len(self._rows):,} {pl(len(self._rows), 'match|matches')}"
            what = html.escape(_named(answer.query))
            self.show_status(f"{text} for {what}")
        elif isinstance(answer, Sorted):
            n_classes = len(answer.classes.names)
            self.show_status(f"Sorted into {n_classes:,} classes")
        elif self.Warning.no_words.is_shown():
            self.show_status(NO_WORDS)
        else:
            self.show_status(NOTHING_ASKED[self.mode])

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """The score or class, and the labels."""
        own, answer = self._rows[row], self.answer
        values = row_values(self.data, own, self.title_attrs)
        if isinstance(answer, Found):
            return [("Score", answer.text(own)), *values]
        if isinstance(answer, Sorted):
            name = answer.classes.values[answer.indices[own]]
            return [("Class", f"{name} ({answer.text(own)})"), *values]
        return values

    # Selection

    def _cells(self) -> list:
        return [self._cell_of[row] for row in self._rows.tolist()]

    def _restore_selection(self) -> None:
        # What is selected but not among the matches must not be forgotten.
        self._restoring = True
        places = []
        if self.selected_items:
            places = places_of(self.selected_items, self._cells())
        if places != self.view.selected_rows():
            self.view.select_rows(places)
        self._restoring = False
        self.enable_more()

    def on_selection_changed(self) -> None:
        """Remember what is selected, and send it."""
        self.enable_more()
        if self._restoring or self.data is None:
            return
        self.selected_items = selected_items(self._cells(), self.view.selected_rows())
        self.commit.deferred()

    def chosen_rows(self) -> list[int]:
        """Places in the view that are selected; otherwise the current one."""
        current = self.view.currentIndex().row()
        return self.view.selected_rows() or ([current] if current >= 0 else [])

    # Outputs

    @gui.deferred
    def commit(self) -> None:
        """Send the matches, or those that are selected; and all, with the scores."""
        if self.answer is not None and self._table is None:
            return  # it will come
        matches = annotated = None
        if self.data is not None and self.image_attr is not None:
            data = self.data if self.answer is None else self._table
            selected = rows = self._rows[self.view.selected_rows()]
            if not len(rows) and self.answer is not None:
                rows = self._rows[: self._n_matches()]
            matches = data[rows] if len(rows) else None
            annotated = create_annotated_table(data, selected)
        self.Outputs.matches.send(matches)
        self.Outputs.data.send(annotated)

    def _n_matches(self) -> int:
        """How many of the rows that are shown match; those of no class come last."""
        answer = self.answer
        if not isinstance(answer, Sorted):
            return len(self._rows)
        return int((answer.indices[self._rows] < len(answer.classes.names)).sum())

    def n_selected(self) -> int:
        """How many images are selected."""
        return len(self.view.selected_rows())

    def limit_changed(self) -> None:
        """Show and send more or fewer images."""
        is_found = isinstance(self.answer, Found) and len(self._rows)
        if self.limit_by == SCORE and is_found:
            self.matches.start_from(float(self.answer.scores[self._rows[-1]]))
        self.show_matches()
        self.commit.deferred()

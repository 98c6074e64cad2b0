"""What the user does in Label Images: classes, labels, undo, and the next images."""

import numpy as np
from AnyQt.QtCore import QTimer
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.labels import NO_CLASS, shown_classes
from orangecontrib.imageanalytics.labels.tables import class_column
from orangecontrib.imageanalytics.widgets.labelling.keys import HINT, LabelKeys
from orangecontrib.imageanalytics.widgets.sheet.coloring import Coloring

NO_NAMES = "Enter the names of two or more classes at the left, then press their keys."
LEARN_MS = 10  # after a key


class LabellingMixin:
    """
    The part of `OWLabelImages` with the actions of the user.

    A round ends when some images have been labelled. The model learns then, and when it
    has, the images are put into a new order. Until then, none is selected, so that no
    key reaches an image that has just come into the place of another.
    """

    def __init__(self):
        self._round_due = True
        self._n_in_round = 0
        self._reference: int | None = None
        self._learn_timer = QTimer(self, singleShot=True, interval=LEARN_MS)
        self._learn_timer.timeout.connect(self.learn)
        classes = self.panel.class_list
        classes.added.connect(self.add_class)
        classes.renamed.connect(self.rename_class)
        classes.recolored.connect(self.recolor_class)
        classes.removed.connect(self.remove_class)
        classes.picked.connect(self.give_class)
        self.keys = LabelKeys(self.view)
        self.keys.digit.connect(self._on_digit)
        self.keys.skip.connect(self.skip)
        self.keys.accept.connect(self.accept_screen)
        self.keys.clear.connect(lambda: self.give_class(NO_CLASS))
        self.keys.preview.connect(self._preview)

    # Classes

    def add_class(self, name: str) -> None:
        """Add a class, unless there is one with this name."""
        if self._try(lambda: self.session.add_class(name)):
            self.panel.class_list.name_edit.clear()

    def rename_class(self, number: int, name: str) -> None:
        """Rename a class, unless there is another one with this name."""
        self._try(lambda: self.session.rename_class(number, name))

    def recolor_class(self, number: int, color: str) -> None:
        """Give a class another color."""
        self._try(lambda: self.session.recolor_class(number, color))

    def remove_class(self, number: int) -> None:
        """Remove a class; its images are then without one."""
        self._try(lambda: self.session.remove_class(number))

    def _try(self, change) -> bool:
        self.Warning.bad_name.clear()
        try:
            change()
        except ValueError as error:
            self.Warning.bad_name(str(error))
            self.show_state()  # with the name as it was
            return False
        self.labels_changed()
        return True

    # Labels

    def _on_digit(self, digit: int) -> None:
        number = self.panel.class_list.number_of_key(digit)
        if number is not None:
            self.give_class(number)

    def give_class(self, number: int) -> None:
        """Give the selected images a class, and go on to the next one."""
        images = self.label_sheet.selected()
        self._change(images, lambda: self.session.label(images, number))

    def skip(self) -> None:
        """Pass over the selected images."""
        images = self.label_sheet.selected()
        self._change(images, lambda: self.session.skip(images))

    def accept_screen(self) -> None:
        """Accept all proposals that can be seen as a whole."""
        images = self.label_sheet.on_screen()
        classes, by, _ = shown_classes(self.session, self.proposals)
        images = images[(by[images] == 1) & ~self.session.skipped[images]]
        if len(images):
            text = f"Accept {len(images):,} {pl(len(images), 'proposal')}"
            self._n_in_round = self.at_a_time
            self._change(
                images,
                lambda: self.session.label_each(images, classes[images], text),
            )

    def _change(self, images: np.ndarray, change) -> None:
        """Label images; new ones count for the round."""
        if not len(images):
            return
        were_to_do = self.label_sheet.is_to_do(self.session)
        change()
        is_to_do = self.label_sheet.is_to_do(self.session)
        n_done = int((were_to_do & ~is_to_do).sum())
        rows = self.view.selected_rows()
        if n_done:
            self._n_in_round += n_done
            self.label_sheet.add_recent(images)
        is_end = self._n_in_round >= self.at_a_time or not is_to_do.any()
        if n_done and is_end:
            self.view.clearSelection()
            self._round_due = True
        elif n_done:
            self.label_sheet.select_next(self.session, max(rows, default=-1))
        self.labels_changed()

    def _preview(self) -> None:
        if self.view.currentIndex().isValid():
            self.view.preview_requested.emit(self.view.currentIndex())

    def undo(self) -> None:
        """Take back the last step."""
        self._step(self.session.undo)

    def redo(self) -> None:
        """Do again what was taken back."""
        self._step(self.session.redo)

    def _step(self, move) -> None:
        labels, skipped = self.session.labels, self.session.skipped
        if not move():
            return
        changed = (labels != self.session.labels) | (skipped != self.session.skipped)
        self._round_due, self._n_in_round = False, 0
        self.labels_changed()
        if changed.any():
            self.label_sheet.select_images(np.flatnonzero(changed))

    # Rounds

    def labels_changed(self) -> None:
        """Show and keep what has changed, and learn from it."""
        self.show_state()
        self.store.keep(self.session, self._sources)
        self.commit.deferred()
        # Once what was pressed is shown: threads would compete with that.
        self._learn_timer.start()

    def begin_round(self) -> None:
        """Put the images into a new order as soon as the model has learned."""
        self._round_due = True
        self.learn()

    def reference(self) -> int | None:
        """The image that others are compared with: the last one that was selected."""
        images = self.label_sheet.selected()
        if len(images):
            self._reference = int(images[0])
        return self._reference

    def take_lesson(self, order: np.ndarray) -> None:
        """Show what was learned and, if a round has ended, the next images."""
        if self._round_due:
            self.show_round(order)
        else:
            self.show_state()

    def show_round(self, order: np.ndarray) -> None:
        """Show the images in an order, and select the first that is to be labelled."""
        self._round_due, self._n_in_round = False, 0
        self.label_sheet.arrange(self.session, order)
        self.set_details_of(self.data, self._rows[self.label_sheet.images])
        self.show_state()
        self.label_sheet.select_next(self.session)

    def show_state(self) -> None:
        """Show the classes, the frames and what can be undone."""
        session = self.session
        classes, by, certainty = shown_classes(session, self.proposals)
        numbers, counts = np.unique(classes[by == 1], return_counts=True)
        proposed = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        controls = self.panel
        controls.class_list.show_classes(session.classes, session.counts(), proposed)
        controls.show_steps(session.undo_text, session.redo_text)
        controls.status.setText(self._status())
        self.label_sheet.show(session, classes, certainty)
        hint = HINT if session.classes else NO_NAMES
        self.hint.setText(hint if self._sources else "")

    def _status(self) -> str:
        n_images, n_labeled = len(self._sources), self.session.n_labeled
        if not n_images:
            return ""
        n_skipped = int(self.session.skipped.sum())
        text = f"{n_labeled:,} of {n_images:,} labelled"
        return text + (f", {n_skipped:,} skipped" if n_skipped else "")

    # What the sheet and its export show

    def shown_values(self, row: int) -> list[tuple[str, str]]:
        """The class, by whom, and the certainty."""
        image = int(self.label_sheet.images[row])
        classes, by, certainty = shown_classes(self.session, self.proposals)
        if classes[image] == NO_CLASS:
            return []
        values = [("class", self.session.classes[int(classes[image])].name)]
        if by[image] == 1:
            values.append(("proposed with certainty", f"{certainty[image]:.0%}"))
        return values

    def contact_sheet(self):
        """The whole sheet as plain data, with the colors of the classes."""
        self.coloring = self._coloring()
        return super().contact_sheet()

    def _coloring(self) -> Coloring | None:
        if not self.session.classes or not self._sources:
            return None
        classes, _, _ = shown_classes(self.session, self.proposals)
        classes = classes[self.label_sheet.images]
        return Coloring(*class_column(self.session, classes, self.class_name))

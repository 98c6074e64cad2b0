"""What Label Images remembers: known labels, the autosave, and files."""

from AnyQt.QtCore import QTimer
from Orange.widgets.utils.localization import pl

from orangecontrib.imageanalytics.errors import Cancelled
from orangecontrib.imageanalytics.labels import Record
from orangecontrib.imageanalytics.widgets.labelling.label_files import (
    Contents,
    Exported,
    ReadBack,
)
from orangecontrib.imageanalytics.widgets.labelling.label_store import LookedUp
from orangecontrib.imageanalytics.widgets.labelling.offer_bar import OfferBar


class RememberingMixin:
    """The part of `OWLabelImages` that gets labels from elsewhere, and keeps them."""

    def __init__(self):
        self._offer = None
        self._looked_up = None  # the session whose images were looked up
        self.store.looked_up.connect(self._on_looked_up)
        self.store.failed.connect(self._on_look_up_failed)
        self.store.saved.connect(self._on_saved)
        self.offer_bar.accepted.connect(self.take_offer)
        self.files.export_asked.connect(self.export_labels)
        self.files.read_asked.connect(self.read_labels_back)
        self.files.exported.connect(self._on_exported)
        self.files.read_back.connect(self._on_read_back)
        self.files.failed.connect(self._on_file_failed)

    def make_bar(self) -> None:
        """Put the bar that offers an autosave above the view."""
        self.offer_bar = OfferBar()
        self.mainArea.layout().addWidget(self.offer_bar)

    def _look_up(self) -> None:
        """Find out, in a thread, what is known about the images."""
        # What is being made is out of date.
        self.stop_outputs()
        self.invalidate_outputs()
        self.store.look_up(self._sources, self._known)

    def _on_looked_up(self, result: LookedUp) -> None:
        session, known = self.session, result.known
        if self._looked_up is not session:
            # Only once: when known labels alone have come, steps can be undone.
            self._looked_up = session
            self._take_before(result)
        n_known = session.take(
            result.known_classes, known.names, text="Take over known labels"
        )
        self._warn(result)
        self._show_offer(result)
        if n_known:
            self.store.keep(session, self._sources)
        self.commit.now()
        self.show_state()
        self.begin_round()

    def _take_before(self, result: LookedUp) -> None:
        """Take over what was remembered, renamed as the user has done meanwhile."""
        session, found = self.session, result.found
        new = self.store.new_names(session)
        classes = [given for given in result.record.classes if given.name not in new]
        names = {image: new.get(name, name) for image, name in found.names.items()}
        session.take(classes, names, found.skipped)
        self.store.add_absent((), session)
        # Undo must not take away what was labelled long ago.
        session.forget_steps()

    def _warn(self, result: LookedUp) -> None:
        self.Warning.files_changed.clear()
        changed = len(result.found.changed)
        if changed:
            self.Warning.files_changed(
                f"{changed:,} {pl(changed, 'image file')} {pl(changed, 'has|have')}"
            )
        if result.damaged:
            self.Warning.autosave_damaged(", ".join(result.damaged))

    def _show_offer(self, result: LookedUp) -> None:
        if result.offer is not None:
            self._offer = result.offer, self._sources
            record = result.offer.record
            self.offer_bar.offer(len(result.offer.found.names), record.changed)

    def take_offer(self) -> None:
        """Take over the labels of an autosave; this can be undone."""
        offer, sources = self._offer
        self._offer = None
        if sources is not self._sources:  # there are other images by now
            return
        found = offer.found
        self.session.take(
            offer.record.classes,
            found.names,
            found.skipped,
            "Take over autosaved labels",
            overwrite=True,
        )
        self.store.take_offer(offer, self.session)
        self.labels_changed()
        self.begin_round()

    def _on_look_up_failed(self, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self.Error.unexpected_error(str(error) or type(error).__name__)
        self.commit.now()
        self.begin_round()

    def _on_saved(self, result) -> None:
        self.Warning.not_autosaved.clear()
        if not isinstance(result, Record):
            self.Warning.not_autosaved(str(result))

    # Files

    def export_labels(self) -> None:
        """Let the user choose a file, and write the labels to it."""
        path = self.files.ask_path_to_write()
        if path:
            self._clear_file_messages()
            self.files.write(path, self.export_contents())

    def export_contents(self) -> Contents:
        """What is exported."""
        cells = []
        if self.image_attr is not None:
            values = self.data.get_column(self.image_attr)[self._rows]
            cells = [self.image_attr.str_val(value) for value in values]
        return Contents(
            self.session.copy(),
            self.proposals,
            self._sources,
            cells,
            self.store.absent(self.session),
        )

    def read_labels_back(self) -> None:
        """Let the user choose a file, and take over its labels."""
        path = self.files.ask_path_to_read()
        if path:
            self._clear_file_messages()
            self._read(path)

    def _read(self, path: str) -> None:
        origin = ""
        if self.image_attr is not None:
            origin = str(self.image_attr.attributes.get("origin") or "")
        self.files.read(path, self._sources, origin)

    def _clear_file_messages(self) -> None:
        self.Error.file_error.clear()
        self.Information.done.clear()

    def _on_exported(self, result: Exported) -> None:
        n_rows = result.n_rows
        self.Information.done(
            f"{n_rows:,} {pl(n_rows, 'label')} written to {result.path}."
        )

    def _on_read_back(self, result: ReadBack) -> None:
        if result.sources is not self._sources:  # other images have come meanwhile
            # Nothing may be started here.
            QTimer.singleShot(0, lambda: self._read(result.path))
            return
        found = result.found
        text = "Read labels back"
        n_taken = self.session.take((), found.names, text=text, overwrite=True)
        self.store.add_absent(found.absent, self.session)
        parts = [f"{n_taken:,} {pl(n_taken, 'label')} taken from {result.path}"]
        if found.absent:
            parts.append(f"{len(found.absent):,} of images that are not in the data")
        if result.n_left_out:
            parts.append(f"{result.n_left_out:,} rows left out (proposed or empty)")
        self.Information.done("; ".join(parts) + ".")
        self.labels_changed()
        self.begin_round()

    def _on_file_failed(self, message: str) -> None:
        self.Error.file_error(message)

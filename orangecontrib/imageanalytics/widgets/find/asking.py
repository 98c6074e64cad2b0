"""What is looked for in Find Images: how the user says it, and how it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from Orange.data import DiscreteVariable, Table

from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.clip_networks import SIGMOID
from orangecontrib.imageanalytics.widgets.find.examplestrip import dropped_files
from orangecontrib.imageanalytics.widgets.find.question import (
    FIND,
    SORT,
    Example,
    Question,
    Sorting,
    descriptions_of,
    examples_located,
    examples_to_save,
)
from orangecontrib.imageanalytics.widgets.utils.background import Background
from orangecontrib.imageanalytics.widgets.utils.imagecolumns import (
    likely_image_columns,
)


class AskingMixin:
    """
    The part of `OWFindImages` that deals with words, examples and classes.

    The widget has the settings ``mode``, ``descriptions``, ``examples``,
    ``class_names``, ``templates`` and ``other_below``, and the `FindPanel` in the
    attribute ``panel``.
    """

    def _init_asking(self) -> None:
        self._like: Table | None = None
        self._like_column: str | None = None
        self._like_sources: list[str] = []
        self._locating = Background(self, self._on_located, self._on_not_located)

    def _begin_asking(self) -> None:
        """Show what the settings say, and follow what the user does."""
        panel = self.panel
        panel.lines.set_lines(self.descriptions)
        panel.classes.set_names(self.class_names)
        panel.classes.set_templates(self.templates)
        self._show_mode()
        self._show_examples()
        panel.mode_chosen.connect(self._on_mode_chosen)
        panel.lines.changed.connect(self._on_descriptions_changed)
        panel.lines.entered.connect(lambda: self._ask_anew())
        panel.strip.more_asked.connect(lambda: self.more_like(self.chosen_rows()))
        panel.strip.files_chosen.connect(self.add_examples)
        panel.strip.removed.connect(self.remove_examples)
        panel.classes.changed.connect(self._on_classes_changed)
        panel.classes.classes_asked.connect(self._use_classes_of_data)
        panel.offer.chosen.connect(self.network.use)
        self.network.updated.connect(self.show_question)
        self.setAcceptDrops(True)
        self.show_question()
        self._locate_examples()

    def stop_asking(self) -> None:
        """Stop what runs in threads, permanently."""
        self._locating.cancel()
        self.panel.strip.close_loader()

    # What is looked for

    def question(self) -> Question | Sorting:
        """What is looked for, so far as the network can answer it."""
        network = self.finder.network
        knows = network.knows_words
        if self.mode == SORT:
            below = self.other_below or None
            names = tuple(self.class_names) if knows else ()
            # With the sigmoid, an image may be in no class, even if there is one only.
            is_sigmoid = knows and network.scoring == SIGMOID
            return Sorting(names, self.templates, below, 1 if is_sigmoid else 2)
        return Question(
            descriptions_of(self.descriptions) if knows else (),
            # Without the workflow's folder, it is unknown where some are.
            tuple(source for source, _, _ in self.examples if source),
            self._like if self._like_sources else None,
            self._like_column,
        )

    def question_items(self) -> list[tuple[str, object]]:
        """What is looked for, for the report."""
        if self.mode == SORT:
            return [
                ("Classes", ", ".join(self.class_names) or False),
                (
                    "Other",
                    f"below {self.other_below:.0%}" if self.other_below else False,
                ),
            ]
        words = "; ".join(map(str, descriptions_of(self.descriptions)))
        count = len(self.examples) + len(self._like_sources)
        return [
            ("Descriptions", words or False),
            ("Examples", f"{count:,}" if count else False),
            ("Matches", self.matches.report()),
        ]

    def _needs_words(self) -> bool:
        return self.mode == SORT or bool(descriptions_of(self.descriptions))

    def show_question(self) -> None:
        """Say so if the network cannot answer it, and offer others."""
        facts = self.network.facts
        unknown = facts is not None and not facts.network.knows_words
        if not (unknown and self._needs_words()):
            self.panel.offer.hide()
            self.Warning.no_words.clear()
            return
        has_examples = bool(self.examples or self._like_sources)
        name = facts.network.name
        self.panel.offer.offer(name, self.mode == FIND and has_examples)
        self.Warning.no_words(name)

    @property
    def is_locating(self) -> bool:
        """Whether examples are looked for beside the workflow."""
        return self._locating.busy

    def _ask_anew(self, at_once: bool = True) -> None:
        """Something else is looked for: the selection was about what it was before."""
        self.selected_items = set()
        self.show_question()
        self.ask(at_once)

    # Words and classes

    def _show_mode(self) -> None:
        self.panel.show_mode(self.mode)
        self.matches.show_sorting(self.mode == SORT)

    def _on_mode_chosen(self, mode: str) -> None:
        if mode != self.mode:
            self.mode = mode
            self._show_mode()
            self._ask_anew()

    def _on_descriptions_changed(self) -> None:
        before = descriptions_of(self.descriptions)
        self.descriptions = self.panel.lines.lines
        if descriptions_of(self.descriptions) != before:
            self._ask_anew(at_once=False)

    def _on_classes_changed(self) -> None:
        classes = self.panel.classes
        before = self.class_names, self.templates
        self.class_names, self.templates = classes.names, classes.templates
        if (self.class_names, self.templates) != before:
            self._ask_anew(at_once=False)

    def offer_classes(self) -> None:
        """Offer the classes that the data has, if it has some."""
        class_var = None if self.data is None else self.data.domain.class_var
        is_discrete = isinstance(class_var, DiscreteVariable)
        self.panel.classes.offer_classes(class_var.values if is_discrete else ())

    def _use_classes_of_data(self) -> None:
        self.panel.classes.set_names(self.data.domain.class_var.values)

    # Examples

    def set_like(self, data: Table | None) -> None:
        """Look for images like those of a table, too."""
        self._like = data or None
        self.find_like()

    def find_like(self) -> None:
        """Find the column of the examples: of several, that of the images' name."""
        self.Warning.no_example_column.clear()
        self._like_column, self._like_sources = None, []
        names = []
        if self._like is not None:
            names = [column.name for column in likely_image_columns(self._like)]
        if names:
            own = None if self.image_attr is None else self.image_attr.name
            self._like_column = own if own in names else names[0]
            sources = column_sources(self._like, self._like_column)
            self._like_sources = [source for source in sources if source is not None]
        elif self._like is not None:
            self.Warning.no_example_column()
        self._show_examples()
        self.show_question()

    def more_like(self, places: Sequence[int]) -> None:
        """Use images of the view as examples, too."""
        model = self.view.model()
        self.add_examples([model.source(place) for place in places])

    def add_examples(self, sources: Iterable[str]) -> None:
        """Look for images like these, too."""
        known = {source for source, _, _ in self.examples}
        new = [source for source in dict.fromkeys(sources) if source not in known]
        if new:
            self._set_examples([*self.examples, *((s, "", "") for s in new)])

    def remove_examples(self, rows: Sequence[int]) -> None:
        """Look no more for images like some of the examples."""
        kept = [e for row, e in enumerate(self.examples) if row not in set(rows)]
        self._set_examples(kept)

    def _set_examples(self, examples: list[Example]) -> None:
        self.examples = examples
        self._show_examples()
        if self.mode == SORT:
            self._on_mode_chosen(FIND)
        else:
            self._ask_anew()

    def _show_examples(self) -> None:
        self.panel.strip.set_examples(
            [source or relpath for source, _, relpath in self.examples],
            self._like_sources,
            self.intensity_of(self.image_attr),
        )

    def enable_more(self) -> None:
        """Offer to use images as examples if there are any to use."""
        self.panel.strip.enable_more(bool(self.chosen_rows()))

    # Examples beside a workflow

    def examples_to_save(self) -> list[Example]:
        """The examples, with their places beside the workflow."""
        return examples_to_save(self.examples, self.network.places())

    def _locate_examples(self) -> None:
        if any(relpath for _, _, relpath in self.examples):
            self._locating.start(
                examples_located, list(self.examples), self.network.places()
            )

    def _on_located(self, examples: list[Example]) -> None:
        self.examples = examples
        self._show_examples()
        if self.task is None:
            self.setInvalidated(False)
        self.ask()

    def _on_not_located(self, error: Exception) -> None:
        raise error  # nothing in there should fail

    # Drag and drop

    def dragEnterEvent(self, event) -> None:
        """Accept files."""
        event.setAccepted(bool(dropped_files(event.mimeData())))

    def dragMoveEvent(self, event) -> None:
        """Other drags did not enter."""
        event.accept()

    def dropEvent(self, event) -> None:
        """Use files as examples."""
        files = dropped_files(event.mimeData())
        event.setAccepted(bool(files))
        if files:
            self.add_examples(files)

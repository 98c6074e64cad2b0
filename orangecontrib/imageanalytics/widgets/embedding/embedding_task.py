"""The work of Image Embedding, which runs in a thread."""

import contextlib
import dataclasses
import os
import sys
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.engine.device import choose_device
from orangecontrib.imageanalytics.errors import (
    Cancelled,
    ModelError,
    TrustNeededError,
)
from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.files import trust
from orangecontrib.imageanalytics.networks.network import (
    JOINT,
    LOGITS,
    PENULTIMATE,
    Network,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import (
    Choice,
    Facts,
    look_up,
)

STATUS_SECONDS = 0.5  # between two changes of the text
RATE_SECONDS = 10  # over which the speed is measured


@dataclass(frozen=True, kw_only=True)
class NetworkTask:
    """A table of images, and the network to run on them."""

    data: Table
    column: Variable
    choice: Choice
    agreed: frozenset[str] = frozenset()  # networks that may be downloaded
    places: tuple[tuple[str, str], ...] = ()  # where the workflow is
    vouched: TrustNeededError | None = None  # what the user has agreed to open


@dataclass(frozen=True, kw_only=True)
class Task(NetworkTask):
    """What to embed, and how."""

    #: Fields of `EmbeddingSpec`, as arguments of `ImageEmbedder`
    options: Mapping[str, object] = field(default_factory=dict)
    device: str = "auto"

    @property
    def layer(self) -> str:
        """The chosen layer; empty for the default."""
        return self.options.get("layer") or ""


@dataclass(frozen=True)
class Progress:
    """The progress: a text, a fraction (None: unknown), and the device once known."""

    text: str
    fraction: float | None = None
    device: str = ""


@dataclass(frozen=True)
class Result:
    """The result; `skipped_images` are images and reasons."""

    facts: Facts
    embedded: Table | None
    skipped: Table | None
    skipped_images: list[tuple[str, str]]
    device: str
    seconds: float
    n_cached: int
    no_gpu: str = ""
    gpu_failed: str = ""
    layer: str = ""
    missing_layer: str = ""
    stages: tuple[str, ...] | None = None  # where they had to be looked up
    n_features: int | None = None  # where there are vectors


def embed(task: Task, state) -> Result | Facts:
    """Run in a thread: the whole work.

    Returns
    -------
    Result or Facts
        Facts if the network has to be downloaded and the user has not agreed to it.
    """
    with saying_where_else(task):
        return _embed(task, state)


@contextlib.contextmanager
def saying_where_else(task: NetworkTask):
    """Say of the missing file of a network where the workflow expects it.

    Raises
    ------
    ModelError
    """
    try:
        yield
    except ModelError as error:
        choice = task.choice
        if choice.is_file and not os.path.exists(choice.model):
            raise ModelError(_say_where_else(str(error), task)) from error
        raise


def _say_where_else(text, task) -> str:
    beside = task.choice.beside_workflow(task.places)
    if beside and beside not in text:
        text += f" The workflow expects it at {beside}."
    return f"{text} Choose it again with Other…"


def _embed(task, state):
    progress = Reporter(task.choice.label, len(task.data), state)
    facts = find(task, progress)
    # Before the download, which may turn out not to be wanted then.
    stages = facts.network.stages() if _needs_stages(task, facts) else None
    layer, missing_layer = _find_layer(task, facts.network, stages)
    options = {**task.options, "layer": layer or None}
    facts = download(facts, task, progress)
    if facts.must_download:
        return facts
    progress.say("Starting the network…")
    device, no_gpu = _find_device(task.device)
    with ImageEmbedder(facts.network, device=device, **options) as embedder:
        progress.device = first_device = embedder.device
        embedded, skipped, _ = embedder(task.data, task.column, progress.embedding)
        statistics = embedder.statistics
        changed = statistics.device != first_device
        return Result(
            facts=facts,
            embedded=embedded,
            skipped=skipped,
            skipped_images=_reasons(skipped, task.column, embedder.failures),
            device=statistics.device,
            seconds=statistics.seconds,
            n_cached=statistics.n_cached,
            no_gpu=no_gpu,
            gpu_failed=first_device if changed else "",
            layer=task.layer,
            missing_layer=missing_layer,
            stages=stages,
            n_features=_n_features(embedded, task.data),
        )


def find(task: NetworkTask, progress: "Reporter") -> Facts:
    """Look up the network of a task, and show what is known about it.

    Raises
    ------
    ModelError, ValueError
        As `look_up`.
    """
    if task.vouched is not None:
        trust.vouch(task.vouched.sha256, task.vouched.path)
    progress.say("Looking up the network…")
    facts = look_up(task.choice)
    progress.show(facts)
    return facts


def download(facts: Facts, task: NetworkTask, progress: "Reporter") -> Facts:
    """Download a network, if it is not on this computer and the user has agreed.

    Returns
    -------
    Facts
        Those that hold then.

    Raises
    ------
    ModelError
        When it cannot be downloaded.
    """
    if not facts.must_download or facts.network.id not in task.agreed:
        return facts
    progress.megabytes = facts.megabytes
    ImageEmbedder.download(facts.network, progress.downloading)
    return dataclasses.replace(facts, available=True)


def _n_features(embedded: Table | None, data: Table) -> int | None:
    if embedded is None:
        return None
    return len(embedded.domain.attributes) - len(data.domain.attributes)


def _needs_stages(task: Task, facts: Facts) -> bool:
    named = "", PENULTIMATE, LOGITS, JOINT
    return facts.network.has_layers and task.layer not in named


def _find_layer(task: Task, network: Network, stages) -> tuple[str, str]:
    """The layer to use, and the requested layer if the network does not have it."""
    layer = task.layer
    if not network.has_layers:
        # Asked for, class scores are in columns with the names of the classes.
        return LOGITS if network.classes else "", layer
    if layer == LOGITS:
        exists = network.has_classifier
    elif layer == JOINT:
        exists = network.knows_words
    else:
        exists = stages is None or layer in stages
    return (layer, "") if exists else ("", layer)


def _find_device(choice: str) -> tuple[str, str]:
    """Torch's name of the device, and why a requested GPU is not available."""
    if choice != "gpu":
        return choice, ""
    gpu = "mps" if sys.platform == "darwin" else "cuda"
    try:
        choose_device(gpu)
    except ValueError as error:
        return "cpu", str(error)
    return gpu, ""


def _reasons(skipped, column, failures) -> list[tuple[str, str]]:
    return [] if skipped is None else reasons(column_sources(skipped, column), failures)


def reasons(
    skipped: Iterable[str | None], failures: Mapping[str, str]
) -> list[tuple[str, str]]:
    """Images that were skipped, each with the reason."""
    return [
        (source or "(missing)", failures.get(source, "no image is named"))
        for source in skipped
    ]


class Reporter:
    """Reports progress to the widget; stops the work when it is cancelled."""

    def __init__(self, name, total, state):
        self.device = ""
        self.megabytes = float("nan")
        self._name = name
        self._total = total
        self._state = state
        self._said = -STATUS_SECONDS
        self._history = deque()

    def show(self, result):
        """Pass a partial result to the widget.

        Raises
        ------
        Cancelled
            When the widget does not want the result any more.
        """
        # It may be gone, and with it the signals of the state.
        if self._state.is_interruption_requested():
            raise Cancelled
        self._state.set_partial_result(result)

    def say(self, text, fraction=None):
        """Show a text, unless the last one has just been shown.

        Raises
        ------
        Cancelled
            When the widget does not want the result any more.
        """
        if self._state.is_interruption_requested():
            raise Cancelled
        now = time.monotonic()
        if fraction is None or now - self._said >= STATUS_SECONDS:
            self._said = now
            self._state.set_status(text)
            self.show(Progress(text, fraction, self.device))

    def downloading(self, fraction):
        """Report how much of the weights has been downloaded."""
        total = self.megabytes
        # Not a number: unknown until the download has begun.
        done = f"{fraction:.0%}"
        if total == total:
            done = f"{fraction * total:,.0f} of {total:,.0f} MB"
        self.say(f"Downloading {self._name}: {done}", fraction)

    def embedding(self, fraction):
        """Report how many images are done."""
        done = round(fraction * self._total)
        text = f"{done:,} of {self._total:,} images"
        if rate := self._rate(done):
            left = duration((self._total - done) / rate)
            text += f", {rate:,.{0 if rate >= 10 else 1}f}/s, {left} left"
        self.say(text, fraction)
        self._state.set_progress_value(100 * fraction)

    def _rate(self, done) -> float:
        """Recent speed in images per second; 0 at the start."""
        now = time.monotonic()
        history = self._history
        history.append((now, done))
        while len(history) > 2 and now - history[1][0] > RATE_SECONDS:
            history.popleft()
        start, before = history[0]
        return (done - before) / (now - start) if now - start > STATUS_SECONDS else 0


def duration(seconds: float) -> str:
    """A duration in words."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s" if minutes < 10 else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"

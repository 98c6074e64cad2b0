"""The vectors of the images that are searched, computed in a thread."""

from __future__ import annotations

from dataclasses import dataclass

from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.find_images import (
    ImageVectors,
    LazyEmbedder,
    choose_spec,
)
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.widgets.embedding import embedding_task
from orangecontrib.imageanalytics.widgets.embedding.embedding_task import (
    NetworkTask,
    Reporter,
)
from orangecontrib.imageanalytics.widgets.embedding.network_choice import Facts


@dataclass(frozen=True)
class Vectors:
    """
    Images with their vectors: all that is needed to search them.

    Attributes
    ----------
    task : NetworkTask
        The table and its column of images.
    facts : Facts
        What is known about the network.
    images : ImageVectors
    rows : dict of str to int
        For each source that has a vector, a row of the table.
    skipped : list of (str, str)
        Images without a vector, and why.
    """

    task: NetworkTask
    facts: Facts
    images: ImageVectors
    rows: dict[str, int]
    skipped: list[tuple[str, str]]

    @property
    def n_images(self) -> int:
        """The number of images with a vector."""
        return int((self.images.rows >= 0).sum())


def embed_images(task: NetworkTask, state) -> Vectors | Facts:
    """Run in a thread: find or compute the vectors of the images of a table.

    Returns
    -------
    Vectors or Facts
        Facts if the network has to be downloaded and the user has not agreed to it.
    """
    with embedding_task.saying_where_else(task):
        progress = Reporter(task.choice.label, len(task.data), state)
        facts = embedding_task.find(task, progress)
        facts = embedding_task.download(facts, task, progress)
        progress.say("Starting the network…")
        try:
            return _embed(task, facts, progress)
        except ModelError:
            # Vectors that the table has need no network.
            if facts.must_download:
                return facts
            raise


def _embed(task: NetworkTask, facts: Facts, progress: Reporter) -> Vectors:
    network, failures = facts.network, {}
    spec = choose_spec(task.data, task.column, network, words=network.knows_words)
    with LazyEmbedder(spec, may_download=False) as embedder:
        images = embedder.table(
            task.data, task.column, progress.embedding, failures=failures
        )
    known, skipped = {}, []
    sources = column_sources(task.data, task.column)
    for row, (source, place) in enumerate(
        zip(sources, images.rows.tolist(), strict=True)
    ):
        if place >= 0:
            known[source] = row
        else:
            skipped.append(source)
    return Vectors(
        task=task,
        facts=facts,
        images=images,
        rows=known,
        skipped=embedding_task.reasons(skipped, failures),
    )

"""What Load Vectors does in a thread."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from Orange.data import Table
from Orange.widgets.utils.filedialogs import RecentPath

from orangecontrib.imageanalytics.images.sources import (
    column_sources,
    is_file,
    stamp,
)
from orangecontrib.imageanalytics.vector_files.dataset import VectorDataset
from orangecontrib.imageanalytics.vector_files.reading import (
    Loaded,
    free_memory,
    load,
)
from orangecontrib.imageanalytics.widgets.folders.recent_folders import (
    Places,
    located,
)
from orangecontrib.imageanalytics.widgets.utils.threads import progress_reporter

# How many images are looked for after loading.
_TRIED = 5


@dataclass
class Found:
    """
    What there is.

    Attributes
    ----------
    recent : list of RecentPath
        Where it is on this computer.
    dataset : VectorDataset
    n_categories : int or None
        None if it is not known before all is read.
    images : str
        The folder or address of the images; empty if their paths are complete.
    """

    recent: list[RecentPath]
    dataset: VectorDataset
    n_categories: int | None
    images: str


@dataclass
class Result:
    """
    What was loaded.

    Attributes
    ----------
    loaded : Loaded
    missing_image : str
        Path of an image that is not there; empty if images were found.
    skipped : list of (str, str)
        Images without vectors, and the reasons.
    """

    loaded: Loaded
    missing_image: str
    skipped: list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """
    What to load.

    Attributes
    ----------
    sample : int or None
        Size of the sample; None for all rows.
    seed : int
    images : str
        The folder of the images; empty, or one that does not exist, for the one that
        the dataset tells.
    """

    sample: int | None
    seed: int
    images: str

    def n_bytes(self, dataset: VectorDataset) -> int:
        """The memory that this takes."""
        n_rows = dataset.n_rows - (dataset.n_failed or 0)
        if self.sample is not None:
            n_rows = min(n_rows, self.sample)
        return dataset.table_bytes(n_rows)


def find(
    recent: Sequence[RecentPath], places: Places, request: Request | None, state
) -> Found | Result:
    """Run in a thread: find out what a file or folder contains, and load it.

    The first is a partial result. It is also the only one if there is no request, or
    not enough memory.
    """
    recent = located(recent, places)
    dataset = VectorDataset(recent[0].abspath, progress_reporter(state))
    found = Found(recent, dataset, dataset.count_categories(), dataset.find_images())
    if request is None or request.n_bytes(dataset) > free_memory():
        return found
    state.set_partial_result(found)
    return read(dataset, request, state)


def read(dataset: VectorDataset, request: Request, state) -> Result:
    """Run in a thread: load all rows or a sample of them."""
    loaded = load(
        dataset,
        sample=request.sample,
        seed=request.seed,
        callback=progress_reporter(state),
        images=request.images if os.path.isdir(request.images) else None,
    )
    return Result(loaded, _missing_image(loaded.table), _list(loaded.skipped))


def _missing_image(table: Table) -> str:
    """The first of some images, if none of these is there."""
    if "image" not in table.domain or not len(table):
        return ""
    some = table[:: max(1, len(table) // _TRIED)][:_TRIED]
    sources = [source for source in column_sources(some, "image") if source]
    if not sources or any(not is_file(source) or stamp(source) for source in sources):
        return ""
    return sources[0]


def _list(skipped: Table | None) -> list[tuple[str, str]]:
    if skipped is None:
        return []
    reasons = map(str, skipped.get_column("error"))
    if "image" not in skipped.domain:
        return [("", reason) for reason in reasons]
    sources = [source or "" for source in column_sources(skipped, "image")]
    return list(zip(sources, reasons, strict=True))

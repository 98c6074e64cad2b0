"""Read, encode and write images; the work can be stopped."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

from Orange.data import Table, Variable

from orangecontrib.imageanalytics.engine.device import processors
from orangecontrib.imageanalytics.errors import ImageError
from orangecontrib.imageanalytics.images import helper
from orangecontrib.imageanalytics.images.fetch import Fetcher
from orangecontrib.imageanalytics.images.intensity import column_intensity
from orangecontrib.imageanalytics.images.sources import (
    image_column,
    is_remote,
    opened,
    path_of,
    split_page,
)
from orangecontrib.imageanalytics.networks.registry import find_network
from orangecontrib.imageanalytics.save_images.encoding import (
    Encoding,
    find_format,
)
from orangecontrib.imageanalytics.save_images.plan import Item, Plan
from orangecontrib.imageanalytics.save_images.progress import (
    TICK_SECONDS,
    Callback,
    watched,
)
from orangecontrib.imageanalytics.save_images.writing import (
    identity,
    is_own_subfolder,
    problem,
    write,
)

log = logging.getLogger(__name__)

EXISTING = ("skip", "rename", "overwrite")

MOST_THREADS = 8  # each may hold a large image


@dataclass(frozen=True)
class _Outcome:
    """The result for an image: only `source` and `path` if it was saved."""

    source: str
    path: str = ""
    reason: str = ""
    existed: bool = False


class Saving:
    """Saves the images of a table into a folder; can be stopped and continued.

    Nothing is deleted, and nothing is written outside the folder. Each file is
    written under a temporary name and then renamed, so that files are never left
    half-written. An image that cannot be saved does not stop the others.

    Parameters
    ----------
    data : Table
        One image a row.
    folder : str
        Created if it does not exist.
    column : str or Variable, optional
        The column with paths or URLs; by default the first of `image_columns`.
    names : str or Variable, optional
        The column with the names of the files. By default, and where values are
        missing, files are named like the images. Equal names get a number.
    subfolders : str, Variable or bool
        The categorical column that has a subfolder for each value: True for the
        class, False for none. Images without a value go into the folder itself.
    format, quality, fit
        As in `Encoding`.
    size : (int, int), str or None
        As in `Encoding`, or the name of a network, for its input size.
    existing : {"skip", "rename", "overwrite"}
        What to do with existing files that this object did not write. Can be
        changed until the first call. The images of the table are never
        overwritten.
    callback : callable, optional
        Called several times a second, while names are chosen, with the number of rows
        done and the number of all rows. An exception that it raises ends this.

    Attributes
    ----------
    total : int
        Number of rows.

    Raises
    ------
    ValueError
        If an argument is not one of these.
    """

    def __init__(
        self,
        data: Table,
        folder: str,
        column: str | Variable | None = None,
        names: str | Variable | None = None,
        *,
        subfolders: str | Variable | bool = True,
        format: str = "png",
        quality: int = 90,
        size: tuple[int, int] | str | None = None,
        fit: str = "keep",
        existing: str = "skip",
        callback: Callback | None = None,
    ):
        if existing not in EXISTING:
            raise ValueError(f"'{existing}' should be one of: {', '.join(EXISTING)}")
        if isinstance(size, str):
            size = (find_network(size).input_size,) * 2
        self.existing = existing
        self.folder = os.path.abspath(folder)
        self.total = len(data)
        column = image_column(data, column)
        intensity = column_intensity(data.domain[column])
        self._encoding = Encoding(format, quality, size, fit, intensity)
        self._running = threading.Lock()
        self._protected: set[tuple[int, int] | None] | None = None
        self._plan = Plan(
            data, column, names, subfolders, find_format(format).extension, callback
        )
        self._left = dict(self._plan.items)
        self._outcomes = {
            row: _Outcome("(missing)", reason="no image is named")
            for row in self._plan.missing
        }

    @property
    def saved(self) -> list[tuple[str, str]]:
        """Source and path of each file written, in the order of rows."""
        outcomes = self._in_order()
        return [(o.source, o.path) for o in outcomes if not o.existed and not o.reason]

    @property
    def skipped(self) -> list[tuple[str, str]]:
        """Source and path of each image whose file existed and was kept."""
        return [(o.source, o.path) for o in self._in_order() if o.existed]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Source and reason of each image that could not be saved."""
        return [(o.source, o.reason) for o in self._in_order() if o.reason]

    @property
    def n_left(self) -> int:
        """Number of images that have not been tried yet."""
        return len(self._left)

    def _in_order(self) -> list[_Outcome]:
        return [self._outcomes[row] for row in sorted(self._outcomes)]

    def n_existing(self, callback: Callback | None = None) -> int:
        """Number of remaining images whose file exists.

        Parameters
        ----------
        callback : callable, optional
            As in `Saving`, for files.
        """
        items = watched(list(self._left.values()), callback)
        return sum(os.path.lexists(self._path(item)) for item in items)

    def __call__(self, callback: Callback | None = None) -> None:
        """Save the remaining images.

        Parameters
        ----------
        callback : callable, optional
            Called in this thread, several times a second, with the number of images
            done and the number of all images. An exception that it raises stops the
            work; another call continues it.

        Raises
        ------
        OSError
            The folder cannot be created.
        """
        with self._running:
            os.makedirs(self.folder, exist_ok=True)
            if self.existing == "overwrite" and self._protected is None:
                self._protected = self._find_protected(callback)
            remote = any(is_remote(item.source) for item in self._left.values())
            with Fetcher() if remote else contextlib.nullcontext() as fetcher:
                self._run(fetcher, callback or (lambda n_done, n_all: None))

    def _run(self, fetcher: Fetcher | None, callback) -> None:
        n_threads = min(processors(), MOST_THREADS)
        waiting = iter(list(self._left.values()))
        stopped = threading.Event()
        running: set[Future] = set()
        threads: set[int] = set()
        with ThreadPoolExecutor(
            n_threads, "saving", lambda: threads.add(threading.get_ident())
        ) as pool:
            try:
                while True:
                    callback(self.total - len(self._left), self.total)
                    for item in itertools.islice(waiting, 2 * n_threads - len(running)):
                        running.add(pool.submit(self._try, item, fetcher, stopped))
                    if not running:
                        return
                    done, running = wait(
                        running, TICK_SECONDS, return_when=FIRST_COMPLETED
                    )
                    self._record(done)
            finally:
                stopped.set()
                helper.stop(threads)
                self._record(wait(running).done)

    def _record(self, futures: Iterable[Future]) -> None:
        for future in futures:
            row, outcome = future.result()
            if outcome is not None:
                self._outcomes[row] = outcome
                del self._left[row]

    def _try(self, item: Item, fetcher, stopped) -> tuple[int, _Outcome | None]:
        """Run in a thread: the outcome for a row; None if it has to be tried again."""
        try:
            return item.row, self._save(item, fetcher, stopped)
        except ImageError as error:
            if stopped.is_set():  # perhaps for that reason alone
                return item.row, None
            reason = str(error)
        except MemoryError:
            reason = "not enough memory"
        except Exception as error:
            log.exception("Saving %s failed", item.source)
            reason = f"unexpected error ({type(error).__name__})"
        return item.row, _Outcome(item.source, reason=reason)

    def _save(self, item: Item, fetcher, stopped) -> _Outcome | None:
        path = self._path(item)
        if self.existing == "skip" and os.path.lexists(path):
            return _Outcome(item.source, path, existed=True)
        content = None
        if is_remote(item.source):
            content = fetcher.fetch(split_page(item.source)[0], stopped)
        if stopped.is_set():
            return None
        with opened(item.source, content) as (readable, page):
            content = self._encoding(readable, page)
        try:
            return self._write(item, content)
        except OSError as error:
            raise ImageError(problem(error, path)) from error

    def _path(self, item: Item) -> str:
        return os.path.join(self.folder, item.subfolder, item.name)

    def _write(self, item: Item, content: bytes) -> _Outcome:
        path = self._path(item)
        folder = os.path.dirname(path)
        os.makedirs(folder, exist_ok=True)
        self._check_place(item, path)
        overwrite = self.existing == "overwrite"
        rename = partial(self._other_path, item) if self.existing == "rename" else None
        written = write(content, path, overwrite=overwrite, rename=rename)
        # If nothing was written, another program has just made a file of this name.
        return _Outcome(item.source, written or path, existed=written is None)

    def _other_path(self, item: Item) -> str:
        name = self._plan.other_name(item)
        return os.path.join(self.folder, item.subfolder, name)

    def _check_place(self, item: Item, path: str) -> None:
        if item.subfolder and not is_own_subfolder(os.path.dirname(path), self.folder):
            raise ImageError(f"the folder {item.subfolder} is a link to elsewhere")
        if self.existing == "overwrite":
            if os.path.isdir(path):
                raise ImageError(f"there is a folder named {item.name}")
            if (found := identity(path)) and found in self._protected:
                raise ImageError("it would replace an image of the data")

    def _find_protected(self, callback) -> set[tuple[int, int] | None]:
        """Identities of the images of the table."""
        sources = (item.source for item in self._plan.items.values())
        files = set(filter(None, map(path_of, sources)))

        def tell(_n_done, _n_all):
            if callback is not None:
                callback(self.total - len(self._left), self.total)

        return {identity(file) for file in watched(list(files), tell)}


def save_images(data: Table, folder: str, *args, **options) -> Saving:
    """Save the images of a table as files.

    Parameters
    ----------
    data, folder, *args, **options
        As for `Saving`.

    Returns
    -------
    Saving
        With the results in ``saved``, ``skipped`` and ``failures``.

    Raises
    ------
    OSError
        The folder cannot be created.
    """
    saving = Saving(data, folder, *args, **options)
    saving()
    return saving


def count_reasons(failures: Iterable[tuple[str, str]], n_most: int = 3) -> str:
    """The most common reasons why images were not saved, in one line."""
    counts = Counter(reason for _, reason in failures).most_common()
    texts = [f"{reason} ({count:,})" for reason, count in counts[:n_most]]
    return "; ".join(texts + ["..."] * (len(counts) > n_most))

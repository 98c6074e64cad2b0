"""The run of a job: hand out parts, take results, and find images that kill.

The client holds a few parts for each worker, whatever the number of images. Vectors
never come here: workers write them.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from distributed import Client, Future, KilledWorker

from orangecontrib.imageanalytics.distributed import worker
from orangecontrib.imageanalytics.distributed.job import Job, JobError
from orangecontrib.imageanalytics.distributed.listing import Listing, Part
from orangecontrib.imageanalytics.distributed.output import Output
from orangecontrib.imageanalytics.distributed.part_files import PartResult
from orangecontrib.imageanalytics.distributed.progress import Progress, Summary, Tally
from orangecontrib.imageanalytics.distributed.suspects import Suspect

TICK_SECONDS = 0.5
# One is computed while the next waits at the worker.
PARTS_PER_WORKER = 2
LOST_SECONDS = 15  # without the scheduler, until the run gives up


@dataclass
class _Task:
    """A task of the cluster, and what to do with its result."""

    part: Part
    future: Future
    take: Callable[[PartResult | int], None]
    on_death: Callable[[], None] | None


class Run:
    """
    Runs a job on a cluster, once.

    Parameters
    ----------
    client : distributed.Client
    job : Job
        With a portable specification.
    listing : Listing
    output : Output
    options : worker.Options
    finished : set of int
        Numbers of the parts that are there already.
    callback : callable
        Called several times a second with the `Progress`. An exception that it raises
        stops the run.
    """

    def __init__(
        self,
        client: Client,
        job: Job,
        listing: Listing,
        output: Output,
        options: worker.Options,
        finished: set[int],
        callback: Callable[[Progress], None],
    ):
        self._client, self._listing, self._output = client, listing, output
        self._finished, self._callback = finished, callback
        self._token = uuid.uuid4().hex[:8]
        self._plugin = worker.EmbeddingPlugin(
            f"image-embedding-{self._token}", job, output.address, options
        )
        self._tasks: dict[str, _Task] = {}
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._tally = Tally(len(finished))

    def __call__(self) -> Summary:
        """
        Compute all parts that are not there.

        Raises
        ------
        JobError
            When it cannot go on. Finished parts stay.
        """
        stop = threading.Event()
        with self._registered():
            self._tally = Tally(len(self._finished))
            self._tally.count(self._listing, stop)
            try:
                self._work()
            finally:
                stop.set()
                self._cancel()
        self._output.remove_unfinished()
        return self._summary()

    @contextlib.contextmanager
    def _registered(self) -> Iterator[None]:
        """The network in the workers, also in those that come later."""
        name = self._plugin.name
        self._client.register_plugin(self._plugin)
        self._client.subscribe_topic(name, lambda event: self._tally.hear(event))
        try:
            yield
        finally:
            if self._is_connected():
                with contextlib.suppress(OSError, RuntimeError):
                    self._client.unsubscribe_topic(name)
                    self._client.unregister_worker_plugin(name)

    def _work(self) -> None:
        parts = self._missing()
        is_more = True
        while is_more or self._tasks:
            while is_more and len(self._tasks) < self._most_tasks():
                part = next(parts, None)
                is_more = part is not None
                if is_more:
                    self._begin_part(part)
                    self._tick()
            self._collect()
            self._tick()

    def _missing(self) -> Iterator[Part]:
        return (
            part for part in self._listing.parts() if part.number not in self._finished
        )

    def _most_tasks(self) -> int:
        return PARTS_PER_WORKER * max(1, len(self._client.nthreads()))

    # Tasks --------------------------------------------------------------------------

    def _submit(self, label, function, part, *arguments, take, on_death=None) -> None:
        key = f"{label}-{self._token}"
        future = self._client.submit(
            function, self._plugin.name, part, *arguments, key=key, pure=False
        )
        self._tasks[key] = _Task(part, future, take, on_death)
        self._tally.begin(key)
        future.add_done_callback(lambda future: self._done.put(future.key))

    def _begin_part(self, part: Part) -> None:
        self._submit(
            _label(part),
            worker.embed_part,
            part,
            take=self._tally.add_part,
            on_death=functools.partial(self._suspect, part),
        )

    def _suspect(self, part: Part) -> None:
        """Begin to search a part that was there whenever its worker died."""
        suspect = Suspect(part)

        def split(n_rows: int) -> None:
            self._split(suspect, 0, n_rows)

        if part.shard is None:
            split(len(part.sources))
        else:
            label = f"count-{_label(part)}"
            self._submit(label, worker.count_rows, part, take=split)

    def _split(self, suspect: Suspect, start: int, stop: int) -> None:
        for piece in suspect.split(start, stop):
            self._submit(
                f"{_label(suspect.part)}.{piece[0]}.{piece[1]}",
                worker.embed_part,
                suspect.part,
                *piece,
                take=functools.partial(self._take_piece, suspect, piece),
                on_death=functools.partial(self._split, suspect, *piece),
            )
        self._join_if_solved(suspect)

    def _take_piece(self, suspect: Suspect, piece: tuple[int, int], _result) -> None:
        suspect.take(*piece)
        self._join_if_solved(suspect)

    def _join_if_solved(self, suspect: Suspect) -> None:
        if suspect.is_solved:
            part = suspect.part
            self._submit(
                f"join-{_label(part)}",
                worker.join_pieces,
                part,
                tuple(suspect.starts),
                tuple(suspect.killers),
                take=self._tally.add_part,
            )

    def _collect(self) -> None:
        """Wait a moment for finished tasks, and take all there are."""
        try:
            self._take(self._done.get(timeout=TICK_SECONDS))
            while True:
                self._take(self._done.get_nowait())
        except queue.Empty:
            pass

    def _take(self, key: str) -> None:
        task = self._tasks.pop(key, None)
        if task is None:
            return
        self._tally.end(key)
        future = task.future
        if future.status == "finished":
            task.take(future.result())
        elif future.status == "error":
            self._take_error(task, future.exception())
        else:  # cancelled or lost
            raise self._lost()

    def _take_error(self, task: _Task, error: BaseException) -> None:
        if isinstance(error, KilledWorker) and task.on_death is not None:
            task.on_death()
            return
        if isinstance(error, KilledWorker):
            raise JobError(
                f"{_label(task.part)}: the workers that joined its pieces were killed"
            ) from error
        raise _failure(task.part, error) from error

    def _tick(self) -> None:
        if not self._is_connected():
            self._wait_for_scheduler()
        self._callback(self._tally.progress())

    # The scheduler ------------------------------------------------------------------

    def _is_connected(self) -> bool:
        return self._client.status == "running"

    def _wait_for_scheduler(self) -> None:
        pause = threading.Event()
        for _ in range(int(LOST_SECONDS / TICK_SECONDS)):
            if self._is_connected():
                return
            pause.wait(TICK_SECONDS)
            self._callback(self._tally.progress())
        raise self._lost()

    def _lost(self) -> JobError:
        return JobError(
            "the Dask scheduler was lost, or somebody has cancelled the tasks. The "
            f"{self._tally.n_parts} parts that were written stay; run the same again "
            "to compute the others."
        )

    def _cancel(self) -> None:
        """Let the workers stop what nobody waits for any longer."""
        futures = [task.future for task in self._tasks.values()]
        self._tasks.clear()
        if futures and self._is_connected():
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._client.cancel(futures, force=True)

    def _summary(self) -> Summary:
        result = self._tally.result
        return Summary(
            output=self._output.address,
            parts=self._tally.n_parts,
            images=result.n_images,
            failed=result.n_failed,
            parts_before=len(self._finished),
            reasons=dict(result.reasons.most_common()),
            examples=result.examples,
            problems=list(self._listing.problems),
            seconds=self._tally.seconds,
        )


def _label(part: Part) -> str:
    return f"part-{part.number:05}"


def _failure(part: Part, error: BaseException) -> JobError:
    """The error for a part that could not be computed or written."""
    text = str(error) or type(error).__name__
    return JobError(f"{_label(part)} failed, and with it the run: {text}")

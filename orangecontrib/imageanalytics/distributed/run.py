"""The run of a job: hand out parts, take results, and find images that kill.

The client holds a few parts for each worker, whatever the number of images. Vectors
never come here: workers write them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
import uuid
from collections import deque
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
RESULT_SECONDS = 10

_UNKNOWN = object()


@dataclass
class _Task:
    """A task of the cluster, and what to do with its result."""

    part: Part  # without its images
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
            f"image-embedding-{self._token}", job, output.full_address, options
        )
        self._tasks: dict[str, _Task] = {}
        self._waiting: deque[Callable[[], None]] = deque()
        self._n_submitted = 0
        self._done: queue.SimpleQueue[str] = queue.SimpleQueue()

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
        self._tally = Tally(len(self._finished))  # with the time from here on
        self._client.subscribe_topic(name, self._tally.hear)
        try:
            yield
        finally:
            if self._is_connected():
                with contextlib.suppress(OSError, RuntimeError):
                    self._client.unsubscribe_topic(name)
                    self._client.unregister_worker_plugin(name)

    def _work(self) -> None:
        parts = self._missing()
        while self._fill(parts) or self._tasks:
            self._collect()
            self._tick()

    def _fill(self, parts: Iterator[Part]) -> bool:
        """Hand out tasks as long as workers can take some; whether more may follow."""
        most_tasks = self._most_tasks()
        while len(self._tasks) < most_tasks:
            if self._waiting:
                self._waiting.popleft()()
                continue
            part = next(parts, None)
            if part is None:
                return False
            self._begin_part(part)
            self._tick()
        return True

    def _missing(self) -> Iterator[Part]:
        return (
            part for part in self._listing.parts() if part.number not in self._finished
        )

    def _most_tasks(self) -> int:
        with contextlib.suppress(OSError):  # the scheduler may be lost
            self._tally.n_workers = len(self._client.nthreads())
        return PARTS_PER_WORKER * max(1, self._tally.n_workers)

    # Tasks --------------------------------------------------------------------------

    def _submit(self, label, function, part, *arguments, take, on_death=None) -> None:
        # No two tasks have the same key: Dask counts deaths by keys.
        self._n_submitted += 1
        key = f"{label}-{self._token}{self._n_submitted:08x}"
        future = self._client.submit(
            function, self._plugin.name, part, *arguments, key=key, pure=False
        )
        self._tasks[key] = _Task(part, future, take, on_death)
        self._tally.begin(key)
        self._call_when_done(future)

    def _call_when_done(self, future: Future) -> None:
        future.add_done_callback(lambda future: self._done.put(future.key))

    def _begin_part(self, part: Part) -> None:
        self._output.write_list(part)
        n_rows = len(part.sources)
        part = dataclasses.replace(part, sources=(), categories=())
        self._submit(
            _label(part),
            worker.embed_part,
            part,
            take=functools.partial(self._finish, part),
            on_death=functools.partial(self._suspect, part, n_rows),
        )

    def _suspect(self, part: Part, n_rows: int) -> None:
        """Begin to search a part that was there whenever its worker died."""
        suspect = Suspect(part)

        def split(n_rows: int) -> None:
            self._split(suspect, 0, n_rows)

        if part.shard is None:
            split(n_rows)
        else:
            label = f"count-{_label(part)}"
            self._submit(label, worker.count_rows, part, take=split)

    def _split(self, suspect: Suspect, start: int, stop: int) -> None:
        for piece in suspect.split(start, stop):
            self._waiting.append(functools.partial(self._begin_piece, suspect, piece))

    def _begin_piece(self, suspect: Suspect, piece: tuple[int, int]) -> None:
        start, stop = piece
        self._submit(
            f"{_label(suspect.part)}.{start}.{stop}",
            worker.embed_part,
            suspect.part,
            *piece,
            take=functools.partial(self._take_piece, suspect, piece),
            on_death=functools.partial(self._split, suspect, *piece),
        )

    def _take_piece(self, suspect, piece, result: PartResult | None) -> None:
        if result is None:
            suspect.give_up(piece[0])
        else:
            suspect.take(*piece)
        if suspect.is_solved:
            self._submit(
                f"join-{_label(suspect.part)}",
                worker.join_pieces,
                suspect.part,
                tuple(suspect.starts),
                tuple(suspect.killers),
                take=functools.partial(self._finish, suspect.part),
            )

    def _finish(self, part: Part, result: PartResult) -> None:
        self._tally.add_part(result)
        self._output.remove_list(part)

    def _collect(self) -> None:
        """Wait a moment for finished tasks, and take all there are."""
        try:
            self._take(self._done.get(timeout=TICK_SECONDS))
            while True:
                self._take(self._done.get_nowait())
        except queue.Empty:
            pass

    def _take(self, key: str) -> None:
        task = self._tasks[key]
        status = task.future.status
        if status == "cancelled":
            raise self._lost()
        if status == "error":
            self._drop(key)
            self._take_error(task, task.future.exception())
            return
        result = _UNKNOWN
        if status == "finished":
            # The worker that knows it may have died since.
            with contextlib.suppress(TimeoutError, OSError, KilledWorker):
                result = task.future.result(timeout=RESULT_SECONDS)
        if result is _UNKNOWN:
            self._call_when_done(task.future)
            return
        self._drop(key)
        task.take(result)

    def _drop(self, key: str) -> None:
        del self._tasks[key]
        self._tally.end(key)

    def _take_error(self, task: _Task, error: BaseException) -> None:
        if isinstance(error, KilledWorker) and task.on_death is not None:
            task.on_death()
            return
        if isinstance(error, KilledWorker):
            text = "each worker that worked on it was killed"
            raise _failure(task.part, text) from error
        raise _failure(task.part, str(error) or type(error).__name__) from error

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


def _failure(part: Part, reason: str) -> JobError:
    """The error for a part that could not be computed or written."""
    name = _label(part) if part.shard is None else f"{_label(part)} ({part.shard})"
    return JobError(f"{name} failed, and with it the run: {reason}")

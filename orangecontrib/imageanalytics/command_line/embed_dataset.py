"""``embed-dataset``: any number of images into a folder of Parquet files."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    STOPPED,
    UsageError,
    columns,
    in_one_line,
    tell,
    tell_reasons,
)
from orangecontrib.imageanalytics.command_line.options import (
    add_network_options,
    add_run_options,
    ensure_network,
    network_arguments,
    positive,
)
from orangecontrib.imageanalytics.networks.registry import find_network

# Between two lines of progress without a terminal, as in the log of a batch job.
LINE_SECONDS = 60


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "embed-dataset",
        help="any number of images into a folder of Parquet files, on many processes",
    )
    command.set_defaults(command=embed_dataset)
    command.add_argument(
        "source",
        metavar="SOURCE",
        help="a folder; a pattern such as 's3://bucket/photos/**/*.jpg'; a text file "
        "of paths or URLs; a CSV or Parquet file with a column of them; tar files "
        "as webdataset writes them",
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        required=True,
        help="folder or URL for the vectors; a run that was stopped goes on there",
    )
    command.add_argument(
        "--column",
        metavar="COLUMN",
        help="the column of a CSV or Parquet file with the images",
    )
    command.add_argument(
        "--category", metavar="COLUMN", help="the column with their classes"
    )
    _add_cluster_options(command)
    add_network_options(command)
    add_run_options(command, cache=False)
    command.add_argument(
        "-f",
        "--force",
        action="store_true",
        help="remove vectors that are in FOLDER and begin again",
    )


def _add_cluster_options(command: argparse.ArgumentParser) -> None:
    """Add which processes compute, and how much each has to do."""
    command.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="a Dask scheduler, such as tcp://host:8786, or its JSON file "
        "(default: processes on this computer)",
    )
    command.add_argument(
        "--workers",
        type=positive,
        metavar="N",
        help="number of processes on this computer (default: by its processors)",
    )
    command.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="threads of each process (default: those that Dask gave to it)",
    )
    command.add_argument(
        "--part-size",
        type=positive,
        metavar="N",
        help="images in a file (default: 10000, or fewer if there are few)",
    )


def embed_dataset(options: argparse.Namespace) -> int:
    """Embed a dataset and print what was done."""
    from orangecontrib.imageanalytics import distributed

    _silence_dask()
    try:
        network = find_network(options.model, trusted=options.trust)
        ensure_network(network)
        with _progress() as show:
            summary = distributed.embed_dataset(
                options.source,
                options.output,
                network,
                cluster=options.cluster,
                workers=options.workers,
                column=options.column,
                category=options.category,
                threads=options.threads,
                part_size=options.part_size,
                force=options.force,
                callback=show,
                **network_arguments(options),
            )
    except ValueError as error:
        raise UsageError(error) from error
    except KeyboardInterrupt:
        tell(
            f"stopped; the finished parts are in {options.output}, and the same "
            "command goes on with the others",
            sys.stderr,
        )
        return STOPPED
    _tell_summary(options, summary)
    if summary.images > summary.failed or summary.parts_before:
        return 0
    if not summary.images:  # tar files are only opened by the workers
        tell(f"error: There are no images in {options.source}.", sys.stderr)
    return ERROR


def _tell_summary(options, summary) -> None:
    for problem in summary.problems:
        tell(f"warning: {in_one_line(problem)}", sys.stderr)
    tell_reasons("skipped", summary.examples)
    tell(_text(options, summary))


def _silence_dask() -> None:
    """Hide what Dask logs about workers that are lost, which the run handles."""
    from orangecontrib.imageanalytics.distributed.clusters import import_distributed

    import_distributed()  # which sets the levels
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _text(options, summary) -> str:
    skipped = str(summary.failed)
    if summary.reasons:
        counts = (f"{reason}: {number}" for reason, number in summary.reasons.items())
        skipped += f" ({', '.join(counts)})"
    rows = [
        ("model", options.model),
        ("embedded", str(summary.images - summary.failed)),
        ("skipped", skipped),
        ("parts", str(summary.parts)),
    ]
    if summary.parts_before:
        rows.append(("earlier", f"{summary.parts_before} parts were there"))
    rate = f"{summary.images_per_second:.0f} images/s"
    rows += [
        ("time", f"{summary.seconds:.1f} s, {rate}"),
        ("saved", options.output),
    ]
    return columns(rows)


@contextmanager
def _progress() -> Iterator[Callable]:
    """The function that shows a `Progress`: as a bar, or as a line a minute."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    with tqdm(desc="Embedding", unit=" images") as bar:

        def show(progress) -> None:
            bar.total = progress.total_images
            bar.n = progress.images
            if progress.total_images and progress.parts_before:
                share = progress.parts_before / progress.total_parts
                bar.initial = round(share * progress.total_images)
                bar.n += bar.initial
            bar.set_postfix_str(_counts(progress))

        yield show


class _Lines:
    def __init__(self):
        self._next = time.monotonic() + LINE_SECONDS

    def __call__(self, progress) -> None:
        if time.monotonic() < self._next:
            return
        self._next += LINE_SECONDS
        left = progress.seconds_left
        texts = [
            f"{progress.images} images",
            _counts(progress),
            f"{progress.images_per_second:.0f} images/s",
        ]
        if left is not None:
            texts.append(f"{tqdm.format_interval(left)} left")
        tell(", ".join(texts), sys.stderr)


def _counts(progress) -> str:
    parts = str(progress.parts + progress.parts_before)
    if progress.total_parts:
        parts += f" of {progress.total_parts}"
    text = f"{parts} parts, {progress.failed} failed"
    return text if progress.workers else f"{text}, waiting for workers"

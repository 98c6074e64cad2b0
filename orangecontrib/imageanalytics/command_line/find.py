"""``find``: the images in folders that match words or are like examples."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    UsageError,
    in_one_line,
    progress,
    tell,
    tell_reasons,
)
from orangecontrib.imageanalytics.command_line.options import (
    add_network_options,
    add_run_options,
    ensure_network,
    existing_folders,
    network_arguments,
    positive,
)
from orangecontrib.imageanalytics.images.sources import column_sources
from orangecontrib.imageanalytics.networks.registry import DEFAULT, find_network

if TYPE_CHECKING:
    from Orange.data import Table

    from orangecontrib.imageanalytics.find_images import Description
    from orangecontrib.imageanalytics.output_file import OutputFile

# These files contain vectors instead of tables.
_VECTOR_FILES = (".npz", ".parquet")


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "find",
        help="images that match words or are like others",
        usage="%(prog)s [TEXT] FOLDER [FOLDER ...] [--like IMAGE] [--not TEXT] "
        "[--top N] [options]",
    )
    command.set_defaults(command=find)
    command.add_argument(
        "arguments",
        metavar="TEXT FOLDER",
        nargs="+",
        help="what the images should show, in words, and folders that are searched "
        "with their subfolders; with --like or --not, the text can be left out",
    )
    command.add_argument(
        "--like",
        metavar="IMAGE",
        action="append",
        default=[],
        help="path or address of an example; can be repeated",
    )
    command.add_argument(
        "--not",
        dest="negative",
        metavar="TEXT",
        action="append",
        default=[],
        help="what the images should not show; can be repeated",
    )
    command.add_argument(
        "--top", metavar="N", type=positive, help="how many images at most"
    )
    command.add_argument(
        "--threshold",
        metavar="SCORE",
        type=_score,
        help="the least score, between -1 and 1",
    )
    add_network_options(
        command, None, f"{DEFAULT}; for words, the first that knows words"
    )
    add_run_options(command)
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help=".tab, .csv, .xlsx, .pkl: an Orange table of the images with their scores",
    )
    command.add_argument(
        "-f", "--force", action="store_true", help="overwrite OUT if it exists"
    )


def _score(text: str) -> float:
    try:
        score = float(text)
    except ValueError:
        score = math.nan
    if math.isnan(score):
        raise argparse.ArgumentTypeError(f"{text} is not a number")
    return score


def find(options: argparse.Namespace) -> int:
    """Print paths and scores of the images that are found, best first."""
    from orangecontrib.imageanalytics.find_images import best_first
    from orangecontrib.imageanalytics.import_images import ImportImages

    words, folders = _words_and_folders(options)
    folders = existing_folders(folders)
    output = _output(options)
    arguments = _embedding_arguments(options, bool(words))
    ensure_network(arguments["model"])

    reader = ImportImages()
    table, _ = reader(folders)
    failures = dict(reader.skipped)
    try:
        found = _find(table, words, options.like, arguments, failures)
    finally:
        tell_reasons("skipped", failures.items())
    if not found:
        tell(f"error: no image in {', '.join(folders)} could be embedded", sys.stderr)
        return ERROR
    scores = found.get_column(found.domain.metas[-1])
    found = found[best_first(scores, options.top, options.threshold)]
    if output is not None:
        output.write(found)
    _list(found)
    return 0


def _words_and_folders(options) -> tuple[list[Description], list[str]]:
    """The descriptions and the folders of a command line.

    The first argument is a text unless something else says what to search for, and it
    is a folder or the only argument.
    """
    from orangecontrib.imageanalytics.find_images import Description

    words = []
    first, *others = options.arguments
    has_query = bool(options.like or options.negative)
    if not others and not has_query:
        raise UsageError(
            f"only {first} is given: add what to search for, a TEXT before the FOLDER, "
            "--like or --not"
        )
    folders = options.arguments
    try:
        if others and not (has_query and os.path.isdir(first)):
            words, folders = [Description(first)], others
        words += [Description(text, negative=True) for text in options.negative]
    except ValueError as error:  # a text is blank
        raise UsageError(error) from error
    return words, folders


def _output(options) -> OutputFile | None:
    from orangecontrib.imageanalytics.output_file import OutputFile

    if options.output is None:
        return None
    if options.output.lower().endswith(_VECTOR_FILES):
        raise UsageError(
            f"{options.output} would contain vectors; choose .tab, .csv, .xlsx or .pkl"
        )
    try:
        return OutputFile(options.output, overwrite=options.force)
    except ValueError as error:
        raise UsageError(error) from error


def _embedding_arguments(options, has_words: bool) -> dict:
    """Arguments of `find_images`: the network, and how images are embedded."""
    from orangecontrib.imageanalytics.find_images import choose_spec

    arguments = network_arguments(options)
    trusted = arguments.pop("trust")
    try:
        network = None
        if options.model is not None:
            network = find_network(options.model, trusted=trusted)
        spec = choose_spec(model=network, layer=options.layer, words=has_words)
    except ValueError as error:
        raise UsageError(error) from error
    return {**arguments, "model": spec.network}


def _find(table, words, like, arguments, failures) -> Table | None:
    """All images with their scores, best first; None if there are none."""
    from orangecontrib.imageanalytics.find_images import find_images

    if not table:
        return None
    try:
        with progress("Embedding", len(table), " images") as advance:
            return find_images(
                table,
                words,
                like or None,
                callback=advance,
                failures=failures,
                **arguments,
            )
    except ValueError as error:  # there is no such device, or a file has no such layer
        raise UsageError(error) from error


def _list(found: Table) -> None:
    sources = column_sources(found, "image")
    scores = found.get_column(found.domain.metas[-1])
    for source, score in zip(sources, scores, strict=True):
        tell(f"{in_one_line(source)}\t{score:.4f}")

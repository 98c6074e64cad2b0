"""``embed``: folders of images into a file of vectors."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from typing import TYPE_CHECKING

from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    UsageError,
    columns,
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
)
from orangecontrib.imageanalytics.i18n import pl
from orangecontrib.imageanalytics.images.intensity import AUTOMATIC, intensity_text
from orangecontrib.imageanalytics.networks.registry import find_network

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.import_images import NamePattern


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser("embed", help="folders of images into a file")
    command.set_defaults(command=embed)
    command.add_argument(
        "folders", metavar="FOLDER", nargs="+", help="searched with its subfolders"
    )
    command.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        required=True,
        help=".tab, .csv, .xlsx, .pkl: an Orange table; "
        ".npz, .parquet: paths and vectors",
    )
    add_network_options(command)
    command.add_argument(
        "--pages",
        choices=("first", "all"),
        default="first",
        help="of files with several pages, planes or channels: one image or all "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--class-from",
        metavar="PATTERN",
        type=_name_pattern,
        help="take the class from the names of files instead of folders: a pattern "
        "such as '{class}_*', start, before-number, after-number, or a regular "
        "expression with a group (?P<class>...)",
    )
    command.add_argument(
        "--columns",
        metavar="NAMES",
        type=_column_names,
        default=(),
        help="further columns of the table, separated by commas: "
        "date-taken, camera, lens, exposure, location, format, brightness, contrast, "
        "sharpness, main-color",
    )
    add_run_options(command)
    command.add_argument(
        "-f", "--force", action="store_true", help="overwrite OUT if it exists"
    )


def _name_pattern(text: str) -> NamePattern:
    from orangecontrib.imageanalytics.import_images import NamePattern

    try:
        return NamePattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _column_names(text: str) -> list[str]:
    """Names of `COLUMNS`, which are written with hyphens."""
    from orangecontrib.imageanalytics.import_images.columns import checked_columns

    names = [name.strip().replace("-", " ") for name in text.split(",")]
    try:
        return list(checked_columns(filter(None, names)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def embed(options: argparse.Namespace) -> int:
    """Embed folders of images and save the result."""
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.output_file import OutputFile

    folders = existing_folders(options.folders)
    try:
        output = OutputFile(options.output, overwrite=options.force)
        network = find_network(options.model)
        embedder = ImageEmbedder(network, **network_arguments(options))
        _ = embedder.device  # whether there is one
        if options.layer is not None:
            embedder.check_layer()
        ensure_network(network)
    except ValueError as error:
        raise UsageError(error) from error

    reader = ImportImages(
        pages=options.pages, class_from=options.class_from, columns=options.columns
    )
    table, _ = reader(folders)
    skipped = list(reader.skipped)
    embedded = None
    if table is not None:
        embedded = _embed(embedder, table)
        skipped += embedder.failures.items()

    if embedded is not None:
        output.write(embedded)
    tell_reasons("skipped", skipped)
    tell_reasons("left out", reader.left_out)
    if embedded is None:
        names = ", ".join(folders)
        text = f"no image in {names} could be embedded; nothing was written"
        tell(f"error: {text}", sys.stderr)
        return ERROR
    tell(_summary(options, embedder.statistics, skipped, reader))
    return 0


def _embed(embedder, table):
    """The rows that have vectors, with the vectors; None if there are none."""
    try:
        with embedder, progress("Embedding", len(table), " images") as advance:
            # Loads the network if it is needed: not if all vectors are known.
            return embedder(table, col="image", callback=advance)[0]
    except ValueError as error:  # a file has no such layer
        raise UsageError(error) from error


def _summary(options, statistics, skipped, reader) -> str:
    rows = [("skipped", _counted(skipped))]
    if reader.left_out:
        rows.append(("left out", _counted(reader.left_out)))
    if reader.unmatched:
        rows.append(("no class", f"{len(reader.unmatched)} (by their names)"))
    if reader.has_more:
        n = len(reader.has_more)
        text = f"{n} {pl(n, 'file has|files have')} more than are used"
        rows.append(("pages", text))
    seconds = statistics.seconds
    rate = statistics.n_images / seconds if seconds else 0
    return columns(
        [
            ("model", _model_text(options)),
            ("embedded", f"{statistics.n_embedded} ({statistics.n_cached} from cache)"),
            *rows,
            ("time", f"{seconds:.1f} s, {rate:.0f} images/s"),
            ("device", statistics.device),
            ("saved", options.output),
        ]
    )


def _counted(reasons: list[tuple[str, str]]) -> str:
    """The number of files for each reason."""
    if not reasons:
        return "0"
    counts = Counter(reason for _, reason in reasons).most_common()
    return f"{len(reasons)} ({', '.join(f'{reason}: {n}' for reason, n in counts)})"


def _model_text(options) -> str:
    parts = [options.model]
    if options.layer:
        parts.append(f"layer {options.layer}")
    if options.fit:
        parts.append(f"fit {options.fit}")
    if options.intensity not in (None, AUTOMATIC):
        parts.append(f"intensity {intensity_text(options.intensity)}")
    return ", ".join(parts)

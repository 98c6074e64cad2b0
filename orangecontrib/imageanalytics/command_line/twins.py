"""``twins``: which images in folders are there more than once."""

from __future__ import annotations

import argparse
import sys

from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    UsageError,
    in_one_line,
    progress,
    tell,
    tell_reasons,
)
from orangecontrib.imageanalytics.command_line.options import existing_folders
from orangecontrib.imageanalytics.images.sources import column_sources


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser(
        "twins", help="images that are there more than once, by group"
    )
    command.set_defaults(command=twins)
    command.add_argument(
        "folders", metavar="FOLDER", nargs="+", help="searched with its subfolders"
    )
    command.add_argument(
        "--method",
        choices=("hash", "content"),
        default="hash",
        help="what is compared: what images look like, which finds them in other "
        "sizes, formats and brightness, also mirrored; or the content of the files "
        "(default: %(default)s)",
    )
    command.add_argument(
        "--threshold",
        type=float,
        default=1.0,
        metavar="T",
        help="greatest distance of twins, from 0 (strict) to 2.5 (default: 1)",
    )


def twins(options: argparse.Namespace) -> int:
    """Print the groups: a line for each image, separated by tabs.

    The columns are the number of the group, whether the image is the largest, its width
    and height, and the path.
    """
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.twins import MOST_THRESHOLD, TwinFinder

    if not 0 <= options.threshold <= MOST_THRESHOLD:
        raise UsageError(f"the threshold should be from 0 to {MOST_THRESHOLD}")
    folders = existing_folders(options.folders)
    reader = ImportImages(category="none")
    table, _ = reader(folders)
    skipped = list(reader.skipped)
    found = None
    if table:
        finder = TwinFinder(table, options.method)
        with progress("Comparing", len(table), " images") as advance:
            found = finder.find(options.threshold, advance)
        skipped += found.failures.items()
    tell_reasons("skipped", skipped)
    if found is None or len(found.failures) == len(table):
        names = ", ".join(folders)
        tell(f"error: no image in {names} could be read", sys.stderr)
        return ERROR
    for line in _lines(table, found):
        tell(line)
    n_left_out = int((~found.kept).sum())
    tell(
        f"{len(table)} images, {found.n_groups} groups of twins, "
        f"{n_left_out} images with a larger twin",
        sys.stderr,
    )
    return 0


def _lines(table, found):
    sources = column_sources(table, "image")
    for group, rows in enumerate(found.members(), 1):
        for row in rows.tolist():
            width, height = found.sizes[row]
            mark = "largest" if found.kept[row] else "twin"
            yield f"{group}\t{mark}\t{width}\t{height}\t{in_one_line(sources[row])}"

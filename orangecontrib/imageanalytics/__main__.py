"""The command line: ``python -m orangecontrib.imageanalytics``.

Exit codes: 0 when all or some images were embedded, 1 when none was or on an
error, 2 for a wrong command line, 130 when stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from orangecontrib.imageanalytics.engine.device import PRECISIONS
from orangecontrib.imageanalytics.engine.runner import ENGINES
from orangecontrib.imageanalytics.errors import ImageAnalyticsError, ModelError
from orangecontrib.imageanalytics.images.intensity import (
    AUTOMATIC,
    Intensity,
    as_intensity,
    intensity_text,
)
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.networks.registry import (
    DEFAULT,
    FAMILIES,
    NETWORKS,
    family_names,
    find_network,
)

if TYPE_CHECKING:
    from orangecontrib.imageanalytics.import_images import NamePattern

USAGE, ERROR, STOPPED = 2, 1, 130
_STANDARD_ERROR = 2


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : list of str, optional
        What follows the program's name; taken from ``sys.argv`` by default.

    Returns
    -------
    int
        The exit code.
    """
    options = _parser().parse_args(arguments)
    with warnings.catch_warnings(), _without_library_messages():
        warnings.showwarning = _show_warning
        try:
            return options.command(options)
        except UsageError as error:
            _tell(f"error: {error}", sys.stderr)
            return USAGE
        except (ImageAnalyticsError, OSError) as error:
            _tell(f"error: {error}", sys.stderr)
            return ERROR
        except KeyboardInterrupt:
            _tell("stopped; nothing was written", sys.stderr)
            return STOPPED


class UsageError(Exception):
    """The command line asks for something that does not exist."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orangecontrib.imageanalytics",
        description="Turn images into vectors.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

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
    command.add_argument(
        "-m",
        "--model",
        default=DEFAULT,
        help="see the command 'models'; torchvision:NAME, timm:NAME, clip:NAME or the "
        "path of a network in a file, with its .json beside it (default: %(default)s)",
    )
    command.add_argument(
        "--trust",
        action="store_true",
        help="vouch for the file of the network, if it can run code when it is "
        "opened (.pt2, TorchScript); this is remembered",
    )
    command.add_argument(
        "--layer",
        help="penultimate, logits, a stage, or joint for the vectors that networks "
        "share with words (default: the network's own)",
    )
    command.add_argument(
        "--fit",
        choices=FITS,
        help="how an image meets the square that the network sees "
        "(default: as it was trained)",
    )
    command.add_argument(
        "--intensity",
        metavar="RANGE",
        type=_intensity,
        help="which numbers of images of more than 8 bits are black and white: auto, "
        "full or LOW:HIGH, as in --intensity=-1000:400 (default: auto)",
    )
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
        "--device",
        default="auto",
        help="auto, cpu, cuda, cuda:1, mps, intel-gpu, intel-npu ...",
    )
    command.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the network (default: openvino on the CPU, else torch)",
    )
    command.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="numbers to compute with (default: the shortest that this processor is "
        "fast with and that keeps the vectors)",
    )
    command.add_argument(
        "--batch-size", type=_positive, metavar="N", help="default: by device"
    )
    command.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="neither use nor keep vectors of earlier runs",
    )
    command.add_argument(
        "-f", "--force", action="store_true", help="overwrite OUT if it exists"
    )

    command = commands.add_parser("models", help="list the models")
    command.set_defaults(command=models)
    command.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="list all whose names contain this, also of the packages",
    )

    command = commands.add_parser("download", help="fetch the weights of models")
    command.set_defaults(command=download)
    command.add_argument("models", metavar="MODEL", nargs="+")

    command = commands.add_parser("cache", help="what is kept between runs")
    command.set_defaults(command=cache)
    command.add_argument("action", choices=["info", "clear"])
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _intensity(text: str) -> Intensity:
    try:
        return as_intensity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _name_pattern(text: str) -> NamePattern:
    from orangecontrib.imageanalytics.import_images import NamePattern

    try:
        return NamePattern(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def embed(options: argparse.Namespace) -> int:
    """Embed folders of images and save the result."""
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder
    from orangecontrib.imageanalytics.import_images import ImportImages
    from orangecontrib.imageanalytics.output_file import OutputFile

    folders = _existing(options.folders)
    try:
        output = OutputFile(options.output, overwrite=options.force)
        network = find_network(options.model)
        embedder = ImageEmbedder(
            model=network,
            device=options.device,
            batch_size=options.batch_size,
            engine=options.engine,
            precision=options.precision,
            cache=options.cache,
            layer=options.layer,
            fit=options.fit,
            intensity=options.intensity,
            trust=options.trust,
        )
        _ = embedder.device  # whether there is one
        if options.layer is not None:
            embedder.check_layer()
        _download(network)
    except ValueError as error:
        raise UsageError(error) from error

    reader = ImportImages(pages=options.pages, class_from=options.class_from)
    table, _ = reader(folders)
    skipped = list(reader.skipped)
    embedded = None
    if table is not None:
        embedded = _embed(embedder, table)
        skipped += embedder.failures.items()

    if embedded is not None:
        output.write(embedded)
    for path, reason in skipped:
        _tell(f"skipped: {_in_one_line(path)}: {reason}", sys.stderr)
    for path, reason in reader.left_out:
        _tell(f"left out: {_in_one_line(path)}: {reason}", sys.stderr)
    if embedded is None:
        names = ", ".join(folders)
        text = f"no image in {names} could be embedded; nothing was written"
        _tell(f"error: {text}", sys.stderr)
        return ERROR
    _tell(_summary(options, embedder.statistics, skipped, reader))
    return 0


def _embed(embedder, table):
    """The rows that have vectors, with the vectors; None if there are none."""
    try:
        with embedder, _progress("Embedding", len(table), " images") as advance:
            # Loads the network if it is needed: not if all vectors are known.
            return embedder(table, col="image", callback=advance)[0]
    except ValueError as error:  # a file has no such layer
        raise UsageError(error) from error


def _existing(folders: list[str]) -> list[str]:
    """The folders that exist; a warning names the others."""
    missing = [folder for folder in folders if not os.path.isdir(folder)]
    if len(missing) == len(folders):
        raise NotADirectoryError(f"there is no folder {', '.join(missing)}")
    for folder in missing:
        _tell(f"warning: there is no folder {folder}", sys.stderr)
    return [folder for folder in folders if folder not in missing]


def _summary(options, statistics, skipped, reader) -> str:
    rows = [("skipped", _counted(skipped))]
    if reader.left_out:
        rows.append(("left out", _counted(reader.left_out)))
    if reader.unmatched:
        rows.append(("no class", f"{len(reader.unmatched)} (by their names)"))
    if reader.has_more:
        n_files = len(reader.has_more)
        have = "file has" if n_files == 1 else "files have"
        rows.append(("pages", f"{n_files} {have} more than are used"))
    seconds = statistics.seconds
    rate = statistics.n_images / seconds if seconds else 0
    return _columns(
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
    return f"{len(reasons)} ({', '.join(f'{n} {reason}' for reason, n in counts)})"


def _model_text(options) -> str:
    parts = [options.model]
    if options.layer:
        parts.append(f"layer {options.layer}")
    if options.fit:
        parts.append(f"fit {options.fit}")
    if options.intensity not in (None, AUTOMATIC):
        parts.append(f"intensity {intensity_text(options.intensity)}")
    return ", ".join(parts)


def models(options: argparse.Namespace) -> int:
    """List the registry, with the default network first, or search by name."""
    if options.text is not None:
        return _search(options.text)
    heading = ("MODEL", "VECTOR", "INPUT", "HERE", "DOWNLOAD", "LICENCE", "DESCRIPTION")
    _tell(_columns([heading, *map(_model_row, NETWORKS)]))
    return 0


def _search(text: str) -> int:
    names = [network.id for network in NETWORKS]
    for family in FAMILIES:
        try:
            names += family_names(family)
        except ModelError as error:
            _tell(f"warning: {error}", sys.stderr)
    found = [name for name in names if text.casefold() in name.casefold()]
    for name in found:
        _tell(name)
    if not found:
        _tell(f"error: no model's name contains '{text}'", sys.stderr)
    return 0 if found else ERROR


def _model_row(network: Network) -> tuple[str, ...]:
    return (
        network.id,
        str(network.n_features),
        f"{network.input_size} px",
        "yes" if network.available() else "no",
        f"{network.megabytes:.0f} MB" if network.megabytes else "-",
        network.licence,
        network.description,
    )


def download(options: argparse.Namespace) -> int:
    """Fetch the weights of the models that are not on this computer yet."""
    try:
        networks = [find_network(model) for model in options.models]
    except ValueError as error:
        raise UsageError(error) from error
    for network in networks:
        here = network.available()
        _download(network)
        _tell(f"{network.id}: {'here already' if here else 'downloaded'}")
    return 0


def _download(network: Network) -> None:
    """Fetch the weights of a network unless they are here."""
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    if not network.available():
        label = f"Downloading {network.id}"
        total, unit = network.megabytes, " MB"
        if math.isnan(total):
            total, unit = 100, " %"
        with _progress(label, total, unit) as advance:
            ImageEmbedder.download(network, callback=advance)


def cache(options: argparse.Namespace) -> int:
    """Show or remove what is kept between runs."""
    from orangecontrib.imageanalytics import image_embedder
    from orangecontrib.imageanalytics.engine import compiled
    from orangecontrib.imageanalytics.images import http_cache

    rows, failures = [], []
    for name, module in (
        ("vectors", image_embedder),
        ("web images", http_cache),
        ("networks", compiled),
    ):
        try:
            info = module.cache_info()
            if options.action == "clear":
                module.clear_cache()
        except OSError as error:  # the others can go all the same
            failures.append(f"error: {name}: {error}")
            continue
        size = f"{info['bytes'] / 1e6:.1f} MB of {info['limit'] / 1e6:.0f} MB"
        rows.append((name, f"{info['entries']} entries", size, info["folder"]))
    if options.action == "clear" and rows:
        _tell("removed:")
    if rows:
        _tell(_columns(rows))
    for failure in failures:
        _tell(failure, sys.stderr)
    return ERROR if failures else 0


def _in_one_line(path: str) -> str:
    """A file name without the line ends and terminal codes that may be in it."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda m: repr(m[0])[1:-1], path)


def _columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of text as lines whose columns are aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


@contextmanager
def _progress(label: str, total: float, unit: str) -> Iterator[Callable]:
    """A bar on a terminal, and the function that sets the fraction done."""
    with tqdm(total=total, desc=label, unit=unit, disable=None) as bar:
        yield lambda fraction: bar.update(round(fraction * total) - bar.n)


def _tell(text: str, stream: TextIO | None = None) -> None:
    """Write a line; ignore it if nobody reads the output any longer."""
    stream = stream or sys.stdout
    try:
        tqdm.write(text, file=stream)
        stream.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _show_warning(message, *_, **__) -> None:
    _tell(f"warning: {message}", sys.stderr)


@contextmanager
def _without_library_messages() -> Iterator[None]:
    """Hide the messages of image libraries, which do not name the file."""
    warnings.filterwarnings("ignore", module="PIL|pydicom|tifffile")
    for name in ("PIL", "pydicom", "tifffile"):
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = False
    try:
        is_own = sys.stderr.fileno() == _STANDARD_ERROR
    except (AttributeError, OSError, ValueError):
        is_own = False
    if not is_own:
        yield
        return
    # Libraries in C write past Python.
    sys.stderr.flush()
    ours = os.dup(_STANDARD_ERROR)
    silence = os.open(os.devnull, os.O_WRONLY)
    before, encoding, errors = sys.stderr, sys.stderr.encoding, sys.stderr.errors
    with open(ours, "w", encoding=encoding, errors=errors, buffering=1) as stream:
        os.dup2(silence, _STANDARD_ERROR)
        sys.stderr = stream
        try:
            yield
        finally:
            stream.flush()
            os.dup2(ours, _STANDARD_ERROR)
            sys.stderr = before
            os.close(silence)


if __name__ == "__main__":
    # A file name may hold what the terminal's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")
    code = main()
    sys.stdout.flush()
    if code == STOPPED:
        # Python would wait for threads that are still in a decoder.
        os._exit(code)
    sys.exit(code)

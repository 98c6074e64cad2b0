"""Options that several commands have."""

from __future__ import annotations

import argparse
import math
import os
import sys

from orangecontrib.imageanalytics.command_line.console import progress, tell
from orangecontrib.imageanalytics.engine.device import PRECISIONS
from orangecontrib.imageanalytics.engine.runner import ENGINES
from orangecontrib.imageanalytics.images.intensity import Intensity, as_intensity
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.preprocessing import FITS
from orangecontrib.imageanalytics.networks.registry import DEFAULT


def add_network_options(
    command: argparse.ArgumentParser,
    default: str | None = DEFAULT,
    about_default: str = DEFAULT,
) -> None:
    """Add what decides which vectors the images get.

    Parameters
    ----------
    command : argparse.ArgumentParser
    default : str, optional
        The default model.
    about_default : str
        The default model in the help.
    """
    command.add_argument(
        "-m",
        "--model",
        metavar="MODEL",
        default=default,
        help="see the command 'models'; torchvision:NAME, timm:NAME, clip:NAME or the "
        f"path of a network in a file, with its .json beside it (default: "
        f"{about_default})",
    )
    command.add_argument(
        "--trust",
        action="store_true",
        help="vouch for the file of the network, if it can run code when it is "
        "opened (.pt2, TorchScript); this is remembered",
    )
    command.add_argument(
        "--layer",
        metavar="NAME",
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


def add_run_options(command: argparse.ArgumentParser, cache: bool = True) -> None:
    """Add how the network runs.

    Parameters
    ----------
    command : argparse.ArgumentParser
    cache : bool
        Whether the cache of vectors is used unless the user says otherwise.
    """
    command.add_argument(
        "--device",
        metavar="NAME",
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
        "--batch-size", type=positive, metavar="N", help="default: by device"
    )
    if cache:
        command.add_argument(
            "--no-cache",
            dest="cache",
            action="store_false",
            help="neither use nor keep vectors of earlier runs",
        )
    else:
        command.add_argument(
            "--cache",
            action="store_true",
            help="use and keep vectors of earlier runs",
        )


def network_arguments(options: argparse.Namespace) -> dict:
    """The arguments of `ImageEmbedder` for these options, except for the network."""
    return {
        "device": options.device,
        "batch_size": options.batch_size,
        "engine": options.engine,
        "precision": options.precision,
        "cache": options.cache,
        "layer": options.layer,
        "fit": options.fit,
        "intensity": options.intensity,
        "trust": options.trust,
    }


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return int(text)


def _intensity(text: str) -> Intensity:
    try:
        return as_intensity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def existing_folders(folders: list[str]) -> list[str]:
    """The folders that exist; a warning names the others."""
    missing = [folder for folder in folders if not os.path.isdir(folder)]
    if len(missing) == len(folders):
        raise NotADirectoryError(f"there is no folder {', '.join(missing)}")
    for folder in missing:
        tell(f"warning: there is no folder {folder}", sys.stderr)
    return [folder for folder in folders if folder not in missing]


def ensure_network(network: Network) -> None:
    """Fetch the weights of a network unless they are here."""
    from orangecontrib.imageanalytics.image_embedder import ImageEmbedder

    if not network.available():
        label = f"Downloading {network.id}"
        total, unit = network.megabytes, " MB"
        if math.isnan(total):
            total, unit = 100, " %"
        with progress(label, total, unit) as advance:
            ImageEmbedder.download(network, callback=advance)

"""``models`` and ``download``: which networks there are, and their weights."""

from __future__ import annotations

import argparse
import sys

from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    UsageError,
    columns,
    tell,
)
from orangecontrib.imageanalytics.command_line.options import ensure_network
from orangecontrib.imageanalytics.errors import ModelError
from orangecontrib.imageanalytics.networks.network import Network
from orangecontrib.imageanalytics.networks.registry import (
    FAMILIES,
    NETWORKS,
    family_names,
    find_network,
)


def add(commands) -> None:
    """Add the commands."""
    command = commands.add_parser("models", help="list the models")
    command.set_defaults(command=models)
    command.add_argument(
        "text",
        metavar="TEXT",
        nargs="?",
        help="list all whose names contain this, also of torchvision, timm "
        "and open_clip",
    )

    command = commands.add_parser("download", help="fetch the weights of models")
    command.set_defaults(command=download)
    command.add_argument("models", metavar="MODEL", nargs="+")


def models(options: argparse.Namespace) -> int:
    """List the registry, with the default network first, or search by name."""
    if options.text is not None:
        return _search(options.text)
    heading = ("MODEL", "VECTOR", "INPUT", "HERE", "DOWNLOAD", "LICENCE", "DESCRIPTION")
    tell(columns([heading, *map(_model_row, NETWORKS)]))
    return 0


def _search(text: str) -> int:
    names = [network.id for network in NETWORKS]
    for family in FAMILIES:
        try:
            names += family_names(family)
        except ModelError as error:
            tell(f"warning: {error}", sys.stderr)
    found = [name for name in names if text.casefold() in name.casefold()]
    for name in found:
        tell(name)
    if not found:
        tell(f"error: no model's name contains '{text}'", sys.stderr)
    return 0 if found else ERROR


def _model_row(network: Network) -> tuple[str, ...]:
    return (
        network.id,
        str(network.n_features),
        f"{network.input_size} px",
        _here(network),
        f"{network.megabytes:.0f} MB" if network.megabytes else "-",
        network.licence,
        network.description,
    )


def _here(network: Network) -> str:
    """Whether a network is on this computer, or which package it lacks."""
    if network.missing_package:
        return f"needs {network.missing_package}"
    return "yes" if network.available() else "no"


def download(options: argparse.Namespace) -> int:
    """Fetch the weights of the models that are not on this computer yet."""
    try:
        networks = [find_network(model) for model in options.models]
    except ValueError as error:
        raise UsageError(error) from error
    for network in networks:
        here = network.available()
        ensure_network(network)
        tell(f"{network.id}: {'here already' if here else 'downloaded'}")
    return 0

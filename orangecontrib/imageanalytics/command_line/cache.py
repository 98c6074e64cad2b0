"""``cache``: what is kept between runs."""

from __future__ import annotations

import argparse
import sys

from orangecontrib.imageanalytics.command_line.console import ERROR, columns, tell


def add(commands) -> None:
    """Add the command."""
    command = commands.add_parser("cache", help="what is kept between runs")
    command.set_defaults(command=cache)
    command.add_argument("action", choices=["info", "clear"])


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
        tell("removed:")
    if rows:
        tell(columns(rows))
    for failure in failures:
        tell(failure, sys.stderr)
    return ERROR if failures else 0

"""The command line: ``python -m orangecontrib.imageanalytics``.

Exit codes: 0 when all or some images were embedded, 1 when none was or on an
error, 2 for a wrong command line, 130 when stopped with Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings

from orangecontrib.imageanalytics.command_line import (
    cache,
    embed,
    embed_dataset,
    find,
    models,
    twins,
)
from orangecontrib.imageanalytics.command_line.console import (
    ERROR,
    STOPPED,
    USAGE,
    UsageError,
    show_warning,
    tell,
    without_library_messages,
)
from orangecontrib.imageanalytics.errors import ImageAnalyticsError

COMMANDS = (embed, embed_dataset, find, twins, models, cache)


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
    with warnings.catch_warnings(), without_library_messages():
        warnings.showwarning = show_warning
        try:
            return options.command(options)
        except UsageError as error:
            tell(f"error: {error}", sys.stderr)
            return USAGE
        except (ImageAnalyticsError, OSError) as error:
            tell(f"error: {error}", sys.stderr)
            return ERROR
        except KeyboardInterrupt:
            tell("stopped; nothing was written", sys.stderr)
            return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m orangecontrib.imageanalytics",
        description="Turn images into vectors.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    # A file name may hold what the terminal's encoding lacks.
    sys.stdout.reconfigure(errors="backslashreplace")
    code = main()
    sys.stdout.flush()
    if code == STOPPED:
        # Python would wait for threads that are still in a decoder.
        os._exit(code)
    sys.exit(code)

"""All commands, what they take, and how one of them is run.

Until the arguments are known to be right nothing heavy is imported, so that `--help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from .. import __version__
from ..core import Cancelled, PemmaError, system_told
from . import adapt, adapters, cases, demo, evaluate, inspect, models, segment, streams, train
from .options import ending_with_values
from .terminal import Terminal

DONE, FAILED, CANCELLED = 0, 1, 130  # 2, wrong usage, is argparse's own
COMMANDS = (demo, inspect, segment, evaluate, train, adapt, models, cases, adapters)


@streams.usable()
def run(arguments: Sequence[str] | None, stop_if_pressed: Callable[[], None]) -> int:
    """Runs one command and gives its exit code. None: that of `sys.argv`. stop_if_pressed: see `interrupts.heard`."""
    if hasattr(sys.stdout, "reconfigure"):  # a code page that lacks the letters of a series' description or a folder's name
        sys.stdout.reconfigure(errors="backslashreplace")
    options = parser().parse_args(ending_with_values(sys.argv[1:] if arguments is None else arguments))
    try:
        return _run(options, Terminal(options.json, options.quiet, stop_if_pressed))
    except BrokenPipeError:
        return FAILED  # without a word: nobody reads them


def parser() -> argparse.ArgumentParser:
    """All commands with their options."""
    whole = argparse.ArgumentParser(
        prog="pemma-segment",
        description="Segments tumours on PET/CT. For research only, not a medical device.",
        allow_abbrev=False,
    )
    whole.add_argument("--version", action="version", version=f"pemma-segment {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return whole


def _run(options: argparse.Namespace, terminal: Terminal) -> int:
    try:
        with system_told():
            os.getcwd()  # raises where that was deleted; torch's MKL would end the process
            return DONE if options.run(options, terminal) else FAILED
    except PemmaError as error:
        terminal.refused(error)
        return FAILED
    except Cancelled:
        terminal.say("cancelled")
        return CANCELLED

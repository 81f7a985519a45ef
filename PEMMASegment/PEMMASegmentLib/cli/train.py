"""`pemma-segment train`: a base model from annotated studies; resumes, and torchrun starts it on several GPUs."""

import argparse
import contextlib
import os
from pathlib import Path

from ..core import Cancelled
from . import options as shared
from .terminal import Terminal


def add_to(commands) -> None:
    parser = shared.command(commands, "train", run, "train a base model")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="what to train, JSON")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of annotated studies")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="run folder; an unfinished run goes on")
    shared.add_annotation_options(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    from .. import training
    from ..jobs.training import check_out, on_selection_patients

    if "WORLD_SIZE" in os.environ and os.environ.get("RANK", "0") != "0":
        return _join(options, terminal)
    check_out(options.out)

    def told(name: str, warnings: tuple) -> None:
        terminal.warnings(warnings, name)

    validate = on_selection_patients(options.config)
    with terminal.progress("train") as progress:
        folder = training.train(options.config, options.data, options.out, progress, validate, options.annotation_roi,
                                told)
    terminal.result({"model": str(folder)}, f"model written to {folder}")
    return True


def _join(options: argparse.Namespace, terminal: Terminal) -> bool:
    """What torchrun's other processes, one a device, do: they train; the first one checks, judges, writes and speaks."""
    from .. import training

    terminal.as_json = False  # one object, however many refuse
    with contextlib.suppress(Cancelled):  # the first one has ended
        training.train(options.config, options.data, options.out)
        return True
    return False

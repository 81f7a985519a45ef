"""`pemma-segment train`: a base model from annotated studies; resumes, and torchrun starts it on several GPUs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from .terminal import Terminal


def add_to(commands) -> None:
    parser = shared.command(commands, "train", run, "train a base model")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="what to train, JSON")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of annotated studies")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model folder; resumes there")


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from .. import training

    with terminal.progress("train") as progress:
        training.train(options.config, options.data, options.out, progress)
    terminal.result({"model": str(options.out)}, f"model written to {options.out}")
    return True

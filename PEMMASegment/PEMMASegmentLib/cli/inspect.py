"""`pemma-segment inspect`: what the loader sees in a study, without a network."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.options import Reading
from . import options as shared
from .terminal import Terminal

if TYPE_CHECKING:
    from ..core import PemmaWarning


def add_to(commands) -> None:
    parser = shared.command(commands, "inspect", run, "tell what the loader sees in a study")
    parser.add_argument("study", type=Path, metavar="STUDY", help="folder of DICOM or NIfTI files")
    shared.add_study_options(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..jobs import reading

    with terminal.progress("inspect") as progress:
        seen, told = reading.inspect(options.study, shared.typed(Reading, options), progress)
    terminal.result(seen, in_words(seen, told))
    return True


def in_words(seen: dict, warnings: "Sequence[PemmaWarning]") -> str:
    """The same for a reader, and what to do about the warnings."""
    lines = [_image_in_words(name.upper(), seen[name]) for name in ("ct", "pet")]
    if seen["pet"]:
        suv = seen["pet"]["suv"]
        lines.append(f"SUVbw: {suv['route']}; {suv['min']:.2f} to {suv['max']:.2f}, median {suv['median']:.2f} g/ml")
    lines += map(_candidate_in_words, seen["candidates"])
    lines += [f"warning: {warning}" for warning in warnings]
    return "\n".join([*lines, f"verdict: {seen['verdict']}"])


def _image_in_words(name: str, image: dict | None) -> str:
    if image is None:
        return f"{name}: none"
    size, spacing = (" x ".join(f"{n:.4g}" for n in image[key]) for key in ("size", "spacing_mm"))
    return f"{name}: {size} voxels of {spacing} mm"


def _candidate_in_words(seen: dict) -> str:
    choice = "used" if seen["chosen"] else "left out"
    date = f" of {seen['date']}" if seen["date"] else ""
    return f"{choice}: {seen['modality']} {seen['description']!r}{date}, {seen['slices']} slices: {seen['reason']}"

"""Options that several commands share, as arguments of the command line. Imports nothing heavy."""

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

from ..jobs import options as jobs
from ..jobs.options import OneOf, Reading, Running, Segmenting

T = TypeVar("T")


def command(commands, name: str, run, words: str) -> argparse.ArgumentParser:
    """A command with --json and --quiet that calls `run(options, terminal) -> bool`; False: something was refused."""
    parser = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".", allow_abbrev=False)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def add(group, kind: type, name: str, **words: Any) -> None:
    """The argument for a field of `jobs.options`, with the field's default and check; words: metavar and help."""
    field = next(one for one in fields(kind) if one.name == name)
    check = field.metadata["check"]
    how = {"choices": check.choices} if isinstance(check, OneOf) else {"type": _type(check)}
    how = {"action": "store_true"} if check is jobs.flag else how
    group.add_argument(jobs.spelled(name), default=field.default, **how, **words)


def _type(check: Callable[[Any], Any]) -> Callable[[str], Any]:
    """For argparse, which by itself names the function that failed, not what is wrong."""

    def checked(word: str) -> Any:
        try:
            return check(word)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return checked


def typed(kind: type[T], options: argparse.Namespace) -> T:
    """The options of a job; what the command has no argument for keeps its default."""
    return kind(**{one.name: getattr(options, one.name) for one in fields(kind) if hasattr(options, one.name)})


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """How a study is read: series chosen by hand, values typed where headers lack them."""
    group = parser.add_argument_group("reading the study")
    add(group, Reading, "ct_series", metavar="UID", help="series instance UID of the CT to use")
    add(group, Reading, "pet_series", metavar="UID", help="series instance UID of the PET to use")
    values = parser.add_argument_group("values that the PET's headers lack or a warning doubts (flagged as typed in all results)")
    add(values, Reading, "weight_kg", metavar="KG", help="patient's weight")
    add(values, Reading, "height_m", metavar="M", help="patient's height")
    add(values, Reading, "dose_bq", metavar="BQ", help="injected activity")
    add(values, Reading, "injection_time", metavar="TIME", help="HHMMSS or YYYYMMDDHHMMSS")
    add(values, Reading, "isotope", metavar="NAME", help="F-18, Ga-68, ...: gives the half-life")


def refuse_for_several(options: argparse.Namespace) -> None:
    """Ends as wrong usage when a value that belongs to one study came with several."""
    if len(options.studies) != 1 and (given := jobs.of_one_study(options)):
        options.usage_error(f"{given} goes with one STUDY")


def add_segment_options(parser: argparse.ArgumentParser) -> None:
    """Which model looks at what, and what of its answer is lesion."""
    group = parser.add_argument_group("segmenting")
    add_running_options(group)
    add_adapter_option(group)
    add(group, Segmenting, "threshold", metavar="P", help="probability of a lesion (default: the adapter's or model's)")
    add(group, Segmenting, "roi", metavar="X0,X1,Y0,Y1,Z0,Z1", help="look only at this box, mm, LPS")
    add(group, Segmenting, "min_volume", metavar="ML", help="smallest lesion, ml (default: the adapter's or 0.5)")


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """How lesions are measured and written."""
    group = parser.add_argument_group("figures and files")
    add(group, Segmenting, "segments", help="in the SEG (default: each)")
    add(group, Segmenting, "mtv_rule", help="default: 41%% of the lesion's SUVmax")


def add_running_options(group, inputs: str = "auto") -> None:
    """Which network runs, on what, and where. inputs: what the default means, in words."""
    add(group, Running, "model", metavar="NAME|DIR", help="installed model or model folder (default: the bundled one)")
    add(group, Running, "inputs", help=f"default: {inputs}")
    add(group, Running, "device", help="default: auto")
    add(group, Running, "whole_study", help="run although a study reaches outside the region the model knows")


def add_adapter_option(group) -> None:
    """With which adapter the model runs."""
    add(group, Segmenting, "adapter", metavar="NAME|DIR|none", help="installed adapter or adapter folder (default: none)")


def add_annotation_options(parser: argparse.ArgumentParser) -> None:
    """Which structure of an annotation is the tumour."""
    parser.add_argument("--annotation-roi", metavar="NAME", help="structure that is the tumour, when there are several")


def ending_with_values(arguments: Iterable[str]) -> list[str]:
    """`--roi -10,...` becomes one word, because argparse takes a value that begins with a minus for an option."""
    out: list[str] = []
    for word in arguments:
        if out and out[-1] == "--roi" and re.match(r"-[\d.]", word):
            out[-1] += "=" + word
        else:
            out.append(word)
    return out

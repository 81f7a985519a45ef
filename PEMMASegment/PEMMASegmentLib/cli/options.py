"""Options that several commands share, and the types of their values. Imports nothing heavy."""

import argparse
import math
import re
from collections.abc import Iterable

MTV_RULES = ("41%", "50%", "suv2.5", "suv4", "contour")
USUAL_RULE = "41%"


def command(commands, name: str, run, words: str) -> argparse.ArgumentParser:
    """A command with --json and --quiet that calls `run(options, terminal) -> bool`; False: something was refused."""
    parser = commands.add_parser(name, help=words, description=words[0].upper() + words[1:] + ".", allow_abbrev=False)
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of words")
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    return parser


def add_study_options(parser: argparse.ArgumentParser) -> None:
    """How a study is read: series chosen by hand, values typed where headers lack them."""
    group = parser.add_argument_group("reading the study")
    group.add_argument("--ct-series", metavar="UID", help="series instance UID of the CT to use")
    group.add_argument("--pet-series", metavar="UID", help="series instance UID of the PET to use")
    typed = parser.add_argument_group("values that the PET's headers lack or a warning doubts (flagged as typed in all results)")
    typed.add_argument("--weight-kg", type=positive, metavar="KG", help="patient's weight")
    typed.add_argument("--height-m", type=positive, metavar="M", help="patient's height")
    typed.add_argument("--dose-bq", type=positive, metavar="BQ", help="injected activity")
    typed.add_argument("--injection-time", type=moment, metavar="TIME", help="HHMMSS or YYYYMMDDHHMMSS")
    typed.add_argument("--isotope", metavar="NAME", help="F-18, Ga-68, ...: gives the half-life")


#: What says something of one study and would be wrong for the next.
OF_ONE_STUDY = (
    "--ct-series", "--pet-series", "--weight-kg", "--height-m", "--dose-bq", "--injection-time", "--isotope", "--annotation",
    "--roi",
)  # fmt: skip


def refuse_for_several(options: argparse.Namespace) -> None:
    """Ends as wrong usage when a value that belongs to one study came with several, or with a library's cases."""
    given = [name for name in OF_ONE_STUDY if getattr(options, _key(name), None) is not None]
    if given and len(options.studies) != 1:
        options.usage_error(f"{given[0]} goes with one STUDY")


def of_one_study_in(words: str, options: argparse.Namespace) -> str:
    """The first option of the command, named in these words, that goes with one study; "" where there is none."""
    return next((name for name in re.findall(r"--[a-z-]+", words) if name in OF_ONE_STUDY and hasattr(options, _key(name))), "")


def _key(name: str) -> str:
    return name[2:].replace("-", "_")


def add_segment_options(parser: argparse.ArgumentParser) -> None:
    """Which model looks at what, and what of its answer is lesion."""
    group = parser.add_argument_group("segmenting")
    add_running_options(group)
    add_adapter_option(group)
    group.add_argument("--threshold", type=share, metavar="P", help="probability of a lesion (default: the adapter's or model's)")
    group.add_argument("--roi", type=box, metavar="X0,X1,Y0,Y1,Z0,Z1", help="look only at this box, mm, LPS")
    group.add_argument(
        "--min-volume", type=not_negative, metavar="ML", help="smallest lesion, ml (default: the adapter's or 0.5)"
    )


def add_result_options(parser: argparse.ArgumentParser) -> None:
    """How lesions are measured and written."""
    group = parser.add_argument_group("figures and files")
    group.add_argument("--segments", choices=("one", "each"), default="each", help="in the SEG (default: each)")
    group.add_argument("--mtv-rule", choices=MTV_RULES, default=USUAL_RULE, help="default: 41%% of the lesion's SUVmax")


def add_running_options(group, inputs: str = "auto") -> None:
    """Which network runs, on what, and where. inputs: what the default means, in words."""
    group.add_argument("--model", metavar="NAME|DIR", help="installed model or model folder (default: the bundled one)")
    group.add_argument("--inputs", choices=("auto", "ct+pet", "ct", "pet"), default="auto", help=f"default: {inputs}")
    group.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto", help="default: auto")
    group.add_argument(
        "--whole-study", action="store_true", help="run although a study reaches outside the region the model knows"
    )


def add_adapter_option(group) -> None:
    """With which adapter the model runs."""
    group.add_argument(
        "--adapter", metavar="NAME|DIR|none", default="none", help="installed adapter or adapter folder (default: none)"
    )


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


def number(text: str) -> float:
    """A number of any size; argparse by itself names the function that failed, not what is wrong."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def positive(text: str) -> float:
    """A number above zero."""
    value = number(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not above zero")
    return value


def not_negative(text: str) -> float:
    """A number of zero or more."""
    value = number(text)
    if not (value >= 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is below zero")
    return value


def share(text: str) -> float:
    """A number between 0 and 1, both left out."""
    value = number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def box(text: str) -> tuple[float, ...]:
    """X0,X1,Y0,Y1,Z0,Z1 in mm, LPS, each pair rising."""
    values = tuple(map(number, text.split(",")))
    if len(values) != 6 or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError("six numbers are needed: X0,X1,Y0,Y1,Z0,Z1 (mm, LPS)")
    if not all(low < high for low, high in zip(values[::2], values[1::2], strict=True)):
        raise argparse.ArgumentTypeError("each pair must rise: X0 < X1, Y0 < Y1, Z0 < Z1")
    return values


def moment(text: str) -> str:
    """A DICOM time, HHMMSS, or date and time, YYYYMMDDHHMMSS."""
    if not re.fullmatch(r"(\d{8})?([01]\d|2[0-3])[0-5]\d[0-5]\d", text):
        raise argparse.ArgumentTypeError(f"{text} is not HHMMSS or YYYYMMDDHHMMSS")
    return text

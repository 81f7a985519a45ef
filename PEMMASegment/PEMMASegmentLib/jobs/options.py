"""The options of the jobs, by the names that the command line and the background process' requests share. Nothing heavy.

Each option's default and check stand here alone. A check takes a word of the command line or a value of JSON and gives the
option's value; it raises ValueError that says what is wrong.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from ..adaptation.choices import EFFORTS, METHODS, ORIGINS, TIMED
from ..core import PemmaError
from ..core.types import DEVICES, INPUTS, MTV_RULES, USUAL_RULE

T = TypeVar("T")


def text(value: Any) -> str:
    """Words."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def flag(value: Any) -> bool:
    """Yes or no."""
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


@dataclass(frozen=True)
class OneOf:
    """A check that a value is one of these."""

    choices: tuple[str, ...]

    def __call__(self, value: Any) -> str:
        if value not in self.choices:
            raise ValueError(f"invalid choice: {value!r} (choose from {', '.join(map(repr, self.choices))})")
        return value


def number(value: Any) -> float:
    """A number of any size, also as a text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None


def positive(value: Any) -> float:
    """A number above zero."""
    found = number(value)
    if not (found > 0 and math.isfinite(found)):
        raise ValueError(f"{value} is not above zero")
    return found


def not_negative(value: Any) -> float:
    """A number of zero or more."""
    found = number(value)
    if not (found >= 0 and math.isfinite(found)):
        raise ValueError(f"{value} is below zero")
    return found


def share(value: Any) -> float:
    """A number between 0 and 1, both left out, also where it is rounded to the float32 of probabilities."""
    found = number(value)
    if not 1e-6 <= found <= 1 - 1e-6:
        raise ValueError(f"{value} is not between 0 and 1")
    return found


def box(value: Any) -> tuple[float, ...]:
    """X0,X1,Y0,Y1,Z0,Z1 in mm, LPS, each pair rising; of JSON also a list."""
    found = tuple(map(number, value if isinstance(value, list | tuple) else text(value).split(",")))
    if len(found) != 6 or not all(map(math.isfinite, found)):
        raise ValueError("six numbers are needed: X0,X1,Y0,Y1,Z0,Z1 (mm, LPS)")
    if not all(low < high for low, high in zip(found[::2], found[1::2], strict=True)):
        raise ValueError("each pair must rise: X0 < X1, Y0 < Y1, Z0 < Z1")
    return found


def whole_number(value: Any) -> int:
    """A whole number of 32 bits."""
    if not isinstance(value, int | str) or not re.fullmatch("[0-9]+", str(value)) or int(value) >= 2**32:
        raise ValueError(f"{value} is not a whole number from 0 to 4294967295")
    return int(value)


def path(value: Any) -> Path:
    """A file or folder, there or not."""
    return Path(text(value))


def paths(value: Any) -> tuple[Path, ...]:
    """Several of them, a list in JSON."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"{value!r} is no list")
    return tuple(map(path, value))


def moment(value: Any) -> str:
    """A DICOM time, HHMMSS, or date and time, YYYYMMDDHHMMSS."""
    if not re.fullmatch(r"(\d{8})?([01]\d|2[0-3])[0-5]\d[0-5]\d", text(value)):
        raise ValueError(f"{value} is not HHMMSS or YYYYMMDDHHMMSS")
    return value


def option(default: Any, check: Callable[[Any], Any]) -> Any:
    """A field of what follows: its default, which is not checked, and the check of what is given."""
    return field(default=default, metadata={"check": check})


@dataclass(frozen=True)
class Reading:
    """How a study is read: series chosen by hand, and typed values, see `study.types.Typed`."""

    ct_series: str | None = option(None, text)
    pet_series: str | None = option(None, text)
    weight_kg: float | None = option(None, positive)
    height_m: float | None = option(None, positive)
    dose_bq: float | None = option(None, positive)
    injection_time: str | None = option(None, moment)
    isotope: str | None = option(None, text)


@dataclass(frozen=True)
class Running(Reading):
    """Which network runs, on what, and where. model: name or folder, None for the bundled one."""

    model: str | None = option(None, text)
    inputs: str = option("auto", OneOf(("auto", *INPUTS)))
    device: str = option("auto", OneOf(DEVICES))
    whole_study: bool = option(False, flag)

    @property
    def need(self) -> str | None:
        """The modalities that a study must have, None for any."""
        return None if self.inputs == "auto" else self.inputs


@dataclass(frozen=True)
class Segmenting(Running):
    """What of a network's answer is lesion, and how lesions are measured and written.

    adapter: name, folder or "none". threshold: a probability. roi: mm, LPS. min_volume: ml. None: the adapter's or model's own.
    """

    adapter: str = option("none", text)
    threshold: float | None = option(None, share)
    roi: tuple[float, ...] | None = option(None, box)
    min_volume: float | None = option(None, not_negative)
    segments: str = option("each", OneOf(("one", "each")))
    mtv_rule: str = option(USUAL_RULE, OneOf(MTV_RULES))


@dataclass(frozen=True)
class Adding(Running):
    """What there is to say of a new case, and who segments it blind before its contour is known.

    annotation_roi: the structure that is the tumour, None: the only one. patient: None: the headers' Patient ID. origin: None:
    what the annotation's file says. no_blind: why there is to be no blind record, "" for one.
    """

    annotation_roi: str | None = option(None, text)
    patient: str | None = option(None, text)
    origin: str | None = option(None, OneOf(ORIGINS))
    note: str = option("", text)
    no_blind: str = option("", text)
    adapter: str = option("none", text)


@dataclass(frozen=True)
class Adapting(Running):
    """From which cases, how, and for which inputs.

    studies: annotated folders; or library: of cases. name: "" for that of the method and the cases. annotation_roi: as for
    `Adding`. targets: the weights. minutes: about how long the adapter may take, instead of `effort`.
    """

    studies: tuple[Path, ...] = option((), paths)
    library: Path | None = option(None, path)
    name: str = option("", text)
    annotation_roi: str | None = option(None, text)
    method: str = option("salt", OneOf(METHODS))
    targets: str = option("all", text)
    effort: str = option("standard", OneOf(tuple(EFFORTS)))
    minutes: float | None = option(None, positive)
    seed: int = option(0, whole_number)

    def __post_init__(self) -> None:
        """Raises ValueError for options that don't go together."""
        if bool(self.studies) == bool(self.library):
            raise ValueError("give either --library DIR or STUDY folders")
        if len(self.studies) != 1 and (given := of_one_study(self)):
            raise ValueError(f"{given} goes with one STUDY")
        if self.minutes is not None and self.method not in TIMED:
            raise ValueError(f"--minutes goes with --method {', '.join(TIMED)}")
        if self.minutes is not None and self.effort != Adapting.effort:
            raise ValueError("--effort doesn't go with --minutes")


#: What says something of one study and would be wrong for the next.
OF_ONE_STUDY = (*(one.name for one in fields(Reading)), "annotation", "roi")


def read(kind: type[T], given: Mapping[str, Any]) -> T:
    """Options from the fields of a request; None: not given. Raises PemmaError "option" for what is unknown or wrong."""
    checks = {one.name: one.metadata["check"] for one in fields(kind)}
    if unknown := sorted(set(given) - set(checks)):
        raise PemmaError("option", f"unrecognized arguments: {', '.join(map(spelled, unknown))}")
    values = {}
    for name, value in given.items():
        try:
            if value is not None:
                values[name] = checks[name](value)
        except ValueError as error:
            raise PemmaError("option", f"argument {spelled(name)}: {error}") from error
    try:
        return kind(**values)
    except ValueError as error:
        raise PemmaError("option", str(error)) from error


def of_one_study(options: object) -> str:
    """The first given option that goes with one study, spelled; "" where there is none."""
    return next((spelled(name) for name in OF_ONE_STUDY if getattr(options, name, None) is not None), "")


def spelled(name: str) -> str:
    """An option as the command line has it: --min-volume."""
    return "--" + name.replace("_", "-")

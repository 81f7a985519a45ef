"""What a training run is told: one JSON file, read into typed objects and refused with a reason."""

import json
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

from ..core import PemmaError
from ..core.folders import is_plain_name
from ..network.architecture import Architecture, Preprocessing
from ..network.files import Label, from_json, why
from ..network.numbers import COUNT, NOT_NEGATIVE, POSITIVE, SEED, SHARE, SHARE_ABOVE_0, check_numbers

#: The groups of patients that a split may name; only the first two are read here, the others stand on the model's card.
GROUPS = ("train", "select", "site", "demo")
_KEYS = {"name", "version", "split", "seed", "foreground", "architecture", "preprocessing", "stages", "labels", "region"}


@dataclass(frozen=True)
class Stage:
    """One stage of training. name: "ct" (the CT network, everything) or a modality to add (only what it brings).

    together: share of steps that see CT with the modality; the rest see it alone (PEMMA stage only).
    gate_rate: learning rate of the gates in units of `rate`; they start at zero and are few.
    whole, anywhere: shares of windows drawn from the uncut case, and from a cut that may leave out the tumour or go
    through it; the rest comes from cuts that keep the tumour (`windows.random_cut`).
    """

    name: str
    steps: int
    batch: int = 2
    rate: float = 1e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.05
    average: float = 0.998
    together: float = 0.6
    gate_rate: float = 10.0
    whole: float = 0.0
    anywhere: float = 0.0

    def __post_init__(self) -> None:
        check_numbers(self, f"stage {self.name!r}", steps=COUNT, batch=COUNT, rate=POSITIVE, weight_decay=NOT_NEGATIVE,
                      warm_up=SHARE, average=SHARE, together=SHARE_ABOVE_0, gate_rate=NOT_NEGATIVE, whole=SHARE, anywhere=SHARE)
        if self.whole + self.anywhere > 1:
            raise ValueError(f"stage {self.name!r}: whole and anywhere are shares of one whole")


@dataclass(frozen=True)
class Config:
    """A training run: network, preprocessing, stages, split by patient, labels and the words for the model's card."""

    name: str
    version: str
    architecture: Architecture
    preprocessing: Preprocessing
    stages: tuple[Stage, ...]
    labels: tuple[Label, ...]
    region: str
    train: tuple[str, ...]
    select: tuple[str, ...] = ()
    seed: int = 0
    foreground: float = 0.7
    split: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_numbers(self, "configuration", seed=SEED, foreground=SHARE)


def read_config(file: Path) -> Config:
    """Reads and checks a training configuration; patients are named in the file it calls `split`, beside it.

    Raises PemmaError "config-missing" or "config-invalid".
    """
    file = Path(file)
    try:
        raw = _json(file)
        split = _json(file.parent / raw["split"])
        _check(raw, split)
        return Config(
            name=str(raw["name"]),
            version=str(raw["version"]),
            architecture=from_json(Architecture, raw["architecture"]),
            preprocessing=from_json(Preprocessing, raw["preprocessing"]),
            stages=tuple(from_json(Stage, stage) for stage in raw["stages"]),
            labels=tuple(from_json(Label, label) for label in raw["labels"]),
            region=str(raw["region"]),
            train=tuple(split["train"]),
            select=tuple(split.get("select", ())),
            seed=raw.get("seed", 0),
            foreground=float(raw.get("foreground", 0.7)),
            split=split,
        )
    except OSError as error:
        raise PemmaError("config-missing", f"{error.strerror}: {Path(error.filename).name}",
                         "name an existing configuration file", file.name) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PemmaError("config-invalid", f"the training configuration can't be used: {why(error)}",
                         "compare it with the one bundled beside the model", file.name) from error


def _json(file: Path) -> Any:
    """The contents of a JSON file, also one that an editor on Windows has saved with a byte order mark."""
    return json.loads(file.read_text("utf-8-sig"))


def _check(raw: dict, split: dict) -> None:
    """Raises ValueError for what would only be noticed hours later, or never."""
    if unknown := set(raw) - _KEYS:
        raise ValueError(f"unknown keys {sorted(unknown)}")
    if not (isinstance(raw["name"], str) and is_plain_name(raw["name"])):
        raise ValueError(f"{raw['name']!r} can't name a model: use letters, digits, dot, dash, plus and underscore")
    names = [stage["name"] for stage in raw["stages"]]
    if names[:1] != ["ct"] or not set(names) <= {"ct", "pet"}:
        raise ValueError(f"the stages are called {names}: the first must be 'ct', each later one 'ct' or 'pet'")
    if len(raw["labels"]) != 1:
        raise ValueError(f"{len(raw['labels'])} labels: this version tells a single one from the background, so 1")
    _check_split(split)


def _check_split(split: dict) -> None:
    """Raises ValueError unless each patient is in one group; what is no list may be a note on the split."""
    if "train" not in split:
        raise ValueError("the file under 'split' names no patients to 'train' with")
    if unknown := [key for key, value in split.items() if key not in GROUPS and isinstance(value, list)]:
        raise ValueError(f"unknown groups {sorted(unknown)} in the split, which may have {', '.join(GROUPS)}")
    for group in GROUPS:
        names = split.get(group, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"{group!r} of the split is no list of patients' names")
    for one, other in combinations(GROUPS, 2):
        if both := set(split.get(one, ())) & set(split.get(other, ())):
            raise ValueError(f"{min(both)} is among both {one} and {other} of the split")

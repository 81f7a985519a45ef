"""What adapter.json states, as a typed object: read, written, or refused with a reason."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, get_origin

from .. import __version__
from ..core import Identity, PemmaError
from ..core.files import write_text
from ..core.types import INPUTS
from .methods import Method

#: 2 added the fixes that need no method: parameters, intensity in its shape, threshold, min_volume_ml, flips, note.
SCHEMA, READ = 2, (1, 2)
CARD = "adapter.json"
WAY_OUT = "import the adapter again, or go on without one"


@dataclass(frozen=True)
class AdapterCard:
    """The contents of adapter.json; nothing of a patient's identity. Any of its parts may be missing, not all.

    method, pattern, targets: the update of matrices, what was asked for and each matrix it chose; None, "", () without.
    parameters: names of parameters that were trained as they are (norms, last layer) and lie in the file in full.
    intensity: by modality two lists, values as the study has them (HU, SUVbw; rising) and what the network is given
    instead; linear between, constant beyond. It acts on the network's input, never on reported SUVs.
    flips: the answer is the mean over mirrored inputs. threshold, min_volume_ml: instead of the model's and 0.5 ml.
    base: the model whose weights it was made for. inputs: "ct+pet", "ct" or "pet", for which it was made; it is off
    with others. sha256: of adapter.safetensors, "" without. trained_parameters, trained_share: numbers trained,
    and as a share of the base's. training: cases and hashes of their images, recipe, seed, seconds. scores: held-out, before
    and after. verdict: "" as long as nothing is proved. origin: what its cases' headers state (`study.scanner.gathered`).
    note: the user's own.
    """

    name: str
    version: str
    method: Method | None
    pattern: str
    targets: tuple[str, ...]
    base: Identity
    inputs: str
    sha256: str = ""
    trained_parameters: int = 0
    trained_share: float = 0.0
    training: dict[str, Any] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    verdict: str = ""
    origin: dict[str, Any] = field(default_factory=dict)
    intensity: dict[str, list[list[float]]] | None = None
    library: str = __version__
    parameters: tuple[str, ...] = ()
    flips: bool = False
    threshold: float | None = None
    min_volume_ml: float | None = None
    note: str = ""

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs {self.inputs!r} are not ct+pet, ct or pet")
        if bool(self.targets) != (self.method is not None) or len(set(self.targets)) != len(self.targets):
            raise ValueError("targets are empty, without a method, or named twice")
        twice = {f"{target.removesuffix(end)}.weight" for target in self.targets for end in ("", ".q", ".k", ".v")}
        if len(set(self.parameters)) != len(self.parameters) or twice & set(self.parameters):
            raise ValueError("parameters are named twice, or as a target too")
        if type(self.flips) is not bool:
            raise ValueError("flips is neither true nor false")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold {self.threshold!r} is not between 0 and 1")
        if self.min_volume_ml is not None and not 0 <= self.min_volume_ml < math.inf:
            raise ValueError(f"min_volume_ml {self.min_volume_ml!r} is no volume")
        listed = all(isinstance(texts, list | tuple) for texts in self.origin.values())
        if not listed or not all(isinstance(text, str) for texts in self.origin.values() for text in texts):
            raise ValueError("origin does not hold lists of texts")
        for modality, curve in (self.intensity or {}).items():
            _check_curve(modality, curve, self.inputs)
        if not (self.trains or self.fixes):
            raise ValueError("it changes nothing")

    @property
    def trains(self) -> bool:
        """Whether it changes weights, so that there is an adapter.safetensors."""
        return bool(self.targets or self.parameters)

    @property
    def fixes(self) -> dict[str, Any]:
        """What it changes beside weights."""
        parts = {"intensity": self.intensity, "flips": self.flips, "threshold": self.threshold,
                 "min_volume_ml": self.min_volume_ml}
        return {name: value for name, value in parts.items() if not (value is None or value is False or value == {})}


def write_card(folder: Path, card: AdapterCard) -> None:
    """Writes adapter.json, also in the place of an older one: when the proof comes later than the weights."""
    write_text(Path(folder) / CARD, json.dumps({"schema": SCHEMA, **asdict(card)}, indent=1, allow_nan=False) + "\n")


def read_card(folder: Path) -> AdapterCard:
    """adapter.json as a typed object; PemmaError with the reason when it does not fit."""
    try:
        raw = json.loads((Path(folder) / CARD).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise PemmaError("adapter-missing", "the folder holds no adapter.json", WAY_OUT, Path(folder).name) from None
    except (ValueError, RecursionError) as error:
        raise PemmaError("adapter-damaged", f"adapter.json can't be read: {error}", WAY_OUT, CARD) from error
    schema = raw.pop("schema", None) if isinstance(raw, dict) else None
    if type(schema) is not int or schema not in READ:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise PemmaError("adapter-schema", f"adapter.json has schema {schema!r}, this version reads up to {SCHEMA}",
                         "update PEMMASegment" if newer else WAY_OUT, CARD)
    try:
        method = None if raw["method"] is None else _typed(Method, raw["method"])
        lists = {name: tuple(raw.get(name, ())) for name in ("targets", "parameters")}
        return _typed(AdapterCard, raw | lists | {"method": method, "base": _typed(Identity, raw["base"])})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PemmaError("adapter-damaged", f"adapter.json does not describe an adapter: {error}", WAY_OUT,
                         CARD) from error


def _check_curve(modality: str, curve: Any, inputs: str) -> None:
    """Refuses an intensity map that is no rising curve of one of the inputs."""
    if modality not in inputs.split("+"):
        raise ValueError(f"there is an intensity map for {modality!r} and no such input")
    given, wanted = curve
    numbers = [*given, *wanted]
    if len(given) != len(wanted) or len(given) < 2 or not all(type(n) in (int, float) for n in numbers):
        raise ValueError(f"the intensity map for {modality} is not two lists of numbers, equally long")
    steps = [(b - a, d - c) for (a, b), (c, d) in zip(pairwise(given), pairwise(wanted), strict=True)]
    if not all(map(math.isfinite, numbers)) or not all(dx > 0 and dy >= 0 for dx, dy in steps):
        raise ValueError(f"the intensity map for {modality} does not rise")


def _typed(kind: type, raw: dict) -> Any:
    """A dataclass from a JSON object; unknown keys and values of another type are refused by name."""
    kinds = {f.name: f.type for f in fields(kind)}
    if not isinstance(raw, dict) or set(raw) - set(kinds):
        raise ValueError(f"{kind.__name__} has unknown keys {sorted(set(raw) - set(kinds))}")
    plain = {name: get_origin(kinds[name]) or kinds[name] for name in raw}  # dict of dict[str, Any]
    wrong = [name for name, value in raw.items() if type(value) not in _TAKEN.get(plain[name], (type(value),))]
    if wrong:
        raise ValueError(f"{wrong[0]} of {kind.__name__} is not a {plain[wrong[0]].__name__}")
    return kind(**raw)


_TAKEN = {float: (float, int), int: (int,), str: (str,), dict: (dict,)}

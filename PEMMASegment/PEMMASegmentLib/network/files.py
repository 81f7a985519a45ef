"""Model folders: `model.safetensors`, `model.json` and `README.md`, read into typed objects or refused with a reason."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..core import Identity, PemmaError
from ..core.files import sha256_of, write_atomically, write_text
from ..core.resources import resources, user_folder
from ..core.types import CATEGORY_CODE, TYPE_CODE
from .architecture import Architecture, Preprocessing
from .numbers import POSITIVE, check_numbers

SCHEMA = 1
WEIGHTS, CARD = "model.safetensors", "model.json"
_WAY_OUT = "get the model anew from whoever made it, or use another one"


@dataclass(frozen=True)
class Label:
    """One class of the output with its SNOMED CT codes (scheme SCT): no other than what results are written with."""

    value: int
    name: str
    category_code: str
    type_code: str

    def __post_init__(self) -> None:
        if (self.category_code, self.type_code) != (CATEGORY_CODE, TYPE_CODE):
            raise ValueError(f"label {self.name!r} has the SNOMED CT codes {self.category_code!r} and "
                             f"{self.type_code!r}, this version writes {CATEGORY_CODE!r} and {TYPE_CODE!r} only")


@dataclass(frozen=True)
class Region:
    """The part of the body that the model knows: in words, and the longest extent (mm) of its training images."""

    words: str
    longest_mm: float

    def __post_init__(self) -> None:
        check_numbers(self, "region", longest_mm=POSITIVE)
        if not isinstance(self.words, str):
            raise ValueError(f"region: words is {self.words!r}, it must be a text")


@dataclass(frozen=True)
class ModelCard:
    """The contents of model.json.

    threshold: by inputs ("ct+pet", "ct", "pet"), chosen on the selection patients. sha256: of the weights' file.
    provenance: data, split, stages with what was trained, library version; no patient's identity.
    """

    name: str
    version: str
    architecture: Architecture
    preprocessing: Preprocessing
    labels: tuple[Label, ...]
    region: Region
    threshold: dict[str, float]
    sha256: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """All modalities that the model takes, CT first."""
        return ("ct", *self.architecture.modalities)

    @property
    def identity(self) -> Identity:
        return Identity(self.name, self.version, self.sha256)


@dataclass(frozen=True)
class Model:
    """A network in evaluation mode with its card. left_out: names of its reference cases that nothing may look at."""

    card: ModelCard
    net: Any  # network.pemma.Pemma; Any, so that reading a card needs no torch
    folder: Path
    left_out: frozenset[str] = frozenset()

    @property
    def identity(self) -> Identity:
        return self.card.identity


def models_folder() -> Path:
    """Where the user's own models lie (architecture.md: platformdirs, moved by PEMMA_SEGMENT_HOME)."""
    return user_folder() / "models"


def bundled() -> list[Path]:
    """Model folders that come with the library."""
    return _models_in(resources() / "Models")


def installed() -> list[Path]:
    """Model folders, the bundled ones first, then the user's."""
    return bundled() + _models_in(models_folder())


def _models_in(folder: Path) -> list[Path]:
    return [m for m in sorted(folder.iterdir()) if (m / CARD).is_file()] if folder.is_dir() else []


def find_model(name_or_folder: str | Path | None = None) -> Path:
    """The folder of a model given by name or path; the bundled one when nothing is given.

    Raises PemmaError "model-missing", "model-unknown", "model-ambiguous".
    """
    known = installed()
    if name_or_folder is None:
        if known:
            return known[0]
        raise PemmaError("model-missing", "no model is installed", "install one with `pemma-segment models import`")
    by_name = {m.name: m for m in reversed(known)}
    if folder := named("model", name_or_folder, by_name, CARD):
        return folder
    names, called = ", ".join(by_name) or "none", Path(name_or_folder).name
    raise PemmaError("model-unknown", f"no model is called {called!r}; installed are: {names}",
                     "name one of these, or a folder that holds model.json", called)


def named(kind: str, name_or_folder: str | Path, known: dict[str, Path], card: str) -> Path | None:
    """The installed folder of this name, or the very folder if the file `card` lies in it; None where neither is there.

    kind: "model" or "adapter". Raises PemmaError "<kind>-ambiguous" where both are there with different cards: one of them
    would act in the place of the other, and nobody would notice.
    """
    folder, there = Path(name_or_folder), known.get(str(name_or_folder))
    here = folder if (folder / card).is_file() else None
    if there and here and sha256_of(there / card) != sha256_of(here / card):
        sentence = f"an installed {kind} is called {folder.name}, and the folder of that name holds another one"
        raise PemmaError(f"{kind}-ambiguous", sentence,
                         f"write ./{folder.name} for the folder, or rename or remove one of the two", folder.name)
    return there or here


def read_card(folder: Path) -> ModelCard:
    """model.json as a typed object; PemmaError with the reason when it does not fit."""
    try:
        raw = json.loads((Path(folder) / CARD).read_text("utf-8"))
    except FileNotFoundError:
        raise PemmaError("model-missing", "the folder holds no model.json", _WAY_OUT, Path(folder).name) from None
    except (ValueError, RecursionError) as error:
        raise PemmaError("model-damaged", f"model.json can't be read: {error}", _WAY_OUT, CARD) from error
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise PemmaError("model-schema", f"model.json has schema {schema!r}, this version reads {SCHEMA}",
                         "update PEMMASegment" if newer else _WAY_OUT, CARD)
    try:
        return _card(raw)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PemmaError("model-damaged", f"model.json can't be used: {why(error)}", _WAY_OUT, CARD) from error


def check(folder: Path) -> ModelCard:
    """The card of a folder whose weights have the hash that the card states."""
    card = read_card(folder)
    weights = Path(folder) / WEIGHTS
    if not weights.is_file():
        raise PemmaError("model-damaged", "the folder holds no model.safetensors", _WAY_OUT, WEIGHTS)
    found = sha256_of(weights)
    if found != card.sha256:
        raise PemmaError("model-hash", f"the weights have sha256 {found[:12]}..., model.json states "
                         f"{card.sha256[:12]}...", _WAY_OUT, WEIGHTS)
    return card


def load_model(folder: Path) -> Model:
    """Checks the folder's hash, builds the network and loads its weights in float32.

    Read into memory: Windows lets nobody replace or remove a file that is mapped.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    from .pemma import Pemma

    card = check(folder)
    try:
        tensors = load((Path(folder) / WEIGHTS).read_bytes())
    except SafetensorError as error:
        raise PemmaError("model-damaged", f"the weights can't be read: {error}", _WAY_OUT, WEIGHTS) from error
    if bad := _not_finite(tensors):
        raise PemmaError("model-weights", f"the weights hold numbers that are not finite ({bad})", _WAY_OUT, WEIGHTS)
    try:
        net = Pemma(card.architecture)
    except (KeyError, TypeError, ValueError) as error:  # of torch and MONAI, over what does not go together
        raise PemmaError("model-damaged", f"no network can be made of the architecture: {error}", _WAY_OUT, CARD) from error
    fits = {name: t.shape for name, t in net.state_dict().items()}
    wrong = sorted(set(fits) ^ set(tensors)) or [n for n, t in tensors.items() if t.shape != fits[n]]
    if wrong:
        raise PemmaError("model-weights", f"{len(wrong)} tensors do not fit the architecture, the first is {wrong[0]}",
                         _WAY_OUT, WEIGHTS)
    net.load_state_dict({name: t.float() for name, t in tensors.items()})
    return Model(card, net.requires_grad_(False).eval(), Path(folder))


def save_model(folder: Path, net: Any, card: ModelCard, readme: str, dtype: Any = None) -> ModelCard:
    """Writes a model folder; weights as `dtype` (float32 when None). Returns the card with the weights' hash.

    Raises PemmaError "not-finite", before anything is written, for weights that are not, or are too large for `dtype`.
    """
    from dataclasses import replace

    from safetensors.torch import save_file

    folder = Path(folder)
    tensors = {name: t.detach().cpu().to(dtype or t.dtype).contiguous() for name, t in net.state_dict().items()}
    if bad := _not_finite(tensors):
        raise PemmaError("not-finite", f"the trained weights hold numbers that are not finite, or too large to store ({bad})",
                         "begin anew with lower rates or another seed, in another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, str(path)))
    card = replace(card, sha256=sha256_of(folder / WEIGHTS))
    write_text(folder / CARD, json.dumps({"schema": SCHEMA, "library": __version__, **asdict(card)}, indent=1) + "\n")
    write_text(folder / "README.md", readme)
    return card


def _not_finite(tensors: dict[str, Any]) -> str:
    """The name of a tensor that holds NaN or infinity, "" where none does."""
    return next((name for name, t in tensors.items() if not t.isfinite().all()), "")


def _card(raw: dict) -> ModelCard:
    threshold = {str(k): float(v) for k, v in raw["threshold"].items()}
    if not all(0 < v < 1 for v in threshold.values()):
        raise ValueError("thresholds must lie between 0 and 1")
    return ModelCard(
        name=str(raw["name"]),
        version=str(raw["version"]),
        architecture=from_json(Architecture, raw["architecture"]),
        preprocessing=from_json(Preprocessing, raw["preprocessing"]),
        labels=tuple(from_json(Label, item) for item in raw["labels"]),
        region=from_json(Region, raw["region"]),
        threshold=threshold,
        sha256=str(raw["sha256"]),
        provenance=dict(raw.get("provenance", {})),
    )


def why(error: Exception) -> str:
    """An error in words: all that a KeyError says by itself is the key."""
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def from_json(kind: type, raw: dict) -> Any:
    """A dataclass from a JSON object: lists become tuples, unknown keys are refused by name."""
    unknown = set(raw) - {f.name for f in fields(kind)}
    if unknown:
        raise ValueError(f"unknown keys {sorted(unknown)} in {kind.__name__}")
    return kind(**{name: tuple(v) if isinstance(v, list) else v for name, v in raw.items()})

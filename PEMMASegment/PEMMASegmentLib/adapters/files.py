"""Adapter folders: `adapter.safetensors` and `adapter.json`, read into typed objects or refused with a reason."""

import copy
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .. import __version__
from ..core import Identity, PemmaError
from ..core.files import sha256_of, write_atomically, write_text
from .attaching import fold, put_on
from .blocks import Block, find
from .methods import Method, build, check_ranks

SCHEMA = 1
WEIGHTS, CARD = "adapter.safetensors", "adapter.json"
_WAY_OUT = "import the adapter again, or go on without one (--adapter none)"


@dataclass(frozen=True)
class AdapterCard:
    """The contents of adapter.json; nothing of a patient's identity.

    pattern: what was asked for; targets: each matrix that it chose. base: the model whose weights it was trained on.
    inputs: "ct+pet", "ct" or "pet", for which it was trained and proved; it is off with others.
    sha256: of adapter.safetensors. trained_parameters, trained_share: numbers trained, and as a share of the base's.
    training: cases, recipe, seed, seconds. scores: held-out, before and after. verdict: "" as long as nothing is proved.
    origin: scanner, reconstruction, kernel, tracer of the cases. intensity: the intensity mapping of the input, if any.
    """

    name: str
    version: str
    method: Method
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
    intensity: dict[str, Any] | None = None
    library: str = __version__

    def __post_init__(self) -> None:
        if self.inputs not in ("ct+pet", "ct", "pet"):
            raise ValueError(f"inputs {self.inputs!r} are not ct+pet, ct or pet")
        if not self.targets or len(set(self.targets)) != len(self.targets):
            raise ValueError("targets are empty or named twice")


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory: its card and its tensors by name, checked against each other."""

    card: AdapterCard
    tensors: dict[str, Tensor]

    @property
    def identity(self) -> Identity:
        return Identity(self.card.name, self.card.version, self.card.sha256)

    @property
    def inputs(self) -> str:
        """The inputs that it was trained and proved for."""
        return self.card.inputs

    def attach(self, net: nn.Module) -> None:
        """Puts the stored update on `net`, trainable. Raises PemmaError "adapter-names" unless everything fits."""
        found = find(net)
        missing = [name for name in self.card.targets if name not in found]
        if missing:
            raise _misfit(missing, "the network has no such weight")
        updates = {found[name]: build(self.card.method, found[name]) for name in self.card.targets}
        check_ranks(self.card.method, updates)
        _fill(updates, self.tensors)
        put_on(net, updates)

    def merged(self, net: nn.Module) -> nn.Module:
        """A copy of `net` with the update in its weights, as fast as the base; `net` itself keeps every bit."""
        merged = copy.deepcopy(net)
        self.attach(merged)
        fold(merged)
        return merged.requires_grad_(False)


def save(folder: Path, tensors: dict[str, Tensor], card: AdapterCard) -> AdapterCard:
    """Writes a new adapter folder from what `collect` gave; returns the card with the hash of the weights.

    The card comes last: a folder without it is no adapter. Never writes over another adapter.
    """
    folder = Path(folder)
    if (folder / CARD).exists():
        raise PemmaError("adapter-exists", "there is an adapter in this folder already", "choose a new folder",
                         folder.name)
    _check_tensors(card, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, str(path)))
    card = replace(card, sha256=sha256_of(folder / WEIGHTS))
    write_card(folder, card)
    return card


def write_card(folder: Path, card: AdapterCard) -> None:
    """Writes adapter.json, also in the place of an older one: when the proof comes later than the weights."""
    write_text(Path(folder) / CARD, json.dumps({"schema": SCHEMA, **asdict(card)}, indent=1, allow_nan=False) + "\n")


def read_card(folder: Path) -> AdapterCard:
    """adapter.json as a typed object; PemmaError with the reason when it does not fit."""
    try:
        raw = json.loads((Path(folder) / CARD).read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise PemmaError("adapter-missing", "the folder holds no adapter.json", _WAY_OUT, Path(folder).name) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PemmaError("adapter-damaged", f"adapter.json can't be read: {error}", _WAY_OUT, CARD) from error
    schema = raw.pop("schema", None) if isinstance(raw, dict) else None
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise PemmaError("adapter-schema", f"adapter.json has schema {schema!r}, this version reads {SCHEMA}",
                         "update PEMMASegment" if newer else _WAY_OUT, CARD)
    try:
        nested = {"method": _typed(Method, raw["method"]), "base": _typed(Identity, raw["base"])}
        return _typed(AdapterCard, raw | nested | {"targets": tuple(raw["targets"])})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PemmaError("adapter-damaged", f"adapter.json does not describe an adapter: {error}", _WAY_OUT,
                         CARD) from error


def load(folder: Path, base: Identity) -> Adapter:
    """An adapter for the model `base`, checked by hash, names and numbers; refused with a reason."""
    folder, card = Path(folder), read_card(folder)
    if card.base.sha256 != base.sha256:
        raise PemmaError("adapter-base", f"the adapter was trained on {card.base.name} {card.base.version} "
                         f"({card.base.sha256[:12]}...), the model is {base.name} {base.version} "
                         f"({base.sha256[:12]}...)", "choose the model it belongs to, or adapt this one anew", folder.name)
    if not (folder / WEIGHTS).is_file():
        raise PemmaError("adapter-damaged", "the folder holds no adapter.safetensors", _WAY_OUT, WEIGHTS)
    found = sha256_of(folder / WEIGHTS)
    if found != card.sha256:
        raise PemmaError("adapter-hash", f"the weights have sha256 {found[:12]}..., adapter.json states "
                         f"{card.sha256[:12]}...", _WAY_OUT, WEIGHTS)
    try:
        tensors = load_file(str(folder / WEIGHTS))
    except SafetensorError as error:
        raise PemmaError("adapter-damaged", f"the weights can't be read: {error}", _WAY_OUT, WEIGHTS) from error
    _check_tensors(card, tensors)
    return Adapter(card, tensors)


def shapes(method: Method, blocks: list[Block]) -> dict[str, Tensor]:
    """Every tensor of an adapter's file by name, without its numbers (on the meta device)."""
    with torch.device("meta"):
        return {f"{b.name}.{name}": t for b in blocks for name, t in build(method, b).state_dict().items()}


def _check_tensors(card: AdapterCard, tensors: dict[str, Tensor]) -> None:
    """Every target has tensors and every tensor a target; all numbers are finite."""
    owners = {name: name.rpartition(".")[0] for name in tensors}
    wrong = sorted(set(card.targets) - set(owners.values())) + [n for n, o in owners.items() if o not in card.targets]
    if wrong:
        raise _misfit(wrong, "adapter.json and the weights name different targets")
    bad = [name for name, t in tensors.items() if not torch.isfinite(t).all()]
    if bad:
        raise PemmaError("adapter-not-finite", f"the adapter holds numbers that are not finite ({bad[0]})",
                         "train it again with a lower learning rate", WEIGHTS)


def _fill(updates: dict[Block, nn.Module], tensors: dict[str, Tensor]) -> None:
    """Puts stored tensors into fresh updates; names, shapes and precisions must agree both ways."""
    slots = {f"{block.name}.{name}": t for block, update in updates.items() for name, t in update.state_dict().items()}
    wrong = sorted(set(slots) ^ set(tensors))
    wrong = wrong or [n for n, t in tensors.items() if (t.shape, t.dtype) != (slots[n].shape, slots[n].dtype)]
    if wrong:
        raise _misfit(wrong, "the method, its ranks or the network's weights differ from the file's")
    for name, slot in slots.items():
        slot.copy_(tensors[name])


def _misfit(names: list[str], why: str) -> PemmaError:
    return PemmaError("adapter-names", f"{len(names)} names do not fit, the first is {names[0]}: {why}", _WAY_OUT,
                      WEIGHTS)


def _typed(kind: type, raw: dict) -> Any:
    """A dataclass from a JSON object; unknown keys and values of another type are refused by name."""
    kinds = {f.name: f.type for f in fields(kind)}
    if not isinstance(raw, dict) or set(raw) - set(kinds):
        raise ValueError(f"{kind.__name__} has unknown keys {sorted(set(raw) - set(kinds))}")
    wrong = [n for n, v in raw.items() if kinds[n] in (str, int, float) and type(v) not in (kinds[n], *_NUMBERS[kinds[n]])]
    if wrong:
        raise ValueError(f"{wrong[0]} of {kind.__name__} is not a {kinds[wrong[0]].__name__}")
    return kind(**raw)


_NUMBERS = {float: (int,), int: (), str: ()}

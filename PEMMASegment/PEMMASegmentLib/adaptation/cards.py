"""What is known of a case: whose contour, which patient by pseudonym, scanner, blind scores; its JSON and its hash."""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from .. import __version__
from ..core import Identity, PemmaError
from ..core.types import INPUTS
from ..network.files import from_json
from .choices import ORIGINS

SCHEMA = 1
LONGEST_TEXT = 200
_HASH = re.compile(r"[0-9a-f]{64}")
_ID, _PATIENT = re.compile(r"[0-9a-f]{12}"), re.compile(r"P-[0-9a-f]{12}")
WAY_OUT = "remove the case and add its study again, or bring the library back from a copy"


@dataclass(frozen=True)
class Origin:
    """Whose contour it is: drawn from scratch, corrected from the output of `model` (and `adapter`), or imported.

    A corrected contour stays "corrected" wherever the case goes: it says too little against its own beginning.
    """

    kind: str
    model: Identity | None = None
    adapter: Identity | None = None

    def __post_init__(self) -> None:
        if self.kind not in ORIGINS:
            raise ValueError(f"origin {self.kind!r} is not one of {', '.join(ORIGINS)}")
        if self.kind != "corrected" and (self.model or self.adapter):
            raise ValueError(f"a contour of origin {self.kind!r} has no model")

    @property
    def independent(self) -> bool:
        """Whether the contour counts in a proof."""
        return self.kind != "corrected"


@dataclass(frozen=True)
class Score:
    """What a model (with its adapter, None: the base alone) reached on a case before it had seen its contour; ml."""

    model: Identity
    adapter: Identity | None
    inputs: str
    dice: float
    surface_dice_5mm: float
    missed_ml: float
    extra_ml: float


@dataclass(frozen=True)
class Volume:
    """A stored image: hash and length of its file, hash of its voxels and geometry, and the geometry without rounding.

    size, spacing_mm, origin_mm: x, y, z; direction: 3 x 3 by rows; LPS. NIfTI keeps these in float32 only.
    """

    sha256: str
    bytes: int
    content: str
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    origin_mm: tuple[float, ...]
    direction: tuple[float, ...]


@dataclass(frozen=True)
class CaseCard:
    """The contents of case.json; nothing of a patient's identity.

    patient: pseudonym. inputs: what the case has. volume_ml, lesions: of the contour (26-connected). scanner: as
    `study.scanner.facts` tells it. blind: the prospective record; blind_left_out: why there is none, or none of the
    adapter's. suv_typed: values that the PET's headers lacked and a user typed. volumes: by "ct", "pet", "mask". sha256:
    of all the rest.
    """

    id: str
    patient: str
    origin: Origin
    inputs: str
    volume_ml: float
    lesions: int
    scanner: dict[str, str]
    volumes: dict[str, Volume]
    blind: tuple[Score, ...] = ()
    blind_left_out: str = ""
    note: str = ""
    suv_typed: tuple[str, ...] = ()
    library: str = field(default=__version__)
    sha256: str = ""


def is_id(text: str) -> bool:
    """Whether a text can be a case's id; anything else never becomes part of a path."""
    return bool(_ID.fullmatch(text))


def is_pseudonym(text: str) -> bool:
    """Whether a text can stand for a patient."""
    return bool(_PATIENT.fullmatch(text))


def as_json(card: CaseCard) -> dict[str, Any]:
    """Plain values, as case.json holds them."""
    return {"schema": SCHEMA, **asdict(card)}


def hash_of(card: CaseCard) -> str:
    """sha256 over everything that the card states but the hash itself; the images enter by their own hashes."""
    stated = {key: value for key, value in as_json(card).items() if key != "sha256"}
    text = json.dumps(stated, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def to_text(card: CaseCard) -> str:
    """The text of case.json."""
    return json.dumps(as_json(card), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def from_text(text: str | bytes, id: str) -> CaseCard:
    """The card of case `id`. Raises PemmaError "case-schema" or "case-damaged", with the case's name in it."""
    try:
        raw = json.loads(text)
        schema = raw.pop("schema", None)
    except (UnicodeDecodeError, ValueError, AttributeError, RecursionError) as error:
        raise damaged(id, "its case.json can't be read") from error
    if schema != SCHEMA:
        newer = isinstance(schema, int) and schema > SCHEMA
        raise PemmaError("case-schema", f"case {id} has schema {schema!r}, this version reads {SCHEMA}",
                         "update PEMMASegment" if newer else WAY_OUT, id)
    try:
        card = _card(raw)
        _check(card, id)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(id, "its case.json does not describe a case") from error
    if hash_of(card) != card.sha256:
        raise damaged(id, "its case.json was changed after it was written")
    return card


def damaged(id: str, why: str) -> PemmaError:
    """The refusal of one case, told by its name."""
    return PemmaError("case-damaged", f"case {id} is damaged: {why}", WAY_OUT, id)


def _card(raw: dict) -> CaseCard:
    blind = tuple(from_json(Score, score | _identities(score)) for score in raw["blind"])
    volumes = {name: from_json(Volume, volume) for name, volume in raw["volumes"].items()}
    origin = from_json(Origin, raw["origin"] | _identities(raw["origin"]))
    return from_json(CaseCard, raw | {"origin": origin, "volumes": volumes, "blind": blind})


def _identities(raw: dict) -> dict[str, Identity | None]:
    return {name: raw[name] and from_json(Identity, raw[name]) for name in ("model", "adapter")}


def _check(card: CaseCard, id: str) -> None:
    """Raises ValueError or TypeError for what can't be; a card from elsewhere may hold anything."""
    wanted = {"mask", *card.inputs.split("+")}
    sound = (
        card.id == id and is_id(id) and is_pseudonym(card.patient) and card.inputs in INPUTS
        and set(card.volumes) == wanted and card.volume_ml > 0 and type(card.lesions) is int and card.lesions > 0
        and _HASH.fullmatch(card.sha256) and all(score.model and score.inputs in INPUTS for score in card.blind)
    )  # fmt: skip
    if not sound:
        raise ValueError("values that can't be")
    for score in card.blind:
        if not all(0 <= number < 1e6 for number in (score.dice, score.surface_dice_5mm, score.missed_ml, score.extra_ml)):
            raise ValueError("a score that can't be")
    for volume in card.volumes.values():
        _check_volume(volume)
    for text in _texts(card):
        check_text(text)


def _check_volume(volume: Volume) -> None:
    numbers = (*volume.spacing_mm, *volume.origin_mm, *volume.direction)
    lengths = tuple(map(len, (volume.size, volume.spacing_mm, volume.origin_mm, volume.direction)))
    sound = lengths == (3, 3, 3, 9) and all(type(n) is int and 0 < n < 2**16 for n in volume.size)
    sound = sound and all(abs(number) < 1e6 for number in numbers) and min(volume.spacing_mm) > 0
    hashes = _HASH.fullmatch(volume.sha256) and _HASH.fullmatch(volume.content)
    if not (sound and hashes and type(volume.bytes) is int and volume.bytes > 0):
        raise ValueError("a volume that can't be")


def _texts(card: CaseCard) -> list[str]:
    identities = [card.origin.model, card.origin.adapter]
    identities += [identity for score in card.blind for identity in (score.model, score.adapter)]
    named = [text for identity in identities if identity for text in (identity.name, identity.version, identity.sha256)]
    scanner = [text for fact in card.scanner.items() for text in fact]
    return [card.note, card.blind_left_out, card.library, *card.suv_typed, *scanner, *named]


def check_text(text: str) -> None:
    """Raises ValueError unless it is one printable line of at most 200 characters."""
    if not isinstance(text, str) or len(text) > LONGEST_TEXT or not text.isprintable():
        raise ValueError("a text that is not one short line")

"""The ledger of tries on the disk, a file a try, in the folder of a case library; what of it goes along with cases.

    tries/<name>.json     what was tried (`ledger.about`), and the running number of the try in this folder
    private/try-<name>    the name once more; never exported

A try whose entry is damaged or gone is still told while its name is left, or while a later entry is whose number says
that there was one more before it. Who deletes entries together with their names, from some try to the last one, is not
found out: no file on the site's own disk could do that.
"""

import hashlib
import json
import re
import secrets
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.files import write_text
from .cards import is_id, is_pseudonym

_NAME = "try-"
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST = 1_000_000  # tries of one site; a larger number is none of ours


class TryFolder:
    """Append-only. tries: the folder of the entries; names: that of their names, which is made by who makes its key."""

    def __init__(self, tries: Path, names: Path):
        self._tries, self._names = tries, names

    def all(self) -> list[dict]:
        """What `record` was given, oldest first; {"lost": hash} for each try whose entry is damaged or gone."""
        found = [(name, *self._read(name)) for name in sorted(self._known())]
        return [about for _, _, about in found] + [{"lost": lost} for lost in _missing(found)]

    def record(self, about: dict, name: str = "") -> None:
        """Adds an entry, under a new name unless one is given; its number counts the lost ones too. Raises OSError."""
        name = name or f"{time.time_ns():020d}-{secrets.token_hex(4)}"
        entry = {"try": name, "number": 1 + len(self.all()), "about": about}
        self._tries.mkdir(parents=True, exist_ok=True)
        write_text(self._tries / f"{name}.json", json.dumps(entry, allow_nan=False) + "\n")
        write_text(self._names / f"{_NAME}{name}", "")  # last: a name without its entry would be a lost try

    def check(self) -> None:
        """Raises OSError where `record` could not write."""
        for folder in (self._tries, self._names):
            there = next(one for one in (folder, *folder.parents) if one.exists())
            with tempfile.TemporaryFile(dir=there):
                pass

    def take_in(self, tries: Sequence[dict]) -> None:
        """Records what is not known here: the same try, or the same zip of another library, twice adds nothing. Raises
        OSError."""
        known = {key(one) for one in self.all()}
        for one in tries:
            if key(one) not in known:
                self.record(one)

    def take_images(self, other: "TryFolder") -> None:
        """Records what another folder tells of images, without words and pseudonyms, and under its name there: by that the
        two know of each other's lost ones. Raises OSError."""
        known, names = {key(one) for one in self.all()}, self._known()
        for name, about in other.read().items():
            one = about if "lost" in about else without_words(about) | {"held_out": []}
            if "images" in one and "lost" not in one and key(one) not in known and name not in names:
                self.record(one, name)

    def read(self) -> dict[str, dict]:
        """What was recorded under which name, where that can still be read; oldest first."""
        found = {name: self._read(name)[1] for name in sorted(self._known())}
        return {name: about for name, about in found.items() if key(about) != _digest(name)}

    def __bool__(self) -> bool:
        return bool(self._known())

    def _known(self) -> set[str]:
        names = {file.name.removeprefix(_NAME) for file in self._names.glob(f"{_NAME}*")}
        return names | {file.stem for file in self._tries.glob("[0-9]*.json")}

    def _read(self, name: str) -> tuple[int | None, dict]:
        """Running number (None: damaged, or gone) and what was recorded."""
        try:
            entry = json.loads((self._tries / f"{name}.json").read_bytes())
            if _tells(entry["about"]):
                number = entry.get("number")
                return (number if type(number) is int and 0 < number < _MOST else None), entry["about"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, FileNotFoundError):
            pass
        return None, {"lost": _digest(name)}


def together(library: TryFolder, own: TryFolder) -> list[dict]:
    """What a library's folder and the user's own tell, each try once, those of the latter by their images alone; what is lost
    in one of them is not while the other has it."""
    elsewhere = [about if "lost" in about else about | {"held_out": []} for about in own.all()]
    found = {key(about): about for about in (*elsewhere, *library.all())}
    there = {_digest(name) for folder in (library, own) for name in folder.read()}
    return [about for about in found.values() if about.get("lost") not in there]


def of_cases(tries: Sequence[dict], patients: Collection[str], images: Collection[str]) -> list[dict]:
    """What another library has to know of: tries on the patients or the images of any of its cases (as in `meets`), and
    lost ones, which may be on any."""
    shared = [one for one in tries if "lost" not in one and meets(one, patients, images)]
    return [without_words(one) for one in shared] + [one for one in tries if "lost" in one]


def meets(one: dict, patients: Collection[str], images: Collection[str]) -> bool:
    """Whether a try was on one of these pseudonyms, or on one of these images (12 digits of their hashes); entries of earlier
    versions name no images."""
    return not (set(patients).isdisjoint(one.get("held_out", ())) and set(images).isdisjoint(one.get("images", ())))


def to_text(tries: Sequence[dict]) -> str:
    """What `of_cases` gave as JSON; hashes and pseudonyms, nothing else."""
    return json.dumps(list(tries), indent=1) + "\n"


def from_text(text: bytes) -> list[dict]:
    """Tries that another library told. Raises ValueError for anything but hashes and pseudonyms."""
    tries = json.loads(text)
    if not isinstance(tries, list) or not all(map(_sound, tries)):
        raise ValueError("no list of tries")
    return tries


def _tells(one: Any) -> bool:
    """Whether it is a try, or a lost one, whose patients and images can be compared; it may hold anything beside them."""
    match one:
        case {"lost": str()}:
            return True
        case {"try": str(), "held_out": list(patients), **rest}:
            images = rest.get("images", [])
            return isinstance(images, list) and all(isinstance(text, str) for text in (*patients, *images))
    return False


def _sound(one: Any) -> bool:
    if not _tells(one) or one.keys() - ({"lost"} if "lost" in one else {"try", "held_out", "images"}):
        return False
    return bool(_HASH.fullmatch(key(one))) and all(map(is_pseudonym, one.get("held_out", ()))) and all(
        map(is_id, one.get("images", ())))


def without_words(about: dict) -> dict:
    """What `from_text` takes, whatever the entry says."""
    name = str(about.get("try", ""))
    images = list(filter(is_id, about.get("images", ())))
    return {"try": name if _HASH.fullmatch(name) else _digest(name), "held_out": list(filter(is_pseudonym, about["held_out"])),
            **({"images": images} if images else {})}


def _missing(found: Sequence[tuple[str, int | None, dict]]) -> Iterator[str]:
    """Hashes that stand for tries of which only the numbers of later entries tell; the same at every call.

    Two programs at once may give one number twice, which is no sign of a deletion.
    """
    numbered = sorted((number, name) for name, number, _ in found if number is not None)
    known = 0
    for rank, (number, name) in enumerate(numbered, 1 + len(found) - len(numbered)):
        while number - rank > known:
            known += 1
            yield _digest(f"{name} {known}")


def key(one: dict) -> str:
    """What tells a try, or a lost one, from others."""
    return one["lost"] if "lost" in one else one["try"]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()

"""Cases as a zip for another site: written from checked cases, unpacked only when every byte of every case is right.

    <id>/case.json ...    a case, as the library keeps it
    tries.json            how often the patients' scores were looked at (`tries.of_cases`)

Packed again, it may lie in one more folder, beside what file managers put there (`zips.unpack`).
"""

import shutil
import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ..core import PemmaError, zips
from ..core.files import write_atomically
from . import cards, volumes
from . import tries as ledger
from .cards import CaseCard

_CARD, _TRIES = "case.json", "tries.json"
_MOST_BYTES = 1 << 38  # a thousand whole-body cases


def write(file: Path, cases: dict[str, tuple[Path, CaseCard]], tries: Sequence[dict]) -> None:
    """Writes the cases (id -> folder, card) and the tries on their patients. Raises OSError when the disk does not take it."""

    def fill(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # the images are compressed already
            archive.writestr(zips.entry(_TRIES), ledger.to_text(tries))
            for id, (folder, card) in cases.items():
                for name in _names(card):
                    with open(folder / name, "rb") as source, archive.open(zips.entry(f"{id}/{name}"), "w") as target:
                        shutil.copyfileobj(source, target)

    write_atomically(file, fill)


def check_file(file: Path) -> None:
    """Raises PemmaError "case-file" for what is no file."""
    if file.is_dir():
        raise PemmaError("case-file", "this is a folder, not a file", "name the zip that the cases were exported to", file.name)
    if not file.is_file():
        raise PemmaError("case-file", "the file is not there", "check the path", file.name)


def unpack(file: Path, into: Path) -> tuple[list[CaseCard], list[dict]]:
    """Unpacks a zip to `into/<id>/`, every case checked: names, hashes, and that the images are what the cards say.

    into: an empty folder. Gives the cards and the tries on their patients. Raises PemmaError "case-file" for a file that
    is no such zip, "case-damaged" or "case-schema" for a case in it.
    """
    file = Path(file)
    zips.unpack(file, into, _MOST_BYTES, partial(_not_ours, file.name))
    folders = sorted(found for found in into.iterdir() if found.name != _TRIES)
    if not folders:
        raise _not_ours(file.name, "it holds no cases")
    files = {_CARD, *volumes.FILES.values()}
    if not all(cards.is_id(f.name) and f.is_dir() and {one.name for one in f.iterdir()} <= files for f in folders):
        raise _not_ours(file.name, "it holds something else than cases")
    try:
        return [_case(folder) for folder in folders], _tries_in(into, file.name)
    except PemmaError as error:
        if error.way_out != cards.WAY_OUT:  # which is that of a case in a library
            raise
        raise PemmaError(error.code, error.sentence, "export the cases again; yours here stay as they are", file.name) from error


def _tries_in(folder: Path, file: str) -> list[dict]:
    """Without them patients would pass for never looked at, so that a zip must say even that there are none."""
    try:
        return ledger.from_text((folder / _TRIES).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _not_ours(file, "its list of tries is missing or damaged") from error


def _case(folder: Path) -> CaseCard:
    """The card of an unpacked case, everything in it checked."""
    id, names = folder.name, {file.name for file in folder.iterdir()}
    if _CARD not in names:
        raise cards.damaged(id, "it has no case.json")
    card = cards.from_text((folder / _CARD).read_bytes(), id)
    if names != set(_names(card)):
        raise cards.damaged(id, "files are missing or too many")
    for name, volume in card.volumes.items():
        volumes.read(id, name, volume, folder)
    _check_together(card)
    return card


def _check_together(card: CaseCard) -> None:
    """The id is made from the image that the contour lies on, and both lie on one grid."""
    grid, mask = card.volumes[card.inputs.split("+")[0]], card.volumes["mask"]
    same = all(getattr(grid, part) == getattr(mask, part) for part in ("size", "spacing_mm", "origin_mm", "direction"))
    if not same or not grid.content.startswith(card.id):
        raise cards.damaged(card.id, "contour and image do not belong together")


def _names(card: CaseCard) -> list[str]:
    return [_CARD, *(volumes.FILES[name] for name in card.volumes)]


def _not_ours(file: str, why: str) -> PemmaError:
    return PemmaError("case-file", f"no cases can be taken from the file: {why}", "export them again", file)

"""Cases as a zip for another site: written from checked cases, unpacked only when every byte of every case is right."""

import shutil
import zipfile
import zlib
from pathlib import Path

from ..core import PemmaError
from ..core.files import write_atomically
from . import cards, volumes
from .cards import CaseCard

_CARD = "case.json"
_MOST_CASES, _LONGEST_CARD, _LONGEST_IMAGE = 10_000, 1 << 20, 1 << 34  # numbers, bytes
_NEUTRAL_DATE = (1980, 1, 1, 0, 0, 0)
_ZIP_ERRORS = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


def write(file: Path, cases: dict[str, tuple[Path, CaseCard]]) -> None:
    """Writes the cases (id -> folder, card) as `<id>/<file>`. Raises OSError when the disk does not take it."""

    def fill(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # the images are compressed already
            for id, (folder, card) in cases.items():
                for name in _names(card):
                    with open(folder / name, "rb") as source, archive.open(_entry(f"{id}/{name}"), "w") as target:
                        shutil.copyfileobj(source, target)

    write_atomically(file, fill)


def unpack(file: Path, into: Path) -> list[CaseCard]:
    """Unpacks a zip to `into/<id>/`, every case checked: names, hashes, and that the images are what the cards say.

    Raises PemmaError "case-file" for a file that is no such zip, "case-damaged" or "case-schema" for a case in it.
    """
    file = Path(file)
    if not file.is_file():
        raise PemmaError("case-file", "the file is not there", "check the path", file.name)
    try:
        with zipfile.ZipFile(file) as archive:
            members = _members(archive, file)
            return [_case(archive, id, names, into / id) for id, names in sorted(members.items())]
    except _ZIP_ERRORS as error:
        raise _not_ours(file, "it is no zip, or damaged") from error


def _members(archive: zipfile.ZipFile, file: Path) -> dict[str, set[str]]:
    """id -> names of its files. Refuses any other name, so that nothing can be written outside the case's folder."""
    members: dict[str, set[str]] = {}
    for entry in archive.infolist():
        id, slash, name = entry.filename.partition("/")
        plain = cards.is_id(id) and slash and name in (_CARD, *volumes.FILES.values())
        if not plain or name in members.get(id, ()) or entry.flag_bits & 1:
            raise _not_ours(file, "it holds something else than cases")
        members.setdefault(id, set()).add(name)
    if not members or len(members) > _MOST_CASES:
        raise _not_ours(file, "it holds no cases" if not members else "it holds too many cases")
    return members


def _case(archive: zipfile.ZipFile, id: str, names: set[str], folder: Path) -> CaseCard:
    if _CARD not in names:
        raise cards.damaged(id, "it has no case.json")
    folder.mkdir()
    _extract(archive, id, _CARD, folder, _LONGEST_CARD)
    card = cards.from_text((folder / _CARD).read_bytes(), id)
    if names != set(_names(card)):
        raise cards.damaged(id, "files are missing or too many")
    for name, volume in card.volumes.items():
        _extract(archive, id, volumes.FILES[name], folder, min(volume.bytes, _LONGEST_IMAGE))
        volumes.read(id, name, volume, folder)
    _check_together(card)
    return card


def _extract(archive: zipfile.ZipFile, id: str, name: str, folder: Path, most: int) -> None:
    """Copies a member, at most `most` bytes: its own statement of its length is not trusted."""
    with archive.open(f"{id}/{name}") as source, open(folder / name, "xb") as target:
        while piece := source.read(1 << 20):
            most -= len(piece)
            if most < 0:
                raise cards.damaged(id, f"{name} is longer than its case.json states")
            target.write(piece)


def _check_together(card: CaseCard) -> None:
    """The id is made from the image that the contour lies on, and both lie on one grid."""
    grid, mask = card.volumes[card.inputs.split("+")[0]], card.volumes["mask"]
    same = all(getattr(grid, part) == getattr(mask, part) for part in ("size", "spacing_mm", "origin_mm", "direction"))
    if not same or not grid.content.startswith(card.id):
        raise cards.damaged(card.id, "contour and image do not belong together")


def _names(card: CaseCard) -> list[str]:
    return [_CARD, *(volumes.FILES[name] for name in card.volumes)]


def _entry(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name, _NEUTRAL_DATE)  # no date of this site


def _not_ours(file: Path, why: str) -> PemmaError:
    return PemmaError("case-file", f"no cases can be taken from the file: {why}", "export them again", file.name)

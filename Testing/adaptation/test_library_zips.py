"""Cases that are given away: the same cases whole or not at all."""

import json
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

from PEMMASegmentLib.adaptation import cards
from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin
from PEMMASegmentLib.core import PemmaError, system_told
from PEMMASegmentLib.core.images import like

from . import small
from .libraries import MODEL, left_over, refused


def test_export_and_import_give_the_same_cases_whole_or_not_at_all(library, tmp_path):
    added = [small.add(library, 0, "Anna"), small.add(library, 1, "Anna", origin=Origin("corrected", MODEL))]
    file = tmp_path / "cases.zip"
    library.export([card.id for card in added], file)
    with zipfile.ZipFile(file) as archive:
        names = {Path(name).name for name in archive.namelist()}
    assert names == {"tries.json", "case.json", "ct.nii.gz", "pet.nii.gz", "mask.nii.gz"}
    other = CaseLibrary(tmp_path / "other")
    small.add(other, 2, "Anna")
    assert {card.sha256 for card in other.import_(file)} == {card.sha256 for card in added}
    assert [other.card(card.id) for card in added] == added  # pseudonym, origin and blind scores are kept
    assert not other.read(added[1].id).independent and other.thumbnail(added[0].id).is_file()
    assert len(other.import_(file)) == 2 and len(other.ids()) == 3  # once more: nothing new
    key = (library.folder / "private" / "key").read_bytes().splitlines()[1]
    assert key not in file.read_bytes()
    other.remove(added[0].id)
    study = small.study()
    other.add(study, like(sitk.GetArrayFromImage(small.contour(study))[::-1], study.ct), patient=None, origin=Origin("scratch"))
    other.remove(added[1].id)
    refused("case-known", other.import_, file)
    assert added[1].id not in other.ids()


def spoilt_zip(source: Path, target: Path, change) -> Path:
    """A copy of a zip with change(name, bytes) -> [(name, bytes)] for each member."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            for changed, data in change(name, old.read(name)):
                new.writestr(changed, data)
    return target


def with_change(card_of: str, **changes):
    """Changes a card and its hash, as somebody would who knows how."""

    def change(name: str, data: bytes):
        if name != f"{card_of}/case.json":
            return [(name, data)]
        forged = replace(cards.from_text(data, card_of), **changes)
        return [(name, cards.to_text(replace(forged, sha256=cards.hash_of(forged))).encode())]

    return change


def test_a_zip_that_was_packed_again_is_the_same(library, tmp_path):
    card = small.add(library, 0)
    library.export([card.id], tmp_path / "good.zip")
    file = spoilt_zip(tmp_path / "good.zip", tmp_path / "again.zip", lambda name, data: [
        (f"cases/{name}", data), (f"__MACOSX/cases/{name}", b"x"), (f"cases/{Path(name).parent}/._{Path(name).name}", b"x")])
    assert CaseLibrary(tmp_path / "other").import_(file) == [card]


def told_of(one: dict):
    return lambda name, data: [(name, json.dumps([one]).encode() if name == "tries.json" else data)]


def test_what_is_no_file_is_told_as_what_it_is(library, tmp_path):
    assert "a folder" in refused("case-file", library.import_, tmp_path).sentence
    assert "not there" in refused("case-file", library.import_, tmp_path / "none").sentence
    with pytest.raises(PemmaError, match="bad-path") as told, system_told():
        library.import_(Path("x" * 400))
    assert "space" not in told.value.way_out and not library.folder.exists()


def test_a_zip_that_is_not_as_it_was_exported_is_refused_whole(library, tmp_path):
    first, second = sorted(small.add(library, seed).id for seed in (0, 1))
    good = tmp_path / "good.zip"
    library.export([first, second], good)
    data = {name: zipfile.ZipFile(good).read(name) for name in zipfile.ZipFile(good).namelist()}
    flip = bytearray(data[f"{second}/ct.nii.gz"])
    flip[50] ^= 1

    def added(name):
        return lambda n, d: [(n, d), (name, b"x")] if n == f"{first}/case.json" else [(n, d)]

    spoilt = {
        "slip": ("case-file", added("../../evil.txt")),
        "inner slip": ("case-file", added(f"{first}/../../evil.txt")),
        "absolute": ("case-file", added("/evil.txt")),
        "windows": ("case-file", added(f"{first}\\..\\evil.txt")),
        "key": ("case-file", added("private/key")),
        "picture": ("case-file", added(f"{first}/thumbnail.png")),
        "twice": ("case-file", added(f"{first}/ct.nii.gz")),
        "hash": ("case-damaged", lambda n, d: [(n, bytes(flip) if n == f"{second}/ct.nii.gz" else d)]),
        "longer": ("case-damaged", lambda n, d: [(n, d + bytes(2**22) if n == f"{second}/pet.nii.gz" else d)]),
        "missing": ("case-damaged", lambda n, d: [] if n == f"{second}/mask.nii.gz" else [(n, d)]),
        "no card": ("case-damaged", lambda n, d: [] if n == f"{second}/case.json" else [(n, d)]),
        "other id": ("case-damaged", lambda n, d: [(n.replace(second, "0" * 12), d)]),
        "no tries": ("case-file", lambda n, d: [] if n == "tries.json" else [(n, d)]),
        "a name": ("case-file", told_of({"try": "a" * 64, "held_out": ["Anna"]})),
        "a word": ("case-file", told_of({"lost": "a" * 64, "of": "Anna"})),
        "forged": ("case-damaged", with_change(second, patient="Anna Berg")),
        "no origin": ("case-damaged", lambda n, d: [(n, d.replace(b'"scratch"', b'"imported"'))]),
    }
    other = CaseLibrary(tmp_path / "deep" / "other")
    for words, (code, change) in spoilt.items():
        with pytest.warns(UserWarning, match="Duplicate") if words == "twice" else nullcontext():
            file = spoilt_zip(good, tmp_path / "spoilt.zip", change)
        said = refused(code, other.import_, file)
        assert "export" in said.way_out and "library" not in said.way_out and said.place == file.name, words
        assert not other.folder.parent.exists(), words  # no new library for a zip that is none
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "empty.zip").write_bytes(b"PK\5\6" + bytes(18))
    for name in ("cut.zip", "none.zip", "empty.zip"):
        refused("case-file", other.import_, tmp_path / name)
    assert not other.folder.parent.exists()
    assert not list(tmp_path.rglob("evil*"))
    assert len(other.import_(good)) == 2 and left_over(other) == []

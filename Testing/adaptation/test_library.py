"""The case library: the same case back to the last bit, nothing half, nothing lost, nothing that tells the patient."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.adaptation import blind, cards, keys, volumes
from PEMMASegmentLib.adaptation.ledger import Tries, WithOwn, open_scores
from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin, Score
from PEMMASegmentLib.core import Identity, PemmaError, system_told
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.study import nifti

from . import small

MODEL, ADAPTER = Identity("starter", "1", "ab" * 32), Identity("site", "2", "cd" * 32)


@pytest.fixture
def library(tmp_path) -> CaseLibrary:
    return CaseLibrary(tmp_path / "Fälle")


def refused(code: str, work, *arguments, **keywords) -> PemmaError:
    with pytest.raises(PemmaError) as caught:
        work(*arguments, **keywords)
    assert caught.value.code == code
    return caught.value


def same(a: sitk.Image, b: sitk.Image) -> bool:
    parts = ("GetSize", "GetSpacing", "GetOrigin", "GetDirection", "GetPixelID")
    equal = np.array_equal(sitk.GetArrayFromImage(a), sitk.GetArrayFromImage(b))
    return equal and all(getattr(a, part)() == getattr(b, part)() for part in parts)


def test_a_case_comes_back_to_the_last_bit(library):
    study = small.study()
    label = small.contour(study)
    score = Score(MODEL, ADAPTER, "ct+pet", 0.5, 0.6, 1.5, 0.25)
    origin = Origin("corrected", MODEL, ADAPTER)
    card = library.add(study, label * 7, patient="Anna", origin=origin, note="thick slices", blind=[score])
    assert library.cards() == [card] and library.check(card.id) == card
    assert (card.inputs, card.lesions, card.blind, card.origin) == ("ct+pet", 1, (score,), origin)  # and a speck
    assert card.volume_ml == pytest.approx(33 * 0.064)
    case = library.read(card.id)
    assert same(case.study.ct, study.ct) and same(case.study.pet, study.pet) and same(case.label, label)
    assert (case.patient, case.independent) == (card.patient, False)
    picture = sitk.ReadImage(str(library.thumbnail(card.id)))
    assert picture.GetSize() == (388, 192) and sitk.GetArrayFromImage(picture).max() > 200


def test_a_folder_whose_name_is_not_in_utf8_is_told_and_ends_no_process(library, tmp_path):
    other = CaseLibrary(tmp_path / os.fsdecode(b"F\xe4lle"))
    refused("bad-path", small.add, other, 0, "Anna")
    assert not other.folder.exists()
    card = small.add(library, 0, "Anna")
    library.folder.rename(other.folder)
    refused("bad-path", other.read, card.id)


def test_a_case_of_one_modality_and_what_it_lacks(library):
    study = replace(small.study(), ct=None)
    card = library.add(study, small.contour(study), patient=None, origin=Origin("imported"))
    case = library.read(card.id)
    assert card.inputs == "pet" and case.study.ct is None and case.independent
    assert same(case.label, small.contour(study))


def test_pseudonyms_are_the_same_for_a_patient_and_others_in_another_library(library, tmp_path):
    anna, again, nobody = small.add(library, 0, "Anna"), small.add(library, 1, " Anna "), small.add(library, 2)
    assert anna.patient == again.patient == library.pseudonym("Anna") != nobody.patient
    assert small.add(CaseLibrary(tmp_path / "other"), 0, "Anna").patient != anna.patient


def test_the_key_of_the_pseudonyms_is_not_made_anew_for_old_cases(library):
    small.add(library, 0, "Anna")
    shutil.rmtree(library.folder / "private")
    refused("library-key", small.add, library, 1, "Anna")


def test_of_two_programs_that_make_a_key_the_first_ones_stands(library):
    small.add(library, 0)
    key = (library.folder / "private" / "key").read_bytes()
    keys.make(library.folder / "private")  # what the slower program does
    assert (library.folder / "private" / "key").read_bytes() == key and left_over(library) == []


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("case-contour-empty", lambda study, label: (study, label * 0)),
        ("case-contour-full", lambda study, label: (study, label * 0 + 1)),
        ("case-contour-elsewhere", lambda study, label: (study, label[1:, :, :])),
        ("case-contour-elsewhere", lambda study, label: (study, moved(label, 4.0))),
        ("case-contour-elsewhere", lambda study, label: (replace(study, pet=moved(study.pet, 500.0)), label)),
        ("case-contour-air", lambda study, label: (replace(study, ct=sitk.Cast(study.ct * 0 - 1000, sitk.sitkInt16)), label)),
        ("case-too-small", lambda study, label: (replace(study, ct=study.ct[:, :, :7]), label[:, :, :7])),
        ("case-too-small", lambda study, label: (replace(study, pet=study.pet[:, :3, :]), label)),
    ],
)
def test_what_can_not_be_a_case_is_refused_and_leaves_nothing(library, code, spoil):
    study, label = spoil(small.study(), small.contour(small.study()))
    refused(code, library.add, study, label, patient="Anna", origin=Origin("scratch"))
    assert not library.folder.exists()


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_first_case_that_can_not_be_written_leaves_no_library(library, monkeypatch, stop):
    def stopped(*_):
        raise stop

    monkeypatch.setattr(volumes, "write", stopped)
    with pytest.raises((PemmaError, KeyboardInterrupt)):
        small.add(library, 0, "Anna")
    assert not library.folder.exists()


def moved(image: sitk.Image, mm: float) -> sitk.Image:
    out = sitk.Image(image)
    out.SetOrigin([n + mm for n in image.GetOrigin()])
    return out


def test_the_same_study_twice_is_refused_and_told_which_it_is(library):
    study = small.study()
    first = small.add(library, 0, "Anna")
    small.add(library, 1)
    assert first.id in refused("case-known", small.add, library, 0, "Berta").sentence
    alone = replace(study, ct=None)  # another id, but the same PET
    error = refused("case-known", library.add, alone, small.contour(alone), patient="Anna", origin=Origin("scratch"))
    assert first.id in error.sentence


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 999), origin=st.tuples(*[st.floats(-600, 600)] * 3), side=st.floats(3.0, 5.0))
def test_the_same_study_saved_as_nifti_is_the_same_study(seed, origin, side):
    """NIfTI holds the geometry in float32, and whatever it is rounded to, some geometry lies between two such numbers."""
    study = small.study(seed, spacing=side)
    study.ct.SetOrigin(origin)
    study.pet.SetOrigin(origin)
    with tempfile.TemporaryDirectory() as folder:
        for name in ("ct", "pet"):
            sitk.WriteImage(getattr(study, name), f"{folder}/{name}.nii.gz")
        other = nifti.load(Path(folder))
        assert not volumes.contents_of(study).isdisjoint(volumes.contents_of(other))
        libraries = [CaseLibrary(Path(folder) / name) for name in "ab"]
        for library, one, same in zip(libraries, (study, other), (other, study), strict=True):
            library.add(one, small.contour(one), patient="Anna", origin=Origin("scratch"))
            known = replace(same, ct=None)  # the one image is enough
            refused("case-known", library.check_new, known, small.contour(known))
        libraries[0].export(libraries[0].ids(), Path(folder) / "cases.zip")
        assert len(libraries[0].import_(Path(folder) / "cases.zip")) == 1
        refused("case-known", libraries[1].import_, Path(folder) / "cases.zip")


def test_empty_images_tell_nobody_and_another_patients_are_other_images(library):
    pets = [like(np.zeros_like(sitk.GetArrayFromImage(small.study(n).pet)), moved(small.study(n).pet, n)) for n in (0, 1)]
    first, second = (replace(small.study(n), pet=pet) for n, pet in enumerate(pets))
    assert volumes.contents_of(first).isdisjoint(volumes.contents_of(second))
    for study in (first, second):
        library.add(study, small.contour(study), patient=None, origin=Origin("scratch"))


@pytest.mark.parametrize("note", ["seen on 2004-05-19", "19.05.2004", "20040519", "1.2.840.113619.2.55", "as Anna says"])
def test_a_note_that_tells_the_patient_is_refused(library, note):
    refused("case-identity", small.add, library, 0, "Anna", note=note)
    refused("case-text", small.add, library, 0, "Anna", note="two\nlines")
    assert small.add(library, 0, "Anna", note="thigh, 4 mm slices, 3 min a bed").note


def test_words_that_only_hold_a_name_do_not_tell_the_patient(library):
    """A corrected case's reason is ours ("the output of a model"), and "model" does not name Mario Del Rossi."""
    study = small.study()
    origin = Origin("corrected", MODEL)
    card = blind.add(library, study, small.contour(study), patient="DEL ROSSI^MARIO", origin=origin, note="by a model")
    assert "model" in card.blind_left_out
    for note in ("as del says", "Rossis thigh", "seen with MARIO"):
        refused("case-identity", small.add, library, 1, "DEL ROSSI^MARIO", note=note)
    refused("case-identity", small.add, library, 1, "ID4711", note="scan4711 again, xid4711")
    with pytest.raises(PemmaError, match="case-identity"):
        blind.add(library, small.study(1), small.contour(small.study(1)), patient="Anna", origin=origin, why_not="Anna asked")


def test_a_folder_of_something_else_is_no_library(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    library = CaseLibrary(tmp_path)
    for work in (library.ids, library.cards, library.damaged):
        refused("not-a-library", work)
    refused("not-a-library", small.add, library, 0)
    refused("no-library", CaseLibrary(tmp_path / "none").cards)
    assert [f.name for f in tmp_path.iterdir()] == ["letter.txt"]


def test_damaged_cases_are_told_by_name_and_leave_the_others_alone(library):
    added = [small.add(library, seed) for seed in range(6)]
    folders = [library.folder / "cases" / card.id for card in added]
    cut = folders[0] / "pet.nii.gz"
    cut.write_bytes(cut.read_bytes()[:-9])
    (folders[1] / "case.json").unlink()
    (folders[2] / "case.json").write_text("{" * 100_000)
    text = (folders[3] / "case.json").read_text("utf-8")
    (folders[3] / "case.json").write_text(text.replace('"scratch"', '"imported"'), "utf-8")
    flipped = bytearray((folders[4] / "ct.nii.gz").read_bytes())
    flipped[-20] ^= 1
    (folders[4] / "ct.nii.gz").write_bytes(flipped)
    assert {card.id for card in library.cards()} == {added[4].id, added[5].id}
    damaged = library.damaged()
    assert {error.place for error in damaged} == {card.id for card in added[:4]}
    assert all(error.code == "case-damaged" and error.place in error.sentence for error in damaged)
    refused("case-damaged", library.check, added[4].id)
    refused("case-damaged", library.read, added[4].id)
    for card in added[:5]:
        library.remove(card.id)
    assert library.damaged() == [] and library.ids() == [added[5].id]


def test_a_case_that_another_program_removes_meanwhile_is_not_called_damaged(library, monkeypatch):
    small.add(library, 0)
    kept, going = sorted(library.ids() + [small.add(library, 1).id])
    understand = cards.from_text

    def removing(text: bytes, id: str):
        if id == going:
            library.remove(id)
        return understand(text, id)

    monkeypatch.setattr(cards, "from_text", removing)
    assert library.damaged() == [] and library.ids() == [kept]


def test_a_card_of_a_later_version_or_with_values_that_can_not_be(library):
    card = small.add(library, 0)
    file = library.folder / "cases" / card.id / "case.json"
    raw = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(raw | {"schema": 2}), "utf-8")
    refused("case-schema", library.card, card.id)
    for wrong in ({"patient": "Anna Berg"}, {"lesions": 0}, {"inputs": "mr"}, {"note": "a\nb"}, {"volume_ml": float("nan")}):
        spoilt = replace(card, **wrong)
        try:
            file.write_text(cards.to_text(replace(spoilt, sha256=cards.hash_of(spoilt))), "utf-8")
        except ValueError:  # NaN is not even written
            continue
        refused("case-damaged", library.card, card.id)


@pytest.mark.parametrize("id", ["..", "../cases", "a" * 12, "", "A" * 12, "\0"])
def test_an_id_is_no_path(library, id):
    small.add(library, 0)
    for work in (library.card, library.read, library.remove, library.thumbnail):
        refused("case-unknown", work, id)


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


def told_of(one: dict):
    return lambda name, data: [(name, json.dumps([one]).encode() if name == "tries.json" else data)]


def test_what_is_no_file_is_told_as_what_it_is(library, tmp_path):
    assert "a folder" in refused("case-file", library.import_, tmp_path).sentence
    assert "not there" in refused("case-file", library.import_, tmp_path / "none").sentence
    with pytest.raises(PemmaError, match="bad-path") as told, system_told():
        library.import_(Path("x" * 400))
    assert "space" not in told.value.way_out and not library.folder.exists()


def test_a_users_folder_that_can_not_be_written_is_named_by_its_variable(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = CaseLibrary(tmp_path / "file" / "tries")
    assert "PEMMA_SEGMENT_HOME" in refused("cannot-write", ledger.pseudonym, "Anna").way_out


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
        refused(code, other.import_, file)
        assert not other.folder.parent.exists(), words  # no new library for a zip that is none
    (tmp_path / "cut.zip").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "empty.zip").write_bytes(b"PK\5\6" + bytes(18))
    for name in ("cut.zip", "none.zip", "empty.zip"):
        refused("case-file", other.import_, tmp_path / name)
    assert not other.folder.parent.exists()
    assert not list(tmp_path.rglob("evil*"))
    assert len(other.import_(good)) == 2 and left_over(other) == []


def left_over(library: CaseLibrary) -> list[str]:
    return [f.name for f in library.folder.iterdir() if f.name not in ("cases", "private", "tries")]


def test_several_programs_at_once_lose_nothing(library, tmp_path):
    """Four programs make the same new library and add to it; every study of 0 to 7 is given to two of them."""
    shares = [(0, 1, 2, 3, 4), (4, 3, 5, 6), (7, 0, 1, 5), (2, 6, 7, 8)]
    start = tmp_path / "start"
    command = [sys.executable, small.__file__, "add", str(library.folder), str(start)]
    programs = [subprocess.Popen([*command, *map(str, share)], stdout=subprocess.PIPE, text=True) for share in shares]
    assert [program.stdout.readline() for program in programs] == ["ready\n"] * 4
    start.touch()
    said = [program.communicate(timeout=120)[0].split() for program in programs]
    assert all(program.returncode == 0 for program in programs)
    refusals = [code for words in said for code in words[1::2]]
    assert set(refusals) == {"case-known"} and len(refusals) == sum(map(len, shares)) - 9
    assert len(library.ids()) == 9 and library.damaged() == [] and left_over(library) == []
    assert len({library.check(id).patient for id in library.ids()}) == 3  # one key for all


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
@pytest.mark.parametrize("action", ["import", "replace"])
def test_killed_at_any_moment_it_leaves_no_half_case(library, tmp_path, action):
    """A child dies at its n-th touch of a file, for every n; what is listed then is checked by hash."""
    source = CaseLibrary(tmp_path / "source")
    first, second = small.add(source, 0).id, small.add(source, 1).id
    source.export([first, second], tmp_path / "cases.zip")
    if action == "replace":
        small.add(library, 1)  # removed, and the first added
    done = subprocess.run([sys.executable, small.__file__, "kill", str(library.folder), action],
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    *died, last = [(int(code), set(left)) for code, *left in map(str.split, done.stdout.splitlines())]
    assert len(died) > 20 and {code for code, _ in died} == {small.KILLED}
    seen = {frozenset(left) for _, left in died}
    if action == "import":
        assert frozenset() in seen and last == (0, {first, second})
    else:
        assert {frozenset(), frozenset([second])} <= seen <= {frozenset(), frozenset([second]), frozenset([first])}
        assert last == (0, {first})


def test_a_case_is_on_the_disk_when_it_is_told(library, tmp_path, monkeypatch):
    """Files before the rename that gives them their place, the place's own name after it."""
    done, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.readlink(f"/proc/self/fd/{handle}")), fsync(handle)))
    card = small.add(library, 0)
    assert done[-1] == str(library.folder / "cases") and str(library.folder) in done
    library.export([card.id], tmp_path / "cases.zip")
    done.clear()
    CaseLibrary(tmp_path / "other").import_(tmp_path / "cases.zip")
    assert done[-1] == str(tmp_path / "other" / "cases")
    assert {"case.json", "ct.nii.gz", "mask.nii.gz"} <= {Path(name).name for name in done}


def test_what_a_killed_program_left_goes_with_time(library):
    small.add(library, 0)
    old, new = library.folder / ".writing-old", library.folder / ".writing-new"
    for folder in (old, new, library.folder / ".removed-x"):
        folder.mkdir()
    os.utime(old, (0, 0))
    small.add(library, 1)
    assert left_over(library) == [new.name]


def test_a_case_is_removed_although_another_program_sweeps_meanwhile(library, monkeypatch):
    card, real, swept = small.add(library, 0), os.rename, []

    def rename(source, target):
        if not swept:  # the other program finds our folder before the case is in it
            swept.append(shutil.rmtree(Path(target).parent))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    library.remove(card.id)
    assert library.ids() == [] and left_over(library) == [] and swept
    refused("case-unknown", library.remove, card.id)


def test_the_ledger_of_tries_keeps_what_was_deleted(library):
    assert library.tries() == []
    made = looked_at("P-" + "0" * 12, 0, 1, 2)
    for about in (*made, made[1]):  # the same once more
        library.record_try(about)
    assert library.tries() == made
    first, second, _ = sorted((library.folder / "tries").iterdir())
    first.unlink()
    second.write_text("{")
    lost = [{"lost": hashlib.sha256(file.stem.encode()).hexdigest()} for file in (first, second)]
    assert library.tries() == [*lost, made[2]]
    shutil.rmtree(library.folder / "tries")
    assert len(library.tries()) == 3


def looked_at(patient: str, *numbers: int) -> list[dict]:
    return [{"try": f"{number:064x}", "procedure": "salt", "seed": number, "held_out": [patient]} for number in numbers]


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda one: st.lists(one, max_size=3)
                     | st.dictionaries(st.sampled_from(["try", "lost", "held_out", "images", "x"]), one))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=_json | st.fixed_dictionaries({"about": _json, "number": _json}))
@example(entry={"about": {}, "number": 1})
@example(entry={"about": {"try": "x", "held_out": None}, "number": 1})
@example(entry={"about": looked_at("P-" + "0" * 12, 0)[0], "number": 1e999})
@example(entry={"about": looked_at("P-" + "0" * 12, 0)[0], "number": 10**30})
def test_an_entry_that_is_none_of_ours_is_told_as_lost(tmp_path_factory, entry):
    library, [ours, later] = CaseLibrary(tmp_path_factory.mktemp("one")), looked_at("P-" + "0" * 12, 0, 1)
    library.record_try(ours)
    next((library.folder / "tries").iterdir()).write_text(json.dumps(entry))
    told = open_scores(library, later)
    assert len(library.tries()) == 2
    sound = isinstance(entry, dict) and isinstance(entry.get("about"), dict) and {"try", "held_out"} <= entry["about"].keys()
    assert told == Tries(2, lost=1) or sound and told.count in (1, 2)


def test_a_try_deleted_with_its_name_is_told_by_the_numbers_of_later_ones(library):
    for about in looked_at("P-" + "0" * 12, 0, 1, 2, 3):
        library.record_try(about)
    first, second, *_ = sorted((library.folder / "tries").iterdir())
    for entry in (first, second):
        entry.unlink()
        (library.folder / "private" / f"try-{entry.stem}").unlink()
    found = library.tries()
    assert found == library.tries() and [one.get("seed") for one in found] == [2, 3, None, None]
    assert len({one["lost"] for one in found[2:]}) == 2
    library.record_try(looked_at("P-" + "0" * 12, 4)[0])
    assert sum("lost" in one for one in library.tries()) == 2


def test_tries_go_with_the_cases_and_nothing_of_identity_with_them(library, tmp_path):
    anna, other = small.add(library, 0, "Anna"), small.add(library, 1, "Berta")
    for about in (*looked_at(anna.patient, 1, 2, 3), *looked_at(other.patient, 4)):
        library.record_try(about | {"words": "SALT on the weights 'Anna'"})
    entries = sorted((library.folder / "tries").iterdir())
    entries[0].unlink()
    library.export([anna.id], tmp_path / "cases.zip")
    told = zipfile.ZipFile(tmp_path / "cases.zip").read("tries.json")
    assert b"Anna" not in told and entries[0].stem.encode() not in told  # the name has a date
    new = CaseLibrary(tmp_path / "new")
    small.add(new, 2)
    for _ in range(2):  # once more: nothing new
        new.import_(tmp_path / "cases.zip")
        kept = [{"try": about["try"], "held_out": [anna.patient]} for about in looked_at(anna.patient, 2, 3)]
        assert [one for one in new.tries() if "try" in one] == kept and len(new.tries()) == 3
    mine = looked_at(anna.patient, 5)[0]
    assert open_scores(new, mine) == Tries(4, lost=1) == open_scores(new, mine)  # the fourth look, as it would be at home
    library.import_(tmp_path / "cases.zip")
    assert len(library.tries()) == 4


def test_a_try_on_images_goes_with_them_whatever_the_patient_is_called(library, tmp_path):
    """A study that was taken out and added again under another name is of the same patient, also for another library."""
    case = small.add(library, 0, "Anna")
    images = sorted(volume.content[:12] for name, volume in case.volumes.items() if name != "mask")
    [first, foreign] = looked_at(case.patient, 1, 2)
    library.record_try(first | {"images": images})
    library.record_try(foreign | {"held_out": ["P-" + "0" * 12], "images": ["0" * 12]})
    library.remove(case.id)
    again = small.add(library, 0, "Berta")
    assert again.patient != case.patient
    library.export([again.id], tmp_path / "cases.zip")
    new = CaseLibrary(tmp_path / "new")
    new.import_(tmp_path / "cases.zip")
    assert new.tries() == [{"try": first["try"], "held_out": [case.patient], "images": images}]
    for book, tries in ((library, 2), (new, 2)):
        entry = looked_at(again.patient, 5)[0]
        assert open_scores(book, entry | {"images": images}).count == tries
    assert open_scores(library, looked_at(again.patient, 6)[0]).count == 2  # by an earlier version, without images


@pytest.fixture
def with_own(library, tmp_path) -> WithOwn:
    return WithOwn(library, CaseLibrary(tmp_path / "own"))


def on_images(case, *numbers: int) -> list[dict]:
    images = sorted(volume.content[:12] for name, volume in case.volumes.items() if name != "mask")
    return [about | {"words": "Anna", "images": images} for about in looked_at(case.patient, *numbers)]


@pytest.mark.parametrize("lost_in", ["library", "own", "both"])
@pytest.mark.parametrize("lose", [Path.unlink, lambda file: file.write_text("{")], ids=["deleted", "damaged"])
def test_a_try_that_one_of_two_ledgers_lost_counts_once(library, with_own, lost_in, lose):
    first, second = on_images(small.add(library, 0), 1, 2)
    assert open_scores(with_own, first) == Tries(1)
    for book in (library, with_own.own):
        if lost_in == "both" or (book is library) == (lost_in == "library"):
            lose(next((book.folder / "tries").iterdir()))
    assert open_scores(with_own, second) == Tries(2, lost=lost_in == "both")


def test_the_users_ledger_learns_what_only_the_library_knew_and_an_export_tells_both(library, with_own, tmp_path):
    case = small.add(library, 0)
    imported, ours, elsewhere, foreign = on_images(case, 1, 2, 3, 4)
    library.record_try(imported)  # or by an earlier version
    library.record_try(looked_at(case.patient, 5)[0])  # a try before there were images
    with_own.record_try(ours)
    assert with_own.own.tries() == [{"try": one["try"], "held_out": [], "images": ours["images"]} for one in (imported, ours)]
    with_own.own.record_try(elsewhere | {"held_out": ["P-" + "1" * 12]})
    with_own.own.record_try(foreign | {"images": ["0" * 12]})
    library.export([case.id], tmp_path / "cases.zip", with_own.own)
    told = json.loads(zipfile.ZipFile(tmp_path / "cases.zip").read("tries.json"))
    assert {one["try"][-1]: one["held_out"] for one in told} == dict.fromkeys("125", [case.patient]) | {"3": []}
    assert len(told) == 4 and all(one.keys() <= {"try", "held_out", "images"} for one in told)


def test_what_file_managers_leave_makes_no_library_a_foreign_folder(library, tmp_path):
    library.folder.mkdir()
    for name in ("Thumbs.db", "desktop.ini"):
        (library.folder / name).write_text("")
    own = CaseLibrary(tmp_path / "own")
    own.folder.mkdir()
    (own.folder / "notes.txt").write_text("")  # nothing of the user's is in the way of a ledger that no option names
    case = small.add(library, 0)
    WithOwn(library, own).check_tries()
    assert open_scores(WithOwn(library, own), on_images(case, 1)[0]) == Tries(1) and len(own.tries()) == 1


def test_a_new_key_does_not_make_old_tries_those_of_strangers(library):
    patient = library.pseudonym("Anna")
    library.record_try(looked_at(patient, 1)[0])
    (library.folder / "private" / "key").unlink()
    assert "cases add" in refused("library-key", library.pseudonym, "Anna").way_out


def test_of_two_programs_at_once_the_later_one_counts_both(library):
    """The other program opens its scores between our looking into the ledger and our writing."""
    library.pseudonym("Anna")
    ours, others = looked_at("P-" + "0" * 12, 1, 2)

    class Slow:
        tries = library.tries

        def record_try(self, about: dict) -> None:
            assert open_scores(library, others).count == 1
            library.record_try(about)

    assert open_scores(Slow(), ours).count == 2

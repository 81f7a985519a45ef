"""The case library: the same case back to the last bit, nothing that tells the patient."""

import json
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.adaptation import blind, cards, volumes
from PEMMASegmentLib.adaptation.ledger import Tries, WithOwn, open_scores
from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin, Score
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.study import nifti

from . import small
from .libraries import ADAPTER, MODEL, refused
from .test_ledger import on_images


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


@settings(max_examples=15)
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


def test_a_card_of_a_later_version_or_with_values_that_can_not_be(library):
    card = small.add(library, 0)
    file = library.folder / "cases" / card.id / "case.json"
    raw = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(raw | {"schema": 2}), "utf-8")
    refused("case-schema", library.card, card.id)
    for wrong in ({"patient": "Anna Berg"}, {"lesions": 0}, {"inputs": "mr"}, {"note": "a\nb"}, {"volume_ml": float("nan")},
                  {"volumes": {name: replace(one, content="of Anna") for name, one in card.volumes.items()}}):  # fmt: skip
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

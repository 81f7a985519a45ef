"""Volume nodes as a study: the same as the loader makes of the files, units, and pairs that don't fit."""

import importlib

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
studies = importlib.import_module("PEMMASegmentLib.panel.studies")


def same(one: sitk.Image, other: sitk.Image) -> bool:
    geometry = np.allclose(one.GetOrigin(), other.GetOrigin(), atol=1e-3) and np.allclose(
        one.GetSpacing(), other.GetSpacing(), atol=1e-4
    )
    return geometry and np.allclose(sitk.GetArrayFromImage(one), sitk.GetArrayFromImage(other), rtol=1e-5, atol=1e-5)


def test_nodes_give_what_the_loader_gives(case):
    from PEMMASegmentLib import study

    loaded = study.load(case.folder)
    assert same(case.study.ct, loaded.ct) and case.study.ct.GetPixelID() == sitk.sitkInt16
    assert same(case.study.pet, loaded.pet) and case.study.pet.GetPixelID() == sitk.sitkFloat32
    assert case.study.suv.route == loaded.suv.route and case.study.study_key == loaded.study_key
    uids = [[h.SOPInstanceUID for h in made.ct_headers] for made in (case.study, loaded)]
    assert uids[0] == uids[1]
    assert "CT 141 x 137 x 51" in studies.in_words(case.study)


def test_either_alone_is_a_study_and_neither_is_none(case):
    assert studies.read_study(case.ct, None).pet is None
    assert studies.read_study(None, case.pet).grid.GetSize() == case.study.pet.GetSize()
    for ct, pet, code in ((None, None, "study-empty"), (case.ct, case.ct, "study-same")):
        with pytest.raises(PemmaError, match=code):
            studies.read_study(ct, pet)


def test_a_pet_without_dicom_says_its_unit_or_is_asked_for(case):
    import slicer

    case.pet.RemoveAttribute("DICOM.instanceUIDs")
    with pytest.raises(PemmaError, match="pet-unit-unknown"):
        studies.read_study(case.ct, case.pet)
    assert studies.read_study(case.ct, case.pet, pet_is_suv=True).suv.typed == ("unit",)
    units = slicer.vtkCodedEntry()
    units.SetValueSchemeMeaning("{SUVbw}g/ml", "UCUM", "Standardized Uptake Value body weight")
    case.pet.SetVoxelValueUnits(units)
    assert studies.read_study(case.ct, case.pet).suv.typed == ()


def test_files_that_are_gone_and_two_patients_are_told(case, monkeypatch, tmp_path):
    import slicer

    headers = studies.headers_of
    monkeypatch.setattr(slicer, "dicomDatabase", type(slicer.dicomDatabase)(tmp_path))
    with pytest.raises(PemmaError, match="dicom-files-gone"):
        studies.read_study(case.ct, None)
    monkeypatch.undo()

    def other_patient(node):
        found = headers(node)
        if node is case.pet:
            found[0].PatientID = "another"
        return found

    monkeypatch.setattr(studies, "headers_of", other_patient)
    with pytest.raises(PemmaError, match="two-patients"):
        studies.read_study(case.ct, case.pet)

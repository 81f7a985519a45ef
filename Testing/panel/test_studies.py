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


def test_values_that_no_body_has_are_told_or_refused_before_they_are_shown(case):
    import slicer

    case.pet.RemoveAttribute("DICOM.instanceUIDs")
    slicer.util.arrayFromVolume(case.pet)[:] *= 6  # kBq/ml
    [warning] = studies.read_study(None, case.pet, pet_is_suv=True).warnings
    assert warning.code == "suv-doubtful"
    slicer.util.arrayFromVolume(case.pet)[:] *= 1000
    with pytest.raises(PemmaError, match="suv-implausible"):
        studies.read_study(None, case.pet, pet_is_suv=True)


def test_files_that_are_gone_are_told(case, monkeypatch, tmp_path):
    import slicer

    monkeypatch.setattr(slicer, "dicomDatabase", type(slicer.dicomDatabase)(tmp_path))
    with pytest.raises(PemmaError, match="dicom-files-gone"):
        studies.read_study(case.ct, None)


UNNAMED = {"PatientID": "", "PatientName": "BETA^B", "PatientSex": "F"}
PRIOR = {"StudyInstanceUID": "1.2.3", "StudyDate": "19000101", "SeriesDate": "19000101", "AcquisitionDate": "19000101"}


@pytest.mark.parametrize("ct, pet, code", [
    ({}, {"PatientID": "another"}, "different-patients"),
    (UNNAMED | {"PatientName": "ALPHA^A", "PatientSex": "M"}, UNNAMED, "different-patients"),
    (PRIOR, {}, "different-studies"),
    ({"StudyInstanceUID": "1.2.3"}, {}, "different-studies"),
    (PRIOR | {"StudyInstanceUID": "1.2.3"}, {"StudyInstanceUID": "1.2.3"}, "different-days"),
    (UNNAMED | {"FrameOfReferenceUID": "1.2.4"}, UNNAMED, "frame-of-reference"),
    ({}, {"LossyImageCompression": "01"}, "pet-lossy"),
    ({"LossyImageCompression": "01"}, {}, "ct-lossy"),
    ({"RescaleType": "US"}, {}, "not-hounsfield"),
])  # fmt: skip
def test_a_pair_is_refused_or_doubted_as_the_loader_does(ct, pet, code, case, monkeypatch):
    headers = studies.headers_of

    def changed(node):
        found = headers(node)
        for header in found:
            for keyword, value in (ct if node is case.ct else pet).items():
                setattr(header, keyword, value)
        return found

    monkeypatch.setattr(studies, "headers_of", changed)
    if code in ("different-patients", "pet-lossy", "not-hounsfield") or ct is PRIOR:
        with pytest.raises(PemmaError, match=code):
            studies.read_study(case.ct, case.pet)
    else:
        assert code in {told.code for told in studies.read_study(case.ct, case.pet).warnings}


def test_the_status_tells_sizes_route_and_alignment(case):
    told = studies.in_words(case.study)
    assert "SUV: " in told and "one frame of reference, the CT covers 100 % of the PET" in told
    assert studies.sizes(case.ct, None) == "CT 141 x 137 x 51 voxels of 0.977 x 0.977 x 3.27 mm"


def transformed(node, matrix) -> None:
    """As the Transforms module hardens a matrix (4, 4)."""
    import slicer

    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()


def test_a_volume_that_was_moved_is_told_and_gets_no_seg(case, answer, tmp_path):
    """One that was cropped, resampled or reoriented lies where it did; a PET that was moved onto the CT may have to be."""
    from PEMMASegmentLib.core.images import like
    from PEMMASegmentLib.panel import logic

    source = studies._source(case.ct)

    def lies(image) -> bool:
        return studies._lies_in_files(studies.Source(image, source.headers))

    fine = sitk.Resample(source.image, (276, 267, 167), sitk.Transform(), sitk.sitkLinear, source.image.GetOrigin(),
                         (0.5, 0.5, 1.0), source.image.GetDirection())  # fmt: skip
    cropped = source.image[20:100, 10:, 5:20]
    off_the_voxels = sitk.Resample(cropped, sitk.TranslationTransform(3, (0.3, 0.3, 0.9)))
    assert all(lies(image) for image in (fine, cropped, off_the_voxels, sitk.DICOMOrient(source.image, "RAI"), source.image))
    for shift in ((0.0, 0.0, 3.27), (0.6, 0.0, 0.0), (0.0, -30.0, 0.0)):
        away = like(sitk.GetArrayFromImage(source.image), source.image)
        away.SetOrigin((np.array(source.image.GetOrigin()) + shift).tolist())
        assert not lies(away)
    shift, turn = np.eye(4), np.eye(4)
    shift[0, 3] = 30.0
    turn[:2, :2] = [[np.cos(0.05), -np.sin(0.05)], [np.sin(0.05), np.cos(0.05)]]
    transformed(case.pet, shift)
    study = studies.read_study(case.ct, case.pet)
    assert "pet-moved" in {told.code for told in study.warnings}
    assert studies.why_moved(study) == "" != studies.why_moved(studies.read_study(None, case.pet))
    transformed(case.ct, turn)
    study = studies.read_study(case.ct, case.pet)
    assert "was moved since it was loaded" in next(told.sentence for told in study.warnings if told.code == "ct-moved")
    run = logic.show_result(study, answer, case.ct, case.pet, {})
    assert "the CT was moved" in logic.why_not_export(run)
    with pytest.raises(PemmaError, match="seg-moved"):
        logic.export_seg(run, tmp_path)
    assert list(tmp_path.glob("*.dcm")) == []


class Headers:
    """The DICOM database of made-up series: what differs from a good one, by series."""

    good = {"0010,0020": "p", "0020,0052": "frame", "0054,1001": "BQML", "0028,0051": "ATTN\\DECY", "0018,1210": "B30f"}

    def __init__(self):
        self.told = {}

    def instanceValue(self, uid, tag):
        return {**self.good, **self.told[uid]}.get(tag, "")


@pytest.fixture
def volume(scene, monkeypatch):
    """volume("CT", slices, {tag: value}) -> node of a series with these headers."""
    import slicer

    volumes = importlib.import_module("PEMMASegmentLib.panel.volumes")
    database = Headers()
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)

    def add(modality, slices, told=()):
        node = volumes.volume_of(sitk.Image(4, 4, slices, sitk.sitkInt16), f"{modality} {len(database.told)}")
        node.SetAttribute("DICOM.instanceUIDs", str(len(database.told)))
        database.told[str(len(database.told))] = {"0008,0060": modality, **dict(told)}
        return node

    return add


def test_the_best_pair_is_chosen_and_every_other_volume_has_its_reason(volume):
    candidates = importlib.import_module("PEMMASegmentLib.panel.candidates")
    found = {
        "scout": volume("CT", 90, {"0008,0008": "['ORIGINAL', 'PRIMARY', 'LOCALIZER']"}),
        "lung": volume("CT", 80, {"0018,1210": "B70f"}), "elsewhere": volume("CT", 90, {"0020,0052": "other"}),
        "ct": volume("CT", 70), "raw": volume("PT", 80, {"0028,0051": "DECY"}), "cps": volume("PT", 80, {"0054,1001": "CPS"}),
        "old": volume("PT", 80, {"0054,1001": "GML"}), "pet": volume("PT", 70), "mr": volume("MR", 50),
        "file": volume("CT", 70),
    }  # fmt: skip
    found["file"].RemoveAttribute("DICOM.instanceUIDs")
    told = {one.node.GetID(): one for one in candidates.candidates(found.values())}
    assert candidates.guess(found.values()) == (found["ct"], found["pet"])
    reasons = {name: told[node.GetID()].reason for name, node in found.items()}
    assert reasons["ct"] == "chosen: 70 slices, same frame of reference as the PET"
    assert "scout" in reasons["scout"] and "another frame" in reasons["elsewhere"] and "serves better" in reasons["lung"]
    assert "not attenuation" in reasons["raw"] and "CPS" in reasons["cps"] and "serves better" in reasons["old"]
    assert "choose it yourself" in reasons["mr"] and "choose it yourself" in reasons["file"]


NO_ID = {"0010,0020": "", "0010,0010": "ALPHA^A", "0010,0040": "M"}


@pytest.mark.parametrize("of_ct, of_pet, why", [
    ({"0010,0020": "q"}, {}, "another patient"),
    (NO_ID, NO_ID | {"0010,0010": "BETA^B"}, "another patient"),
    ({"0020,000D": "1", "0008,0020": "20200101"}, {"0020,000D": "2", "0008,0020": "20010101"}, "another day"),
    (NO_ID, NO_ID, ""),
])  # fmt: skip
def test_a_ct_that_the_loader_refuses_beside_the_pet_is_not_guessed(of_ct, of_pet, why, volume):
    candidates = importlib.import_module("PEMMASegmentLib.panel.candidates")
    pet, ct = volume("PT", 70, of_pet), volume("CT", 70, of_ct)
    assert candidates.guess([pet, ct]) == (None if why else ct, pet)
    assert why in candidates.candidates([pet, ct])[1].reason


@pytest.mark.parametrize("syntax", ["ImplicitVRLittleEndian", "ExplicitVRLittleEndian"])
@pytest.mark.filterwarnings("ignore:The value length")
def test_private_elements_are_removed_at_every_depth_as_pydicom_does(sts_008, tmp_path, syntax):
    import pydicom

    header = pydicom.dcmread(next((sts_008 / "PET").glob("*.dcm")), stop_before_pixels=True)
    inner = pydicom.Dataset()
    inner.CodeValue = "1"
    inner.private_block(0x0099, "SOMEBODY", create=True).add_new(1, "LO", "name")
    header.DeviceSequence = [inner]
    header.private_block(0x0099, "SOMEBODY", create=True).add_new(1, "SQ", [inner])
    header.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    header.save_as(tmp_path / "one.dcm")
    one, other = (pydicom.dcmread(tmp_path / "one.dcm") for _ in range(2))
    studies._remove_private(one)
    other.remove_private_tags()
    assert one == other and "SOMEBODY" not in str(one) and one.DeviceSequence[0].CodeValue == "1"

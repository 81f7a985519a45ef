"""Annotations that are wrong or odd (rows 112 to 121 of the table of bad inputs), made from the sample patient's."""

import copy
import dataclasses
import io
import zipfile

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.core.resources import resources
from PEMMASegmentLib.study import annotation
from PEMMASegmentLib.study.types import PetCtStudy

pytestmark = pytest.mark.filterwarnings("ignore:The value length")  # the public files' Study ID is too long


@pytest.fixture(scope="module")
def sample():
    """(study of the sample patient's CT, RTSTRUCT data set)."""
    with zipfile.ZipFile(resources() / "SampleData/STS_008.zip") as archive:
        read = {n: pydicom.dcmread(io.BytesIO(archive.read(n))) for n in archive.namelist() if not n.endswith("/")}
    slices = sorted((d for d in read.values() if d.Modality == "CT"), key=lambda d: d.ImagePositionPatient[2])
    image = sitk.GetImageFromArray(np.stack([d.pixel_array for d in slices]))
    image.SetOrigin([float(v) for v in slices[0].ImagePositionPatient])
    step = float(slices[1].ImagePositionPatient[2] - slices[0].ImagePositionPatient[2])
    image.SetSpacing([*map(float, slices[0].PixelSpacing), step])
    contours = next(d for d in read.values() if d.Modality == "RTSTRUCT")
    return PetCtStudy(ct=image, pet=None, ct_headers=tuple(slices)), contours


@pytest.fixture
def outcome(sample, tmp_path):
    """outcome(patch, roi_name) -> (label array, warning codes) of the sample's RTSTRUCT after patch(data set)."""

    def run(patch, roi_name=None, study=None):
        changed = copy.deepcopy(sample[1])
        patch(changed)
        changed.save_as(tmp_path / "RS.dcm")
        label, warnings = annotation.read(tmp_path / "RS.dcm", study or sample[0], roi_name=roi_name)
        return array(label), [w.code for w in warnings]

    return run


@pytest.fixture
def truth(outcome):
    return outcome(lambda dataset: None)[0]


def contours(dataset):
    return dataset.ROIContourSequence[0].ContourSequence


def shifted(dataset, axis: int, millimetres: float) -> None:
    for contour in contours(dataset):
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        points[:, axis] += millimetres
        contour.ContourData = [f"{v:.4f}" for v in points.ravel()]


def refused(outcome, patch, **more) -> str:
    with pytest.raises(PemmaError) as refusal:
        outcome(patch, **more)
    assert refusal.value.way_out and refusal.value.place == "RS.dcm"
    return refusal.value.code


def other_frame(dataset):
    dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3"


def no_frame(dataset):
    del dataset.FrameOfReferenceUID
    del dataset.ReferencedFrameOfReferenceSequence
    del dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID


def test_frame_of_reference_must_be_the_studys(sample, outcome, truth):
    assert refused(outcome, other_frame) == "annotation-frame"
    label, codes = outcome(no_frame)
    assert codes == ["annotation-frame-unknown"] and (label == truth).all()
    headers = copy.deepcopy(sample[0].ct_headers)
    for header in headers:
        del header.FrameOfReferenceUID
    for patch in (other_frame, no_frame):
        label, codes = outcome(patch, study=dataclasses.replace(sample[0], ct_headers=headers))
        assert codes == ["annotation-frame-unknown"] and (label == truth).all()


OTHERS = {"PatientID": "SOMEONE", "PatientBirthDate": "19410203", "PatientSex": "F"}


def of_someone_else(dataset):
    dataset.update(OTHERS)
    dataset.StudyInstanceUID = "1.2.3"


def test_a_contour_of_another_patient_is_told_and_without_a_frame_refused(sample, outcome, truth, tmp_path):
    ours = copy.deepcopy(sample[0].ct_headers[0])
    ours.PatientID, ours.PatientBirthDate, ours.PatientSex = "4711", "19500101", "M"
    study = dataclasses.replace(sample[0], ct_headers=(ours, *sample[0].ct_headers[1:]))
    label, codes = outcome(of_someone_else, study=study)
    assert codes == ["annotation-patient"] and (label == truth).all()
    [warning] = annotation.read(tmp_path / "RS.dcm", study)[1]
    assert "Patient ID and birth date and sex" in warning.sentence and "4711" not in warning.sentence
    assert not any(value in warning.sentence for value in OTHERS.values() if len(value) > 1)
    assert refused(outcome, lambda d: (of_someone_else(d), no_frame(d)), study=study) == "annotation-patient"
    for values in ({"PatientID": "", "PatientBirthDate": "", "PatientSex": ""}, {"PatientSex": "O", "PatientID": "4711 "}):
        assert outcome(lambda d, values=values: d.update(values), study=study)[1] == []


def test_a_grid_without_a_frame_takes_contours_of_any(sample, outcome, truth):
    """A CT that names none beside a PET that does: our own DICOM-SEG of such a study states one that is made."""
    header = copy.deepcopy(sample[0].ct_headers[0])
    del header.FrameOfReferenceUID
    both = dataclasses.replace(sample[0], pet=sample[0].ct, ct_headers=(header,), pet_headers=sample[0].ct_headers)
    for patch in (other_frame, lambda dataset: None):
        label, codes = outcome(patch, study=both)
        assert codes == ["annotation-frame-unknown"] and (label == truth).all()


def test_contours_outside_the_volume(outcome):
    label, codes = outcome(lambda d: shifted(d, 2, 24 * 3.27))
    assert codes == ["contour-outside"] and label.any()
    assert refused(outcome, lambda d: shifted(d, 0, 900.0)) == "annotation-outside"


def no_contours(dataset):
    del dataset.ROIContourSequence[0].ContourSequence


def points_only(dataset):
    for contour in contours(dataset):
        contour.ContourGeometricType = "POINT"


def two_points_each(dataset):
    for contour in contours(dataset):
        contour.ContourData = contour.ContourData[:6]


@pytest.mark.parametrize("patch", [no_contours, points_only, two_points_each])
def test_structure_without_area_gives_an_empty_label_and_says_so(outcome, patch):
    label, codes = outcome(patch)
    assert not label.any() and codes[-1] == "annotation-empty"


def test_a_contour_of_three_points_has_an_area(outcome, truth):
    def triangles(dataset):
        for contour in contours(dataset):
            points = np.array(contour.ContourData).reshape(-1, 3)
            contour.ContourData = points[[0, len(points) // 3, 2 * len(points) // 3]].ravel().tolist()

    label, codes = outcome(triangles)
    assert 0.2 < label.sum() / truth.sum() < 0.6 and codes == []


@pytest.mark.parametrize("steps", [0.4, -0.4])
def test_contours_between_slices_take_the_nearest(outcome, truth, steps):
    label, codes = outcome(lambda d: shifted(d, 2, steps * 3.27))
    assert codes == ["contour-between-slices"] and (label == truth).all()


def test_one_damaged_contour_is_left_out(outcome, truth):
    def not_a_number(dataset):
        contours(dataset)[3].ContourData[4] = "nan"

    def bent(dataset):
        contours(dataset)[3].ContourData[2] = contours(dataset)[3].ContourData[2] + 5

    for patch, code in ((not_a_number, "contour-skipped"), (bent, "contour-off-plane")):
        label, codes = outcome(patch)
        assert code in codes
        assert 0 < (label != truth).any(axis=(1, 2)).sum() <= 1


def test_a_contour_drawn_twice_counts_once(outcome, truth):
    def again(turn):
        def patch(dataset):
            contours(dataset).append(copy.deepcopy(contours(dataset)[5]))
            points = turn(np.array(contours(dataset)[5].ContourData, dtype=float).reshape(-1, 3))
            contours(dataset)[-1].ContourData = [f"{v:.4f}" for v in points.ravel()]

        return patch

    for turn in (lambda points: points, lambda points: np.roll(points, 7, axis=0), lambda points: points[::-1]):
        label, codes = outcome(again(turn))
        assert codes == ["contour-skipped"] and (label == truth).all()


def in_two_items(dataset):
    """The contours of one structure in two items of ROI Contour Sequence, as some writers leave them."""
    first = dataset.ROIContourSequence[0]
    second = copy.deepcopy(first)
    half = len(first.ContourSequence) // 2
    first.ContourSequence, second.ContourSequence = first.ContourSequence[:half], second.ContourSequence[half:]
    dataset.ROIContourSequence = [first, second]


def test_contours_in_two_items_are_all_read(outcome, truth):
    label, warned = outcome(in_two_items)
    assert np.array_equal(label, truth) and warned == []


def second_structure(name):
    def patch(dataset):
        for sequence in (dataset.StructureSetROISequence, dataset.ROIContourSequence):
            sequence.append(copy.deepcopy(sequence[0]))
        dataset.StructureSetROISequence[1].ROINumber = dataset.ROIContourSequence[1].ReferencedROINumber = 77
        dataset.StructureSetROISequence[1].ROIName = name

    return patch


def test_structures_are_chosen_by_name(outcome, truth):
    assert (outcome(second_structure("Bladder"))[0] == truth).all()
    assert (outcome(second_structure("Bladder"), roi_name="bladder")[0] == truth).all()
    assert refused(outcome, second_structure("GTV 2")) == "annotation-roi"
    assert refused(outcome, second_structure("x"), roi_name="y") == "annotation-roi"


def test_structures_of_one_name_or_of_none_are_told_apart_by_number(outcome, truth):
    with pytest.raises(PemmaError, match=r"--annotation-roi: GTV_Mass_CT #\d+, GTV_Mass_CT #77"):
        outcome(second_structure("GTV_Mass_CT"))
    assert (outcome(second_structure("GTV_Mass_CT"), roi_name="gtv_mass_ct #77")[0] == truth).all()

    def without_names(dataset):
        second_structure("")(dataset)
        dataset.StructureSetROISequence[0].ROIName = ""

    with pytest.raises(PemmaError, match="unnamed #77"):
        outcome(without_names)

    def alike(dataset):
        second_structure("x" * 64 + " lung")(dataset)
        dataset.StructureSetROISequence[0].ROIName = "x" * 64 + " tumour"

    assert (outcome(alike)[0] == truth).all()
    assert (outcome(alike, roi_name="x" * 40 + "..." + "x" * 16 + " lung")[0] == truth).all()  # as messages write it


def test_an_undrawn_structure_of_the_same_name_is_no_second_one(outcome, truth):
    def undrawn(dataset):
        second_structure("GTV_Mass_CT")(dataset)
        del dataset.ROIContourSequence[1].ContourSequence

    for name in (None, "GTV_Mass_CT"):
        assert (outcome(undrawn, roi_name=name)[0] == truth).all()


def test_names_are_shown_on_one_short_line(outcome):
    with pytest.raises(PemmaError) as refusal:
        outcome(second_structure("../lesion\n\x1b[31m" + "x" * 300))
    assert str(refusal.value).isprintable() and len(str(refusal.value)) < 400


def test_a_cut_file_is_refused(sample, tmp_path):
    whole = copy.deepcopy(sample[1])
    for sequence in ("StructureSetROISequence", "ROIContourSequence"):
        whole[sequence].is_undefined_length = False  # pydicom reads what is left of such a sequence without a word
    whole.save_as(tmp_path / "RS.dcm")
    content = (tmp_path / "RS.dcm").read_bytes()
    for size in (len(content) // 2, len(content) - 100):
        (tmp_path / "RS.dcm").write_bytes(content[:size])
        with pytest.raises(PemmaError, match="damaged"):
            annotation.read(tmp_path / "RS.dcm", sample[0])


def test_files_that_are_no_annotation_are_refused(sample, tmp_path):
    for name, content, code in (("a.dcm", b"", "image-unreadable"), ("b", b"DICM" * 60, "image-unreadable")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PemmaError) as refusal:
            annotation.read(tmp_path / name, sample[0])
        assert refusal.value.code == code
    sample[0].ct_headers[0].save_as(tmp_path / "ct.dcm")
    for name, code in (("ct.dcm", "annotation-kind"), ("none.dcm", "annotation-missing")):
        with pytest.raises(PemmaError) as refusal:
            annotation.read(tmp_path / name, sample[0])
        assert refusal.value.code == code


@pytest.mark.parametrize("value, code", [(0, "annotation-empty"), (1, "annotation-full")])
def test_masks_of_nothing_and_of_everything_are_said(sample, tmp_path, value, code):
    ct = sample[0].ct
    sitk.WriteImage(like(np.full(ct.GetSize()[::-1], value, np.uint8), ct), str(tmp_path / "m.nii.gz"))
    assert [w.code for w in annotation.read(tmp_path / "m.nii.gz", sample[0])[1]] == [code]


def test_mask_elsewhere_or_of_impossible_values_is_refused(sample, tmp_path, truth):
    mask = like(truth, sample[0].ct)
    x, y, z = mask.GetOrigin()
    mask.SetOrigin((x, y, z + 500))
    sitk.WriteImage(mask, str(tmp_path / "m.nii.gz"))
    with pytest.raises(PemmaError, match="outside the study"):
        annotation.read(tmp_path / "m.nii.gz", sample[0])
    sitk.WriteImage(like(truth.astype(np.float32) - 1, sample[0].ct), str(tmp_path / "m.nii.gz"))
    with pytest.raises(PemmaError, match="negative"):
        annotation.read(tmp_path / "m.nii.gz", sample[0])


def test_contours_of_the_other_series_warn_when_its_frame_differs(sample, outcome, truth):
    study = sample[0]
    header = copy.copy(study.ct_headers[0])
    other = copy.deepcopy(header)
    other.FrameOfReferenceUID = "1.2.840.99"
    both = dataclasses.replace(study, pet=study.ct, ct_headers=(other,), pet_headers=(header,))
    label, codes = outcome(lambda d: None, study=both)
    assert codes == ["annotation-frame-other"] and (label == truth).all()

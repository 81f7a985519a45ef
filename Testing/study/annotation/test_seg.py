"""SEG: there and back, on other grids and slices, united only where that makes sense."""

import dataclasses
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like, voxel_ml
from PEMMASegmentLib.study import annotation
from PEMMASegmentLib.study.types import PetCtStudy

from .grids import centroid_mm, codes, dicom_study, oblique_grid, own_uids, restated, turned, write_seg

pytestmark = pytest.mark.filterwarnings("ignore:The value length")  # the public files' Study ID is too long


@pytest.fixture(scope="module")
def sources(real):
    """CT study with highdicom's kind of sources, and two lesions in it (frames, rows, columns, 2)."""
    study = real("STS_008")[1]
    lesions = np.zeros((*study.ct.GetSize()[::-1], 2), np.uint8)
    lesions[10:14, 20:31, 50:77, 0] = 1
    lesions[40:43, 60:63, 30:34, 1] = 1
    return study, lesions


@pytest.mark.parametrize("order", [1, -1])
def test_binary_seg_comes_back_voxel_by_voxel(sources, tmp_path, order):
    study, lesions = sources
    file = write_seg(tmp_path / "a", study.ct_headers[::order], lesions[::order], ["Lesion 1", "Lesion 2"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesions.any(axis=-1)).all() and warnings == ()
    assert (array(annotation.read(file, study, roi_name="lesion 2")[0]) == lesions[..., 1]).all()
    reverse, warnings = annotation.read(file, dataclasses.replace(study, ct=turned(study.ct)))
    assert (array(reverse)[::-1] == lesions.any(axis=-1)).all() and warnings == ()


def test_seg_of_probabilities_and_of_labels(sources, tmp_path):
    study, lesions = sources
    steps = lesions[..., 0] * 0.7
    steps[11, 20:31, 50:77] = np.linspace(0, 1, 27)
    kind = hd.seg.SegmentationTypeValues.FRACTIONAL
    file = write_seg(tmp_path / "f", study.ct_headers, steps, ["GTV"], kind, max_fractional_value=200)
    assert (array(annotation.read(file, study)[0]) == (steps >= 0.5)).all()
    numbers = (lesions[..., 0] + 2 * lesions[..., 1]).astype(np.uint8)
    file = write_seg(tmp_path / "l", study.ct_headers, numbers, ["Bone", "GTV"], "LABELMAP")
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesions[..., 1]).all() and codes(warnings) == {"annotation-segments"}


def property_code(file: Path, category: str, kind: str) -> Path:
    """The file with another property category and type of all its segments."""
    dataset = pydicom.dcmread(file)
    for described in dataset.SegmentSequence:
        described.SegmentedPropertyCategoryCodeSequence[0].CodeValue = category
        described.SegmentedPropertyTypeCodeSequence[0].CodeValue = kind
    dataset.save_as(file)
    return file


TISSUE, ORGAN, ABNORMAL, LESION = "85756007", "123037004", "49755003", "52988006"


def test_segments_are_united_only_when_they_are_tumours(sources, tmp_path):
    study, lesions = sources

    def seg(labels, category=TISSUE, kind=TISSUE) -> Path:
        return property_code(write_seg(tmp_path / "u", study.ct_headers, lesions, labels), category, kind)

    with pytest.raises(PemmaError, match="--annotation-roi: liver, spleen"):
        annotation.read(seg(["liver", "spleen"]), study)
    assert (array(annotation.read(tmp_path / "u", study, roi_name="Spleen")[0]) == lesions[..., 1]).all()
    with pytest.raises(PemmaError, match="none is named or coded"):
        annotation.read(seg(["Rib 1", "Rib 2"], ORGAN), study)
    for file in (seg(["a", "b"], ABNORMAL, LESION), seg(["Segment_1", "Segment_2"])):
        label, warnings = annotation.read(file, study)
        assert (array(label) == lesions.any(axis=-1)).all() and warnings == ()


def test_seg_on_another_grid_is_as_thick_as_its_stated_slices_also_with_gaps(sources, tmp_path):
    study, lesions = sources
    sparse = np.zeros(lesions.shape[:3], np.uint8)
    sparse[[10, 14], 20:31, 50:77] = 1  # frames of these slices only
    file = write_seg(tmp_path / "g", study.ct_headers, sparse, ["GTV"])
    finer = sitk.Expand(study.ct, [1, 1, 2])  # the lesion's ends lie between its voxels' centres
    label, _ = annotation.read(file, dataclasses.replace(study, ct=finer))
    assert array(label).sum() * voxel_ml(label) == pytest.approx(sparse.sum() * voxel_ml(study.ct), rel=0.1)
    restated(
        file, SpacingBetweenSlices=5.0, SliceThickness=5.0
    )  # what doesn't fit gives way to the distance of the frames
    assert array(annotation.read(file, dataclasses.replace(study, ct=finer))[0]).sum() > 3 * array(label).sum()


def marked_planes(study, planes) -> np.ndarray:
    drawn = np.zeros(study.ct.GetSize()[::-1], np.uint8)
    drawn[planes, 20:31, 50:77] = 1
    return drawn


@pytest.mark.parametrize("planes", [slice(9, 21, 3), slice(12, 13), [9, 15]])
@pytest.mark.parametrize("sign", [1, -1, None])  # minus: slices from head to feet; None: only the thickness is stated
def test_seg_on_slices_three_times_as_thick_keeps_its_volume(sources, tmp_path, planes, sign):
    study, _ = sources
    drawn, thick = marked_planes(study, planes), 3 * study.ct.GetSpacing()[2]
    file = write_seg(tmp_path / "t", own_uids(study.ct_headers[::3], SliceThickness=thick), drawn[::3], ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=sign and sign * thick), study)
    assert array(label).sum() == 3 * drawn.sum() and codes(warnings) == {"annotation-resampled"}
    assert np.abs(centroid_mm(label) - centroid_mm(like(drawn, study.ct))).max() < 1e-3


@pytest.mark.parametrize("planes", [[10], [10, 14], [10, 12, 17], [10, 12, 14, 16]])
@pytest.mark.parametrize("thickness", [1.0, 3.27, 5.0, 6.54, None])  # the slices are 3.27 mm apart
def test_seg_without_distance_drawn_on_the_studys_slices_is_pasted(sources, tmp_path, planes, thickness):
    study, _ = sources
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "f", study.ct_headers, drawn, ["GTV"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == drawn).all() and warnings == ()
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=None, SliceThickness=thickness), study)
    assert (array(label) == drawn).all() and warnings == ()


@pytest.mark.parametrize("planes", [[10], [10, 14], [10, 12, 17]])
@pytest.mark.parametrize("thickness", [5.0, 6.54])
def test_seg_without_distance_of_a_series_as_thick_as_the_studys_is_pasted(sources, tmp_path, planes, thickness):
    """CT slices overlap: another series of the same scan has the study's thickness, not its distance."""
    study = dataclasses.replace(sources[0], ct_headers=tuple(own_uids(sources[0].ct_headers, SliceThickness=thickness)))
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "k", own_uids(study.ct_headers), drawn, ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=None), study)
    assert (array(label) == drawn).all() and warnings == ()


def test_seg_whose_distance_fits_none_of_its_frames_is_pasted(sources, tmp_path):
    study, _ = sources
    drawn = marked_planes(study, [10, 14])
    file = write_seg(tmp_path / "n", study.ct_headers, drawn, ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=5.0), study)
    assert (array(label) == drawn).all() and warnings == ()


@pytest.mark.parametrize("planes, thickness", [(slice(8, 12), 1.09), (slice(8, 12), 5.0), ([10, 14], 3.27)])
def test_seg_on_another_grid_without_distance_is_as_thick_as_what_its_frames_keep(sources, tmp_path, planes, thickness):
    study, _ = sources
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "h", study.ct_headers, drawn, ["GTV"])
    finer = dataclasses.replace(study, ct=sitk.Expand(study.ct, [1, 1, 2]))
    label, _ = annotation.read(restated(file, SpacingBetweenSlices=None, SliceThickness=thickness), finer)
    assert array(label).sum() == pytest.approx(2 * drawn.sum(), rel=0.1)


def test_seg_on_the_pet_is_resampled_onto_the_ct_in_place(sources, real, tmp_path):
    study = sources[0]
    folder, _ = real("STS_008")
    pet = dicom_study(folder / "STS_008/PET", "pet")
    mask = np.zeros(pet.pet.GetSize()[::-1], np.uint8)
    mask[20:26, 10:16, 12:20] = 1
    file = write_seg(tmp_path / "p", pet.pet_headers, mask, ["GTV"])
    label, warnings = annotation.read(file, study)
    drawn = like(mask, pet.pet)
    assert codes(warnings) == {"annotation-resampled"}
    assert np.abs(centroid_mm(label) - centroid_mm(drawn)).max() < 0.5
    assert array(label).sum() * voxel_ml(label) == pytest.approx(mask.sum() * voxel_ml(drawn), rel=0.07)


def test_seg_of_another_frame_or_without_sense_is_refused(sources, tmp_path):
    study, lesions = sources
    file = write_seg(tmp_path / "s", study.ct_headers, lesions[..., 0], ["GTV"])

    def refusal(change) -> str:
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(tmp_path / "changed")
        with pytest.raises(PemmaError) as error:
            annotation.read(tmp_path / "changed", study)
        assert error.value.place == "changed"
        return error.value.code

    def position(x):
        return lambda d: setattr(d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0], *x)

    assert refusal(lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3")) == "annotation-frame"
    assert refusal(lambda d: setattr(d, "PixelData", d.PixelData[:100])) == "annotation-seg"
    assert refusal(lambda d: setattr(d, "NumberOfFrames", 2)) == "annotation-seg"
    assert refusal(position(("ImagePositionPatient", ["nan", 0, 0]))) == "annotation-seg"
    assert refusal(position(("ImagePositionPatient", [9e5, 0, 0]))) == "annotation-seg"


def test_seg_reads_tilted_grids(tmp_path):
    study = oblique_study()
    lesion = np.zeros((20, 24, 28), np.uint8)
    lesion[4:9, 5:12, 6:20] = 1
    file = write_seg(tmp_path / "o", study.ct_headers, lesion, ["GTV"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesion).all() and warnings == ()


def oblique_study() -> PetCtStudy:
    grid = oblique_grid(Rotation.from_euler("xyz", [25, -10, 40], degrees=True), (1.5, 2.0, 3.0), size=(28, 24, 20))
    direction = np.array(grid.GetDirection()).reshape(3, 3)
    headers = []
    for k in range(grid.GetSize()[2]):
        header = pydicom.Dataset()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.update({key: pydicom.DataElement(key, *value) for key, value in COMMON.items()})
        header.SOPInstanceUID = f"1.2.3.4.{k + 1}"
        header.ImageOrientationPatient = [float(f"{x:.10f}") for x in direction[:, :2].T.ravel()]
        header.ImagePositionPatient = [float(f"{x:.8f}") for x in grid.TransformIndexToPhysicalPoint((0, 0, k))]
        header.PixelSpacing, header.SliceThickness = [2.0, 1.5], 3.0
        header.Rows, header.Columns = 24, 28
        headers.append(header)
    return PetCtStudy(ct=grid, pet=None, ct_headers=tuple(headers))


COMMON = {
    0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.2"),
    0x00080020: ("DA", "20200101"),
    0x00080030: ("TM", "120000"),
    0x00080050: ("SH", ""),
    0x00080060: ("CS", "CT"),
    0x00080090: ("PN", ""),
    0x00100010: ("PN", "A^B"),
    0x00100020: ("LO", "1"),
    0x00100030: ("DA", ""),
    0x00100040: ("CS", "O"),
    0x0020000D: ("UI", "1.2.3.1"),
    0x0020000E: ("UI", "1.2.3.2"),
    0x00200010: ("SH", "1"),
    0x00200011: ("IS", "1"),
    0x00200013: ("IS", "1"),
    0x00200052: ("UI", "1.2.3.3"),
}

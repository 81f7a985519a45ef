"""The DICOM-SEG under readers and validators that are not ours: in place, voxel for voxel, no error of our making."""

import copy
import json
import tracemalloc
from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.components import components
from PEMMASegmentLib.core.voxels import Voxels
from PEMMASegmentLib.results import measure, measure_edited, write_all, write_seg
from PEMMASegmentLib.results.seg import MOST_SEGMENTS

from .segs import errors_of_dciodvfy, headers_with, points, read_by_dcmqi, write
from .studies import nifti_study, on_grid, segmentation


def as_it_is(study, label):
    return study, label


def half_a_voxel_on(study, label):
    """The whole study moved by half a CT voxel, in the headers as well as in the images."""
    return _moved(study, label, np.eye(3), np.array(study.ct.GetSpacing()) / 2)


def oblique(study, label):
    turn = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5)
    return _moved(study, label, np.reshape(turn.GetMatrix(), (3, 3)), np.zeros(3))


def flipped(study, label):
    """Slices from head to feet: a grid whose third axis points against the normal of its planes."""
    images = [sitk.GetImageFromArray(sitk.GetArrayFromImage(image)[::-1]) for image in (study.ct, label)]
    for image in images:
        image.SetSpacing(study.ct.GetSpacing())
        image.SetOrigin(study.ct.TransformIndexToPhysicalPoint((0, 0, study.ct.GetSize()[2] - 1)))
        image.SetDirection((np.reshape(study.ct.GetDirection(), (3, 3)) * [1, 1, -1]).ravel().tolist())
    return replace(study, ct=images[0], ct_headers=study.ct_headers[::-1]), images[1]


def resampled(study, label):
    """A grid that has no slice of the source: every second plane moved by a third of a step."""
    grid = sitk.Image(study.ct)[:, :, 3:40:2]
    grid.SetOrigin((np.array(grid.GetOrigin()) + (0, 0, 1.1)).tolist())
    return replace(study, ct=sitk.Resample(study.ct, grid)), on_grid(label, grid)


def stated_twice_as_far(study, label):
    return headers_with(study, SpacingBetweenSlices=6.6), label


def stated_from_head_to_feet(study, label):
    """As it is written in nuclear medicine."""
    return headers_with(study, SpacingBetweenSlices=-3.3), label


def rounded(study, label):
    """A slice a little out of step, others turned by a last digit, and a thickness that is not the step."""
    changed = headers_with(study, SliceThickness=5)
    header = changed.ct_headers[9]
    header.ImagePositionPatient = [*header.ImagePositionPatient[:2], f"{header.ImagePositionPatient[2] + 0.08:.6f}"]
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, "0.000001"]
    return changed, label


def _moved(study, label, turn: np.ndarray, shift: np.ndarray):
    images = [sitk.Image(image) for image in (study.ct, study.pet, label)]
    for image in images:
        image.SetOrigin((turn @ image.GetOrigin() + shift).tolist())
        image.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    headers = []
    for header in map(copy.deepcopy, study.ct_headers):
        header.ImagePositionPatient = [f"{v:.10g}" for v in turn @ np.array(header.ImagePositionPatient, float) + shift]
        cosines = np.reshape(np.array(header.ImageOrientationPatient, float), (2, 3)) @ turn.T
        header.ImageOrientationPatient = [f"{v:.10f}" for v in cosines.ravel()]
        headers.append(header)
    return replace(study, ct=images[0], pet=images[1], ct_headers=tuple(headers)), images[2]


@pytest.mark.parametrize("change", [
    as_it_is, half_a_voxel_on, oblique, flipped, resampled, stated_twice_as_far, stated_from_head_to_feet, rounded,
])  # fmt: skip
def test_dcmqi_reads_it_back_voxel_exact_and_in_place(study, label, tmp_path, change):
    study, label = change(study, label)
    write(tmp_path / "seg.dcm", study, label)
    read = points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read"))
    expected = points([label])
    assert read.shape == expected.shape and np.allclose(read, expected, atol=0.021)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


@pytest.mark.parametrize("change", [as_it_is, flipped])
def test_highdicom_reads_it_back_slice_for_slice(study, label, tmp_path, change):
    study, label = change(study, label)
    write(tmp_path / "seg.dcm", study, label)
    read = hd.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in study.ct_headers],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    lesions = measure(label, study.pet)
    assert np.array_equal(read != 0, sitk.GetArrayFromImage(label) != 0)
    assert [np.count_nonzero(read == lesion.number) for lesion in lesions] == [
        round(lesion.volume_ml * 1000 / np.prod(label.GetSpacing())) for lesion in lesions
    ]


def test_one_segment_for_all(study, label, tmp_path):
    seg = write(tmp_path / "seg.dcm", study, label, segments="one")
    assert len(seg.SegmentSequence) == 1 and not errors_of_dciodvfy(tmp_path / "seg.dcm")
    assert np.array_equal(points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")), points([label]))


def test_a_pet_alone_is_the_reference(study, shared, tmp_path):
    alone = replace(study, ct=None, ct_headers=())
    label = on_grid(nifti_study(shared / "data" / "sts" / "STS_008")[1], study.pet)
    seg = write(tmp_path / "seg.dcm", alone, label, inputs="pet")
    assert seg.ReferencedSeriesSequence[0].SeriesInstanceUID == study.pet_headers[0].SeriesInstanceUID
    assert np.allclose(points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")), points([label]), atol=0.021)
    assert not errors_of_dciodvfy(tmp_path / "seg.dcm")


def test_without_a_lesion_there_is_nothing_to_write(study, label, tmp_path):
    with pytest.raises(PemmaError, match="seg-empty"):
        write(tmp_path / "seg.dcm", study, label * 0)
    assert not list(tmp_path.iterdir())


def test_a_lesion_thrown_out_is_left_out(study, label, tmp_path):
    lesions = measure(label, study.pet)
    lesions[0].kept = False
    write_seg(tmp_path / "seg.dcm", study, segmentation(label), lesions)
    seg = pydicom.dcmread(tmp_path / "seg.dcm")
    assert [item.TrackingID for item in seg.SegmentSequence] == ["lesion 2", "lesion 3"]


def cut_in_two(label: sitk.Image, plane: int) -> sitk.Image:
    """Lesion numbers as after an edit: the largest lesion of `label` cut at a slice, the upper part is number 7."""
    numbers, _ = components(label)
    numbers[plane:][numbers[plane:] == 1] = 7
    out = sitk.GetImageFromArray(numbers.astype(np.uint8))
    out.CopyInformation(label)
    return out


def lesions_in(numbers: sitk.Image) -> Voxels:
    voxels = sitk.GetArrayFromImage(numbers)
    return Voxels(voxels.shape, np.flatnonzero(voxels), voxels[voxels > 0])


def test_edited_lesions_are_semiautomatic_and_written_as_they_were_drawn(study, label, tmp_path):
    numbers = cut_in_two(label, 25)
    lesions = measure_edited(lesions_in(numbers), numbers, study.pet, key="test")
    for lesion in (lesions[0], lesions[3]):
        lesion.algorithm_type = "SEMIAUTOMATIC"
    write_all(tmp_path / "out", study, segmentation(label, numbers=numbers), lesions)
    seg = hd.seg.segread(tmp_path / "out" / "segmentation.dcm")
    assert [item.SegmentLabel for item in seg.SegmentSequence] == [f"Tumour {n}" for n in (1, 2, 3, 7)]
    types = ["SEMIAUTOMATIC", "AUTOMATIC", "AUTOMATIC", "SEMIAUTOMATIC"]
    assert [item.SegmentAlgorithmType for item in seg.SegmentSequence] == types
    told = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert [lesion["algorithm_type"] for lesion in told["lesions"]] == types
    read = seg.get_pixels_by_source_instance(
        [header.SOPInstanceUID for header in study.ct_headers],
        combine_segments=True,
        assert_missing_frames_are_empty=True,
    )
    assert np.array_equal(np.array([0, 1, 2, 3, 7])[read], sitk.GetArrayFromImage(numbers))
    assert not errors_of_dciodvfy(tmp_path / "out" / "segmentation.dcm")


def test_another_cut_is_another_object(study, label, tmp_path):
    """The same voxels in the same lesions' names: only who owns which voxel differs."""
    uids = []
    for plane in (25, 26):
        numbers = cut_in_two(label, plane)
        lesions = measure_edited(lesions_in(numbers), numbers, None)
        for lesion in lesions:
            lesion.tracking_uid = f"2.25.{lesion.number}"
        write_seg(tmp_path / "seg.dcm", study, segmentation(label, numbers=numbers), lesions)
        uids.append(pydicom.dcmread(tmp_path / "seg.dcm").SOPInstanceUID)
    assert uids[0] != uids[1]


def test_segments_and_who_drew_them_are_part_of_the_objects_identity(study, label, tmp_path):
    one_lesion = sitk.RelabelComponent(sitk.ConnectedComponent(label)) == 1
    uids = set()
    for segments, kind in (("one", "AUTOMATIC"), ("each", "AUTOMATIC"), ("each", "SEMIAUTOMATIC")):
        lesions = measure(one_lesion, None, key="test")
        lesions[0].algorithm_type = kind
        write_seg(tmp_path / "seg.dcm", study, segmentation(one_lesion), lesions, segments=segments)
        uids.add(pydicom.dcmread(tmp_path / "seg.dcm").SOPInstanceUID)
    assert len(uids) == 3


def test_one_edited_lesion_makes_the_one_segment_for_all_semiautomatic(study, label, tmp_path):
    lesions = measure(label, study.pet)
    lesions[1].algorithm_type = "SEMIAUTOMATIC"
    write_seg(tmp_path / "seg.dcm", study, segmentation(label), lesions, segments="one")
    assert pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence[0].SegmentAlgorithmType == "SEMIAUTOMATIC"


@pytest.mark.parametrize("count", [MOST_SEGMENTS, MOST_SEGMENTS + 1])
def test_memory_stays_bounded_with_many_lesions(study, tmp_path, count):
    """As an array with an axis of segments this label would need 144 MB."""
    big, label, headers = _many_lesions(study, count)
    study = replace(study, ct=big, ct_headers=headers)
    lesions = measure(label, None, min_volume_ml=0)
    write_seg(tmp_path / "first.dcm", study, segmentation(label), lesions[:1])  # imports what is imported late
    tracemalloc.start()
    told = write_seg(tmp_path / "seg.dcm", study, segmentation(label, probability=label), lesions)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(lesions) == count and peak < 30e6
    assert len(pydicom.dcmread(tmp_path / "seg.dcm").SegmentSequence) == (count if count <= MOST_SEGMENTS else 1)
    assert [one.code for one in told] == (["seg-merged"] if count > MOST_SEGMENTS else [])


def _many_lesions(study, count: int) -> tuple[sitk.Image, sitk.Image, tuple[pydicom.Dataset, ...]]:
    """A CT of 128 x 128 on the planes of the study's, and a label with `count` squares of 9 voxels."""
    voxels = np.zeros((len(study.ct_headers[:44]), 128, 128), np.uint8)
    places = [(z, y, x) for z in range(2, 40, 10) for y in range(4, 120, 16) for x in range(4, 120, 16)]
    for z, y, x in places[:count]:
        voxels[z, y : y + 3, x : x + 3] = 1
    label = sitk.GetImageFromArray(voxels)
    label.SetSpacing(study.ct.GetSpacing())
    label.SetOrigin(study.ct.GetOrigin())
    headers = tuple(map(copy.deepcopy, study.ct_headers[:44]))
    for header in headers:
        header.Rows = header.Columns = 128
    return sitk.Cast(label, sitk.sitkInt16), label, headers

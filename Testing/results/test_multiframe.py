"""The DICOM-SEG of an Enhanced CT: in place although its frames are stored in any order, or in several files, with geometry
frame by frame or stated wrongly."""

import copy

import numpy as np
import pydicom
import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core.images import like

from ..study.phantom import enhanced_ct
from .segs import points, read_by_dcmqi, write

SHUFFLED = [3, 0, 6, 1, 7, 2, 5, 4]


def as_it_is(file):
    pass


def each_frame_its_own(file):
    shared = file.SharedFunctionalGroupsSequence[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        for frame in file.PerFrameFunctionalGroupsSequence:
            setattr(frame, keyword, copy.deepcopy(shared[keyword].value))
        del shared[keyword]


def wrong_step(file):
    measures = file.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = 9
    del measures.SliceThickness


@pytest.mark.parametrize("change, orders", [
    (as_it_is, [SHUFFLED]), (as_it_is, [SHUFFLED[:3], SHUFFLED[3:]]), (each_frame_its_own, [SHUFFLED[:3], SHUFFLED[3:]]),
    (wrong_step, [SHUFFLED]),
])  # fmt: skip
def test_dcmqi_reads_it_in_place_and_references_point_to_the_frames(change, orders, tmp_path):
    files = [enhanced_ct(order, number) for number, order in enumerate(orders, start=60)]
    for file in files:
        change(file)
    (tmp_path / "study").mkdir()
    for n, file in enumerate(files):
        file.save_as(tmp_path / "study" / f"{n}.dcm", enforce_file_format=True)
    loaded = study.load(tmp_path / "study")
    voxels = np.zeros((8, 16, 20), np.uint8)
    voxels[1:3, 4:9, 5:15] = voxels[2:4, 6:12, 3:7] = voxels[7, 2:9, 12:18] = 1
    label = like(voxels, loaded.ct)
    seg = write(tmp_path / "seg.dcm", loaded, label)
    assert np.array_equal(points(read_by_dcmqi(tmp_path / "seg.dcm", tmp_path / "read")), points([label]))
    [series] = seg.ReferencedSeriesSequence
    assert {r.ReferencedSOPInstanceUID for r in series.ReferencedInstanceSequence} == {f.SOPInstanceUID for f in files}
    for frame in seg.PerFrameFunctionalGroupsSequence:
        for derivation in frame.get("DerivationImageSequence", []):
            [source] = derivation.SourceImageSequence
            of_source = files[0].PerFrameFunctionalGroupsSequence[int(source.ReferencedFrameNumber) - 1]
            assert np.allclose(position(frame), position(of_source))


def position(frame: pydicom.Dataset) -> list[float]:
    return [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]

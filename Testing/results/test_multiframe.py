"""The DICOM-SEG of an Enhanced CT: in place although its frames are stored in any order, or in several files."""

import numpy as np
import pydicom
import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core.images import like

from ..study.phantom import enhanced_ct
from .test_seg import points, read_by_dcmqi, write

SHUFFLED = [3, 0, 6, 1, 7, 2, 5, 4]


@pytest.fixture(params=[[SHUFFLED], [SHUFFLED[:3], SHUFFLED[3:]]], ids=["one file", "two files"])
def files(request) -> list[pydicom.Dataset]:
    return [enhanced_ct(order, number) for number, order in enumerate(request.param, start=60)]


def test_dcmqi_reads_it_in_place_and_references_point_to_the_frames(files, tmp_path):
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

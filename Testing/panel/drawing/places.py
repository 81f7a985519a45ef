"""Where the lesions of these tests lie, what is shown of them, and a stroke beside one."""

import numpy as np

from ..conftest import voxels

ONLY_PET = (23, 61, 0)  # z, y, x in the CT of STS_008: SUV 3.6, the answer gives nothing
TUMOUR, BLADDER, METASTASIS = (24, 68, 61), (8, 20, 20), (40, 20, 100)


def lesion_at(run, index):
    """The lesion of a voxel (z, y, x), None outside all."""
    return next((lesion for lesion in run.lesions if lesion.number == run._drawing.numbers[index]), None)


def shown(run) -> np.ndarray:
    """How many segments each voxel (z, y, x) has."""
    from PEMMASegmentLib.panel import segments

    return sum(voxels(run.node, segment_id, run.reference).astype(int) for segment_id in segments.ids(run.node).values())


def paint(run, index) -> None:
    """A stroke of the Segment Editor beside a lesion: two planes at a corner of the volume."""
    import slicer

    from PEMMASegmentLib.panel import segments

    segment_id = segments.ids(run.node)[lesion_at(run, index).number]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(run.node, segment_id, run.reference)
    array[:2, :5, :5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, segment_id, run.reference)
    run.take_edits()


def state_of(run) -> list[tuple]:
    return [
        (lesion.number, lesion.volume_ml, lesion.kept, lesion.tracking_uid, lesion.algorithm_type, lesion.number in run.reviewed)
        for lesion in run.lesions
    ]

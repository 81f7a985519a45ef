"""Where there is something in the answer of these tests, what is shown of it, and what a user does with it."""

from dataclasses import asdict

import numpy as np
import SimpleITK as sitk

from ..conftest import FIELDS, voxels

SEEN = (33, 50, 21)  # z, y, x in the CT of STS_008: the answer gives 0.27, under its threshold
ONLY_PET = (23, 61, 0)  # SUV 3.6, the answer gives nothing
IN_TUMOUR = (24, 68, 61)  # the smaller of the two foci of the one lesion


def millilitres(run, threshold: float) -> float:
    """What a threshold alone marks of the tumour."""
    probability = run.segmentation.probability
    numbers = sitk.ConnectedComponent(sitk.BinaryThreshold(probability, threshold, 2.0, 1, 0), True)
    tumour = sitk.GetArrayViewFromImage(numbers) == numbers[[int(i) for i in IN_TUMOUR[::-1]]]
    return float(tumour.sum() * np.prod(probability.GetSpacing()) / 1000)


def new_run(study, command_line, ct, pet):
    from PEMMASegmentLib.panel import runs

    found = command_line.found
    fields = {name: getattr(found, name) for name in ("inputs", "device", "precision", "threshold", "roi_mm")}
    fields |= {"model": asdict(found.model), "adapter": None, "steps": []}
    return runs.create(study, fields, found.probability, ct, pet)


def numbers_of(run) -> np.ndarray:
    return run._drawing.numbers


def shown(run) -> np.ndarray:
    """Lesion numbers as the segments hold them, read by Slicer's own function."""
    from PEMMASegmentLib.panel import segments

    out = np.zeros(numbers_of(run).shape, np.uint16)
    for number, segment_id in segments.ids(run.node).items():
        out[voxels(run.node, segment_id, run.reference)] = number
    return out


def paint(run, number: int) -> None:
    """A stroke as the Segment Editor leaves it: a block at the corner of the volume added to a segment."""
    import slicer

    from PEMMASegmentLib.panel import segments

    segment_id = segments.ids(run.node)[number]
    array = slicer.util.arrayFromSegmentBinaryLabelmap(run.node, segment_id, run.reference)
    array[:3, :10, :10] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, run.node, segment_id, run.reference)


def select(table, *rows: int) -> None:
    from PyQt5 import QtCore

    model = table.selectionModel()
    model.clearSelection()
    for row in rows:
        model.select(table.model().index(row, 0), QtCore.QItemSelectionModel.Select | QtCore.QItemSelectionModel.Rows)


def cells(table, column: int) -> list[str]:
    return [table.item(row, column).text() for row in range(table.rowCount)]


def finished(panel, folder, **fields):
    """A segmentation that was asked for and is answered, by the probability of the result that is shown, and these fields."""
    import time

    from PEMMASegmentLib.panel.remaining import Remaining
    from PEMMASegmentLib.panel.widget import _Asked
    from PEMMASegmentLib.worker.events import Result

    chosen, study = panel.chosen, panel._study()
    sitk.WriteImage(panel.run.segmentation.probability, str(folder / "probability.nrrd"))
    ids = chosen.ct.GetID(), chosen.pet.GetID()
    asked = _Asked(7, study, *ids, time.monotonic(), Remaining(time.monotonic), {"adapter": None}, {})
    answer = Result(7, "segment", FIELDS | {"probability": "probability.nrrd"} | fields, folder)
    return lambda: panel._guarded(panel._finish, asked, answer)

"""A segmentation node as the contour of a new case: its voxels, and whose contour it is, told by where it began."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import slicer

from ..core import PemmaError
from ..core.images import like
from ..study import PetCtStudy
from ..study.annotation.author import SOFTWARE, author_of
from . import logic, runs, segments

LABEL_FILE, HEADER_FILES = "label.nrrd", {"ct": "ct-header.dcm", "pet": "pet-header.dcm"}
_OURS = f"{SOFTWARE} "  # begins the algorithm's name of our segments


def label_of(node, reference, grid: sitk.Image) -> sitk.Image:
    """The segments of `node` on the voxels of `reference` (a volume node) as uint8 on `grid`; dropped lesions are left out.

    Raises PemmaError "contour-empty" when nothing is marked.
    """
    marked = np.zeros(slicer.util.arrayFromVolume(reference).shape, np.uint8)
    for segment_id, segment in _segments(node):
        if segments.tag(segment, segments.KEPT) != "0":
            marked |= (slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, reference) != 0).astype(np.uint8)
    if not marked.any():
        sentence = "the contour marks no voxel of the chosen study"
        raise PemmaError("contour-empty", sentence, "choose the segmentation of this study, or draw into it")
    return like(marked, grid)


def refuse_other_study(node, ct, pet) -> None:
    """Raises PemmaError "contour-other-study" for a result that was made on other volumes (nodes) than those chosen.

    A volume that the result was made without, or that is not chosen, tells nothing; one at least must be the same.
    """
    if not node.GetAttribute(runs.RECORD):
        return
    both = [(node.GetNodeReference(role), volume) for role, volume in ((runs.CT, ct), (runs.PET, pet))]
    known = [made_on is volume for made_on, volume in both if made_on is not None and volume is not None]
    if not known or not all(known):
        sentence = "the contour is a result of other volumes than the chosen ones"
        raise PemmaError("contour-other-study", sentence, "choose the CT and PET that it was made on, or another contour")


def origin_of(node) -> dict:
    """Fields of a request that say whose contour it is: `made_by` when a model began it, else `origin`.

    A contour that a model began stays so whatever was corrected since. What came from a file is imported, else drawn here.
    """
    record = node.GetAttribute(runs.RECORD)
    if record:
        told = json.loads(record)
        return {"made_by": {"model": told["model"], "adapter": told.get("adapter")}}
    names = (segments.tag(segment, segments.ALGORITHM_NAME) for _, segment in _segments(node))
    ours = next((name for name in names if name.startswith(_OURS)), None)
    if ours is not None:  # copied from a result into another segmentation
        return {"made_by": {"model": {"name": ours.removeprefix(_OURS), "version": "", "sha256": ""}, "adapter": None}}
    file = _file_of(node)
    author = author_of(file) if file is not None else None
    if author is not None:
        return {"made_by": asdict(author)}
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    item = hierarchy.GetItemByDataNode(node) if hierarchy is not None else 0
    came = file is not None or bool(item and hierarchy.GetItemUID(item, "DICOM"))
    return {"origin": "imported" if came else "scratch"}


def request_fields(study: PetCtStudy, label: sitk.Image, folder: Path) -> dict:
    """Writes study and contour into a private folder; the fields of a request to add them as a case.

    A header of each series goes along: it tells patient (for the pseudonym), scanner and tracer. Raises PemmaError
    "cannot-write" when the disk is full; the folder is gone then, since no request takes it away.
    """
    try:
        return _written(study, label, folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _written(study: PetCtStudy, label: sitk.Image, folder: Path) -> dict:
    fields = logic.request_fields(study, folder, {})
    logic.write_image(label, folder / LABEL_FILE)
    headers = {name: HEADER_FILES[name] for name in HEADER_FILES if getattr(study, f"{name}_headers")}
    for name, file in headers.items():
        _save_header(getattr(study, f"{name}_headers")[0], folder / file)
    typed = list(study.suv.typed) if study.suv else []
    return {**fields, "label": LABEL_FILE, "headers": headers or None, "suv_typed": typed or None}


def _save_header(header, path: Path) -> None:
    try:
        header.save_as(path)
    except OSError as error:
        way_out = "free some space on the disk of the temporary folder"
        raise PemmaError("cannot-write", "the headers can't be written to the temporary folder", way_out) from error


def _file_of(node) -> Path | None:
    """The file that a node was read from, or last saved to."""
    storage = node.GetStorageNode()
    return Path(storage.GetFileName()) if storage is not None and storage.GetFileName() else None


def _segments(node) -> list[tuple]:
    segmentation = node.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return [(segment_id, segmentation.GetSegment(segment_id)) for segment_id in ids]

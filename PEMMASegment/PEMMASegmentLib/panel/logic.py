"""What the panel does without its widgets: volumes to a request, the answer to nodes, lesions to DICOM. For scripts too."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pydicom
import SimpleITK as sitk
import slicer

from .. import results
from ..core import PemmaError
from ..core.images import save
from ..core.types import SMALLEST_ML, USUAL_RULE
from ..study import PetCtStudy
from ..worker.events import Result
from . import runs, segments, studies, volumes

CT_FILE, PET_FILE = "ct.nrrd", "pet.nrrd"
SEG_FILE, TABLE_FILE = "PEMMASegment.dcm", "PEMMASegment.csv"
EDITOR = "SegmentEditor"  # the module, and the tag of its node


def request_fields(study: PetCtStudy, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the study's volumes into a private folder; returns the fields of a segment request.

    options: the command line's by name (`model`, `inputs`, `device`, `roi` ...), None for what is not given.
    Raises PemmaError "cannot-write" when the disk is full; the folder is gone then, since no request takes it away.
    """
    files = {"ct": (study.ct, CT_FILE), "pet": (study.pet, PET_FILE)}
    try:
        for image, name in files.values():
            if image is not None:
                write_image(image, folder / name)
    except PemmaError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    volumes = {key: name for key, (image, name) in files.items() if image is not None}
    return {"folder": folder, "volumes": volumes, **options}


def show_result(study: PetCtStudy, answer: Result, ct_node, pet_node, options: Mapping[str, Any],
                typed: Mapping[str, Any] | None = None) -> runs.Run:  # fmt: skip
    """The answer to a segment request as nodes in the scene. To be called before the next poll, which removes its files.

    options: those that it was asked with, see `request_fields`. typed: what the study was read with, see `runs.Run`.
    """
    probability = sitk.ReadImage(str(answer.folder / answer.fields["probability"]), sitk.sitkFloat32)
    smallest = answer.fields["min_volume_ml"]
    return runs.create(
        study, answer.fields, probability, ct_node, pet_node, min_volume_ml=smallest,
        usual_min_volume_ml=smallest if options.get("min_volume") is None else SMALLEST_ML,
        mtv_rule=options.get("mtv_rule") or USUAL_RULE, typed=typed,
    )  # fmt: skip


def export_seg(run: runs.Run, folder: Path | None, *, into_database: bool = False) -> tuple[Path, list[str]]:
    """Writes the kept lesions as DICOM-SEG under a name that is free in the folder, which may be None for the database.

    Returns the file and sentences of what the user should know about it.
    Raises PemmaError with the reason: no lesion kept, no DICOM headers, a volume that was moved, no such folder, a full disk,
    a database that does not take it.
    """
    if why := studies.why_moved(run.study):
        raise PemmaError("seg-moved", why, studies.LOAD_AGAIN)
    with _place(folder) as place:
        path = _free_name(place / SEG_FILE)
        told = _to_disk(run.write_seg, path)
        if into_database:
            _into_database(path)
        return path, [warning.sentence for warning in told]


def _into_database(path: Path) -> None:
    """A copy of it. The database itself only logs when it could not take the file."""
    database, uid = slicer.dicomDatabase, pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
    database.insert(str(path))
    if not database.fileForInstance(uid):
        sentence = "the DICOM database did not take the DICOM-SEG"
        raise PemmaError("database", sentence, "open the database in the module DICOM, free some space, or choose a folder")


def export_table(run: runs.Run, folder: Path) -> Path:
    """Writes the kept lesions as CSV under a name that is free in the folder. Raises PemmaError."""
    run.rest()
    with _place(folder) as place:
        path = _free_name(place / TABLE_FILE)
        typed = run.study.suv.typed if run.study.suv else ()
        _to_disk(results.write_csv, path, run.lesions, typed, run.mtv_rule if run.study.pet is not None else None)
        return path


@contextlib.contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    """The folder, or one that is gone afterwards. Raises PemmaError "no-folder"."""
    if folder is None:
        with tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath) as temporary:
            yield Path(temporary)
    elif not folder.is_dir():
        raise PemmaError("no-folder", "the folder for the result is not there", "choose another folder", folder.name)
    else:
        yield folder


def _to_disk(write: Callable, path: Path, *arguments) -> Any:
    try:
        return write(path, *arguments)
    except OSError as error:
        words = error.strerror or type(error).__name__
        way_out = "free some space or choose another folder"
        raise PemmaError("cannot-write", f"{path.name} can't be written: {words}", way_out) from error


def why_not_export(run: runs.Run | None) -> str:
    """Why no DICOM-SEG can be written, "" if it can."""
    if run is None:
        return "no result is shown"
    if not any(lesion.kept for lesion in run.lesions):
        return "no lesion is kept"
    if not run.study.grid_headers:
        return "the volume was not loaded from DICOM"
    return studies.why_moved(run.study)


def centre_ras(run: runs.Run, number: int) -> tuple[float, float, float]:
    """Where a lesion's centroid is drawn, RAS millimetres of the views. Raises PemmaError "result-gone"."""
    seen = [0.0, 0.0, 0.0]
    centre = next(lesion.centroid_mm for lesion in run.lesions if lesion.number == number)
    run.node.TransformPointToWorld(volumes.to_ras(centre), seen)
    return tuple(seen)


def crosshair_lps(run: runs.Run) -> tuple[float, float, float]:
    """Where in the study the crosshair is, LPS millimetres; Shift and the mouse move it in any slice view.

    Raises PemmaError "moved-apart" when CT, PET and result are not under one transform: the place would be ambiguous.
    """
    volume_nodes = [volume for volume in runs.made_on(run.node) if volume is not None]
    if any(volume.GetParentTransformNode() is not run.node.GetParentTransformNode() for volume in volume_nodes):
        way_out = "put all of them under one, or take them out of it (module Transforms)"
        raise PemmaError("moved-apart", "CT, PET and result are not under the same transform", way_out)
    crosshair, there = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode"), [0.0, 0.0, 0.0]
    run.node.TransformPointFromWorld(crosshair.GetCrosshairRAS(), there)
    return volumes.to_ras(there)


def open_editor(run: runs.Run, number: int | None = None) -> None:
    """Shows Slicer's Segment Editor with the run's segments over its CT (or PET), a lesion's segment selected."""
    scene = slicer.mrmlScene
    editor = scene.GetSingletonNode(EDITOR, "vtkMRMLSegmentEditorNode")
    if editor is None:
        editor = scene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
        editor.UnRegister(None)
        editor.SetSingletonTag(EDITOR)
        editor = scene.AddNode(editor)
    editor.SetAndObserveSegmentationNode(run.node)
    editor.SetAndObserveSourceVolumeNode(run.reference)
    if number in segments.ids(run.node):  # it may just have been deleted
        editor.SetSelectedSegmentID(segments.ids(run.node)[number])
    slicer.util.selectModule(EDITOR)


def _free_name(path: Path) -> Path:
    names = (path if n == 1 else path.with_stem(f"{path.stem}-{n}") for n in range(1, 10_000))
    return next(name for name in names if not name.exists())


def write_image(image: sitk.Image, path: Path) -> None:
    """For the background process. Raises PemmaError "cannot-write"."""
    try:
        save(image, path, compressed=False)
    except OSError as error:
        way_out = "free some space on the disk of the temporary folder"
        raise PemmaError("cannot-write", "the volumes can't be written to the temporary folder", way_out) from error

"""What the panel does without its widgets: volumes to a request, the answer to nodes, lesions to DICOM. For scripts too."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import slicer

from ..core import PemmaError
from ..study import PetCtStudy
from ..worker.events import Result
from . import runs

CT_FILE, PET_FILE = "ct.nrrd", "pet.nrrd"
SEG_FILE = "PEMMASegment.dcm"


def request_fields(study: PetCtStudy, folder: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the study's volumes into a private folder; returns the fields of a segment request.

    options: the command line's by name (`model`, `inputs`, `device`, `roi` ...), None for what is not given.
    Raises PemmaError "cannot-write" when the disk is full.
    """
    files = {"ct": (study.ct, CT_FILE), "pet": (study.pet, PET_FILE)}
    for image, name in files.values():
        if image is not None:
            _write(image, folder / name)
    volumes = {key: name for key, (image, name) in files.items() if image is not None}
    return {"folder": folder, "volumes": volumes, **options}


def show_result(study: PetCtStudy, answer: Result, ct_node, pet_node, *, min_volume_ml: float = 0.5,
                mtv_rule: str = "41%") -> runs.Run:  # fmt: skip
    """The answer to a segment request as nodes in the scene. To be called before the next poll, which removes its files."""
    probability = sitk.ReadImage(str(answer.folder / answer.fields["probability"]), sitk.sitkFloat32)
    return runs.create(
        study, answer.fields, probability, ct_node, pet_node, min_volume_ml=min_volume_ml, mtv_rule=mtv_rule
    )


def export_seg(run: runs.Run, folder: Path, *, into_database: bool = False) -> Path:
    """Writes the kept lesions as DICOM-SEG into a folder under a name that is free there; returns the file.

    Raises PemmaError with the reason: no lesion kept, no DICOM headers, edited segments, no such folder.
    """
    if not folder.is_dir():
        raise PemmaError("no-folder", "the folder for the DICOM-SEG is not there", "choose another folder")
    path = _free_name(folder / SEG_FILE)
    run.write_seg(path)
    if into_database:
        slicer.dicomDatabase.insert(str(path))
    return path


def why_not_export(run: runs.Run | None) -> str:
    """Why no DICOM-SEG can be written, "" if it can."""
    if run is None:
        return "there is no result yet"
    if not any(lesion.kept for lesion in run.lesions):
        return "no lesion is kept"
    if not run.study.grid_headers:
        return "the volume was not loaded from DICOM"
    return ""


def centre_ras(run: runs.Run, number: int) -> tuple[float, float, float]:
    """A lesion's centroid in RAS millimetres: where the views jump to."""
    from .volumes import to_ras

    return to_ras(next(lesion.centroid_mm for lesion in run.lesions if lesion.number == number))


def _free_name(path: Path) -> Path:
    names = (path if n == 1 else path.with_stem(f"{path.stem}-{n}") for n in range(1, 10_000))
    return next(name for name in names if not name.exists())


def _write(image: sitk.Image, path: Path) -> None:
    try:
        sitk.WriteImage(image, str(path), useCompression=False)
    except RuntimeError as error:  # ITK's only kind
        way_out = "free some space on the disk of the temporary folder"
        raise PemmaError("cannot-write", "the volumes can't be written to the temporary folder", way_out) from error

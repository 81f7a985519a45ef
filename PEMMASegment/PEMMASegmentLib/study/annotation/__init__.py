"""Annotations of a study (RTSTRUCT, DICOM-SEG or a mask image) as a label on the study's grid."""

import os
from pathlib import Path

import pydicom
import SimpleITK as sitk
from pydicom.errors import InvalidDicomError

from ...core import PemmaError
from ..nifti import MASK_FILE
from ..types import PetCtStudy, StudyWarning
from . import rtstruct, seg
from .frame_of_reference import check_frames
from .masks import read_mask

__all__ = ["find", "read"]

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_SEG = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # the second one holds label maps
_IDENTITY = ["SOPClassUID", "SOPInstanceUID"]


def find(folder: Path) -> Path | None:
    """The study's annotation: `mask.nii.gz`, else the only RTSTRUCT or SEG below the folder, known by content.

    None when there is none. Raises PemmaError that lists the files when there are several.
    """
    mask = Path(folder) / MASK_FILE
    if mask.is_file():
        return mask
    found = {}
    for file in _files(Path(folder)):
        header = _header(file)
        if header is not None and header.get("SOPClassUID") in (_RTSTRUCT, *_SEG):
            found.setdefault(str(header.get("SOPInstanceUID", file)), file)
    if len(found) > 1:
        names = ", ".join(sorted({file.name for file in found.values()})[:10])
        raise PemmaError(
            "annotation-several",
            f"the study holds {len(found)} annotations: {names}",
            "choose one with --annotation FILE",
        )
    return next(iter(found.values()), None)


def read(
    file: Path, study: PetCtStudy, *, roi_name: str | None = None
) -> tuple[sitk.Image, tuple[StudyWarning, ...]]:
    """The annotation as a label (uint8: 0, 1) on `study.grid`, and what the user should know.

    roi_name: structure or segment label; without it the only one, or the only one named like GTV, tumour or lesion
    (of a SEG: all of these together). Raises PemmaError when the annotation can't be read or belongs elsewhere.
    """
    file = Path(file)
    if not file.is_file():
        raise PemmaError("annotation-missing", "the annotation file is not there", "check the path", file.name)
    header = _header(file)
    kind = str(header.get("SOPClassUID", "")) if header is not None else ""
    if kind == _RTSTRUCT:
        label, notes = _read_rtstruct(file, study, roi_name)
    elif kind in _SEG:
        label, notes = _read_seg(file, study, roi_name)
    elif kind:
        raise PemmaError(
            "annotation-kind", "the file is neither RTSTRUCT nor SEG", "give RTSTRUCT, SEG or a NIfTI mask", file.name
        )
    else:
        label, notes = read_mask(file, study.grid)
        if roi_name is not None:
            notes += (StudyWarning("annotation-roi", "a mask image has no named structures: --annotation-roi unused"),)
    return label, (*notes, *_extremes(label))


def _read_rtstruct(file: Path, study: PetCtStudy, roi_name: str | None):
    dataset = _dataset(file)
    try:
        roi = rtstruct.choose(rtstruct.read_rois(dataset), roi_name)
        notes = check_frames(rtstruct.frames_of(dataset, roi), study, file.name)
        label, more = rtstruct.fill_roi(roi, study.grid)
    except PemmaError as error:
        raise _at(error, file) from error
    return label, (*notes, *more)


def _read_seg(file: Path, study: PetCtStudy, roi_name: str | None):
    dataset = _dataset(file)
    frame = dataset.get("FrameOfReferenceUID")
    notes = check_frames(frozenset({str(frame)} if frame else ()), study, file.name)
    try:
        label, more = seg.read(dataset, study.grid, roi_name, file.name)
    except PemmaError as error:
        raise _at(error, file) from error
    return label, (*notes, *more)


def _at(error: PemmaError, file: Path) -> PemmaError:
    """The same error with the file's base name as its place."""
    return PemmaError(error.code, error.sentence, error.way_out, error.place or file.name)


def _extremes(label: sitk.Image) -> tuple[StudyWarning, ...]:
    voxels = sitk.GetArrayViewFromImage(label)
    if not voxels.any():
        return (StudyWarning("annotation-empty", "the annotation marks no voxel of the study"),)
    if voxels.all():
        return (StudyWarning("annotation-full", "the annotation marks every voxel of the study"),)
    return ()


def _files(folder: Path):
    """Plain files below a folder in a fixed order; links to folders are not followed."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(root) / name
            if path.is_file():
                yield path


def _header(file: Path) -> pydicom.Dataset | None:
    """SOP class and instance of a DICOM file; None for a file that is no DICOM. A file without preamble is one."""
    try:
        with open(file, "rb") as stream:
            start = stream.read(132)
        if start[128:] != b"DICM" and start[:2] not in (b"\x08\x00", b"\x02\x00"):
            return None
        return pydicom.dcmread(file, force=True, specific_tags=_IDENTITY, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError):  # unreadable or damaged: no annotation to be found in it
        return None


def _dataset(file: Path) -> pydicom.Dataset:
    try:
        return pydicom.dcmread(file, force=True)
    except (InvalidDicomError, OSError, EOFError, ValueError) as error:
        sentence = "the annotation file is damaged"
        raise PemmaError("annotation-damaged", sentence, "export it again", file.name) from error

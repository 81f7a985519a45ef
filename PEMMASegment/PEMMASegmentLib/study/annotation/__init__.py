"""Annotations of a study (RTSTRUCT, DICOM-SEG or a mask image) as a label on the study's grid."""

from collections.abc import Callable, Collection
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pydicom
import SimpleITK as sitk
from pydicom.dataelem import RawDataElement

from ...core import PemmaError, PemmaWarning
from ..dicom.files import READ_ERRORS, printable
from ..nifti import MASK_FILE
from ..tags import VALUE_ERRORS
from ..types import PetCtStudy
from . import rtstruct, seg
from .belonging import check_belonging
from .files import header_of, headers
from .masks import read_mask

__all__ = ["find", "read"]

_RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
_SEG = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")  # the second one holds label maps
_UNDEFINED = 0xFFFFFFFF  # length of a value that a delimiter ends

T = TypeVar("T")


def find(folder: Path, if_several: str = "choose one with --annotation FILE") -> Path | None:
    """The study's annotation: `mask.nii.gz`, else the only RTSTRUCT or SEG below the folder, known by content.

    None when there is none. Raises PemmaError that lists the files when there are several, with the way out `if_several`.
    """
    mask = Path(folder) / MASK_FILE
    if mask.is_file():
        return mask
    found = {}
    for file, header in headers(folder):
        if header["SOPClassUID"] in (_RTSTRUCT, *_SEG):
            found.setdefault(header["SOPInstanceUID"] or str(file), file)
    if len(found) > 1:
        names = ", ".join(sorted({printable(file.name) for file in found.values()})[:10])
        raise PemmaError(
            "annotation-several",
            f"the study holds {len(found)} annotations: {names}",
            if_several,
            printable(Path(folder).name),
        )
    return next(iter(found.values()), None)


def read(
    file: Path, study: PetCtStudy, *, roi_name: str | None = None, values: Collection[int] | None = None
) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """The annotation as a label (uint8: 0, 1) on `study.grid`, and what the user should know.

    roi_name: structure or segment label; without it the only one, or the only one named like GTV, tumour or lesion
    (of a SEG: all of these together, or all coded as such, or all when nothing but a number tells them apart).
    values: those that are the tumour in a mask image whose labels the caller knows; None: all above 0.
    Raises PemmaError when the annotation can't be read, leaves a choice or belongs elsewhere.
    """
    file = Path(file)
    if not file.is_file():
        raise PemmaError("annotation-missing", "the annotation file is not there", "check the path", file.name)
    header = header_of(file)
    kind = header["SOPClassUID"] if header is not None else ""
    if kind == _RTSTRUCT:
        label, told = _read_rtstruct(file, study, roi_name)
    elif kind in _SEG:
        label, told = _read_seg(file, study, roi_name)
    elif kind:
        raise PemmaError(
            "annotation-kind", "the file is neither RTSTRUCT nor SEG", "give RTSTRUCT, SEG or a NIfTI mask", file.name
        )
    else:
        with _naming(file):
            label, told = read_mask(file, study.grid, values)
        if roi_name is not None:
            told += (PemmaWarning("annotation-roi", "a mask image has no named structures: --annotation-roi unused"),)
    return label, (*told, *_extremes(label))


def _read_rtstruct(file: Path, study: PetCtStudy, roi_name: str | None):
    dataset = _dataset(file)
    with _naming(file):
        roi = rtstruct.choose(_understood(rtstruct.read_rois, dataset, file), roi_name)
        told = check_belonging(dataset, _understood(lambda d: rtstruct.frames_of(d, roi), dataset, file), study)
        label, more = rtstruct.fill_roi(roi, study.grid)
    return label, (*told, *more)


def _read_seg(file: Path, study: PetCtStudy, roi_name: str | None):
    dataset = _dataset(file)
    with _naming(file):
        content = _understood(seg.understand, dataset, file)
        told = check_belonging(dataset, content.frames_of_reference, study)
        numbers, more = seg.choose(content, roi_name)
        label, resampled = seg.fill(content, numbers, study)
    return label, (*told, *more, *resampled)


def _understood(read: Callable[[pydicom.Dataset], T], dataset: pydicom.Dataset, file: Path) -> T:
    """What `read` takes from the data set; a value that makes no sense means a damaged file."""
    try:
        return read(dataset)
    except VALUE_ERRORS as error:
        raise _damaged(file) from error


@contextmanager
def _naming(file: Path):
    """Gives errors that name no place the file's base name."""
    try:
        yield
    except PemmaError as error:
        raise PemmaError(error.code, error.sentence, error.way_out, error.place or file.name) from error


def _extremes(label: sitk.Image) -> tuple[PemmaWarning, ...]:
    voxels = sitk.GetArrayViewFromImage(label)
    if not voxels.any():
        return (PemmaWarning("annotation-empty", "the annotation marks no voxel of the study"),)
    if voxels.all():
        return (PemmaWarning("annotation-full", "the annotation marks every voxel of the study"),)
    return ()


def _dataset(file: Path) -> pydicom.Dataset:
    try:
        dataset = pydicom.dcmread(file, force=True)
        elements = [dataset.get_item(tag) for tag in dataset.keys()]
    except (OSError, *READ_ERRORS) as error:
        raise _damaged(file) from error
    if any(isinstance(e, RawDataElement) and len(e.value or b"") < e.length != _UNDEFINED for e in elements):
        raise _damaged(file)  # cut: pydicom takes what is left of the last value
    return dataset


def _damaged(file: Path) -> PemmaError:
    return PemmaError("annotation-damaged", "the annotation file is damaged", "export it again", file.name)

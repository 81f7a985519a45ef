"""CT and PET volume nodes as a `PetCtStudy`: HU, SUVbw through the DICOM headers, what speaks against the pair."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import slicer

from ..core import PemmaError
from ..core.images import array, like
from ..study import suv
from ..study.loading import quiet
from ..study.types import PetCtStudy, StudyWarning, Suv, Typed
from . import volumes

UIDS = "DICOM.instanceUIDs"
SUV_UNITS = ("{SUVbw}g/ml", "g/ml{SUVbw}")
LOAD_AGAIN = "load the study again from the DICOM module"


@dataclass(frozen=True)
class Source:
    """A volume and the headers of the slices that it was loaded from, in the order of its slices; () if from a file."""

    image: sitk.Image
    headers: tuple[pydicom.Dataset, ...]


@quiet
def read_study(ct_node, pet_node, *, typed: Typed = Typed(), pet_is_suv: bool = False) -> PetCtStudy:
    """The study of two volume nodes, either may be None. Voxels come from the nodes, the rest from the DICOM database.

    typed: what headers lack. pet_is_suv: the user says that a PET without DICOM headers is in SUVbw.
    Raises PemmaError for what can't be used, with what to do.
    """
    if ct_node is None and pet_node is None:
        raise PemmaError("study-empty", "neither a CT nor a PET is chosen", "choose at least one of them")
    if ct_node is pet_node:
        raise PemmaError("study-same", "CT and PET are the same volume", "choose two volumes, or one and none")
    ct, pet = (_source(node) if node is not None else None for node in (ct_node, pet_node))
    told = _pair(ct, pet)
    suv_image, route, notes = (None, None, ()) if pet is None else _as_suv(pet, pet_node, typed, pet_is_suv)
    ct_headers, pet_headers = (_public(source) for source in (ct, pet))
    hu_image = None if ct is None else _as_hu(ct.image)
    return PetCtStudy(
        ct=hu_image,
        pet=suv_image,
        ct_headers=ct_headers,
        pet_headers=pet_headers,
        suv=route,
        warnings=(*told, *notes),
        study_key=_key(ct_headers, pet_headers, hu_image if suv_image is None else suv_image),
        kind="dicom" if ct_headers or pet_headers else "nifti",
    )


def headers_of(node) -> tuple[pydicom.Dataset, ...]:
    """Headers of the DICOM files behind a volume, in no order; () when it did not come from DICOM.

    Raises PemmaError "dicom-files-gone" when the database no longer knows them.
    """
    uids = (node.GetAttribute(UIDS) or "").split()
    files = [slicer.dicomDatabase.fileForInstance(uid) for uid in uids]
    if not all(file and Path(file).is_file() for file in files):
        raise PemmaError("dicom-files-gone", "the DICOM files of the volume are no longer there", LOAD_AGAIN)
    return tuple(pydicom.dcmread(file, stop_before_pixels=True) for file in files)


def _source(node) -> Source:
    image, headers = volumes.image_of(node), headers_of(node)
    if len(headers) > 1:
        headers = tuple(sorted(headers, key=lambda header: _slice_index(image, header)))
    return Source(image, headers)


def _slice_index(image: sitk.Image, header: pydicom.Dataset) -> float:
    position = [float(value) for value in header.ImagePositionPatient]
    return image.TransformPhysicalPointToContinuousIndex(position)[2]


def _as_hu(image: sitk.Image) -> sitk.Image:
    if image.GetPixelID() == sitk.sitkInt16:
        return image
    whole = sitk.Round(image) if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64) else image
    return sitk.Clamp(whole, sitk.sitkInt16, -32768, 32767)


def _as_suv(pet: Source, node, typed: Typed, pet_is_suv: bool) -> tuple[sitk.Image, Suv, tuple[StudyWarning, ...]]:
    """SUVbw, how it was reached, and warnings. A unit that the node itself states counts before the headers."""
    image = sitk.Cast(pet.image, sitk.sitkFloat32)
    units = node.GetVoxelValueUnits()
    if units is not None and units.GetCodeValue() in SUV_UNITS:
        return image, Suv("SUVbw as the volume states", 1.0), ()
    if pet.headers:
        return _converted(image, pet.headers, typed)
    if not pet_is_suv:
        way_out = "tick that it is in SUVbw if it is, or load the DICOM series"
        raise PemmaError("pet-unit-unknown", "the PET does not come from DICOM and does not say its unit", way_out)
    return image, Suv("SUVbw as the user says", 1.0, ("unit",)), ()


def _converted(image: sitk.Image, headers, typed: Typed) -> tuple[sitk.Image, Suv, tuple[StudyWarning, ...]]:
    plan = suv.plan(headers, typed)
    if len(plan.factors) not in (1, image.GetSize()[2]):
        raise PemmaError("pet-slices", "the PET volume does not have the slices of its DICOM files", LOAD_AGAIN)
    factors = plan.factors.astype(np.float64).reshape(-1, 1, 1)
    return like((array(image) * factors).astype(np.float32), image), plan.summary, plan.warnings


def _pair(ct: Source | None, pet: Source | None) -> tuple[StudyWarning, ...]:
    """Refuses CT and PET of two patients; tells of different frames of reference."""
    if ct is None or pet is None or not (ct.headers and pet.headers):
        return ()
    one, other = ct.headers[0], pet.headers[0]
    if one.get("PatientID") != other.get("PatientID"):
        raise PemmaError("two-patients", "CT and PET are of different patients", "choose two volumes of one patient")
    if one.get("FrameOfReferenceUID") == other.get("FrameOfReferenceUID"):
        return ()
    sentence = "CT and PET have different frames of reference; they may not lie in the same place"
    return (StudyWarning("frames-differ", sentence, "look whether they fit before you trust the result"),)


def _public(source: Source | None) -> tuple[pydicom.Dataset, ...]:
    """Without private elements: what a new DICOM object may take over."""
    headers = source.headers if source is not None else ()
    for header in headers:
        header.remove_private_tags()
    return headers


def _key(ct_headers, pet_headers, image: sitk.Image) -> str:
    """As the loader makes it of the same files; without headers from the voxels."""
    chosen = [headers[0] for headers in (ct_headers, pet_headers) if headers]
    if not chosen:
        return sitk.Hash(image)
    return "|".join([str(chosen[0].StudyInstanceUID), *(str(header.SeriesInstanceUID) for header in chosen)])


def in_words(study: PetCtStudy) -> str:
    """One line for the panel: sizes, and the way to SUV."""
    parts = [_size(name, image) for name, image in (("CT", study.ct), ("PET", study.pet)) if image is not None]
    return "; ".join([*parts, *([study.suv.route] if study.suv else [])])


def _size(name: str, image: sitk.Image) -> str:
    size = " x ".join(map(str, image.GetSize()))
    spacing = " x ".join(f"{value:.3g}" for value in image.GetSpacing())
    return f"{name} {size} voxels of {spacing} mm"


def guess(nodes) -> tuple:
    """The CT and the PET among volume nodes, None for what is not there; the PET should share the CT's frame."""
    kinds = {"CT": [], "PT": []}
    for node in nodes:
        modality, frame = _told(node, "0008,0060"), _told(node, "0020,0052")
        if modality in kinds and not node.GetHideFromEditors():
            kinds[modality].append((frame, node))
    for frame, ct in kinds["CT"]:
        for other, pet in kinds["PT"]:
            if frame and frame == other:
                return ct, pet
    return tuple(found[0][1] if found else None for found in kinds.values())


def _told(node, tag: str) -> str:
    """A value of the node's first DICOM file; "" when it has none."""
    uids = (node.GetAttribute(UIDS) or "").split()
    return slicer.dicomDatabase.instanceValue(uids[0], tag) if uids else ""

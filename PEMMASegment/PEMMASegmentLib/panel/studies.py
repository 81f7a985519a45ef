"""CT and PET volume nodes as a `PetCtStudy`: HU, SUVbw through the DICOM headers, what speaks against the pair."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import slicer
from pydicom.datadict import dictionary_has_tag, dictionary_VR

from ..core import PemmaError, PemmaWarning
from ..core.images import array, extent_mm, like
from ..study import nifti, suv
from ..study.checks import plausible
from ..study.dicom import pairing, pixelformat
from ..study.tags import quiet
from ..study.types import PetCtStudy, Suv, Typed
from . import volumes

UIDS = "DICOM.instanceUIDs"
SUV_UNITS = ("{SUVbw}g/ml", "g/ml{SUVbw}")
LOAD_AGAIN = "load the study again from the DICOM module"
_MOVED = "{}-moved"  # code of a warning
_PLANE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns")


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
    told = (*_moved("CT", ct), *_moved("PET", pet), *_pair(ct, pet), *_values("CT", ct), *_values("PT", pet))
    suv_image, route, of_suv = (None, None, ()) if pet is None else _as_suv(pet, pet_node, typed, pet_is_suv)
    ct_headers, pet_headers = (_public(source) for source in (ct, pet))
    hu_image = None if ct is None else nifti.as_int16(ct.image)
    odd = [] if hu_image is None else plausible.check_ct(array(hu_image))
    if suv_image is not None:
        odd += plausible.check_pet(array(suv_image), pixelformat.OTHER_PET, "")
    return PetCtStudy(
        ct=hu_image,
        pet=suv_image,
        ct_headers=ct_headers,
        pet_headers=pet_headers,
        suv=route,
        warnings=(*told, *of_suv, *odd),
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
    return tuple(pydicom.dcmread(file, stop_before_pixels=True, force=True) for file in files)


def _source(node) -> Source:
    image, headers = volumes.image_of(node), headers_of(node)
    if len(headers) > 1:
        headers = tuple(sorted(headers, key=lambda header: _slice_index(image, header)))
    return Source(image, headers)


def _slice_index(image: sitk.Image, header: pydicom.Dataset) -> float:
    position = [float(value) for value in header.ImagePositionPatient]
    return image.TransformPhysicalPointToContinuousIndex(position)[2]


def why_moved(study: PetCtStudy) -> str:
    """Why a DICOM-SEG would lie elsewhere than the series that it references, in a sentence; "" if it would not."""
    code = _MOVED.format("ct" if study.ct is not None else "pet")
    return next((told.sentence for told in study.warnings if told.code == code), "")


def _moved(kind: str, source: Source | None) -> tuple[PemmaWarning, ...]:
    """Tells of a volume that no longer lies where its files say: a transform was hardened, or its geometry was edited."""
    if source is None or _lies_in_files(source):
        return ()
    sentence = f"the {kind} was moved since it was loaded: it does not lie where its DICOM files say"
    return (PemmaWarning(_MOVED.format(kind.lower()), sentence, LOAD_AGAIN),)


def _lies_in_files(source: Source) -> bool:
    """Whether the axes are those of the files, in any order, and no voxel lies outside the box of their voxels.

    What was cropped or resampled has not moved; that may end up to a voxel outside. Multi-frame files state their planes
    elsewhere: not judged.
    """
    image, headers = source.image, source.headers
    if not headers or not all(header.get(name) for header in headers for name in _PLANE):
        return True
    first = headers[0]
    row, column = np.reshape([float(value) for value in first.ImageOrientationPatient], (2, 3))
    axes = np.stack([row, column, np.cross(row, column)])
    if not np.allclose(np.abs(axes @ np.reshape(image.GetDirection(), (3, 3))).max(axis=1), 1.0, rtol=0, atol=1e-6):
        return False
    planes = np.array([[float(value) for value in header.ImagePositionPatient] for header in headers]) @ axes.T
    step = np.array([*(float(value) for value in first.PixelSpacing[::-1]), np.ptp(planes[:, 2]) / max(len(headers) - 1, 1)])
    size = np.array([first.Columns, first.Rows, len(headers)])
    low, high = planes.min(0), planes.max(0) + step * (size - 1) * (1, 1, 0)
    ends = [image.TransformIndexToPhysicalPoint(index) for index in ((0, 0, 0), [n - 1 for n in image.GetSize()])]
    corners, away = np.array(ends) @ axes.T, step * (0.5 if image.GetSize() == tuple(size.tolist()) else 1.0) + 1e-3
    return bool((corners.min(0) >= low - away).all() and (corners.max(0) <= high + away).all())


def _values(modality: str, source: Source | None) -> list[PemmaWarning]:
    """What the loader asks of the headers of such a series."""
    headers = () if source is None else source.headers
    return pixelformat.check_values(modality, [(header, header.file_meta.get("TransferSyntaxUID")) for header in headers])


def _as_suv(pet: Source, node, typed: Typed, pet_is_suv: bool) -> tuple[sitk.Image, Suv, tuple[PemmaWarning, ...]]:
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
    odd = plausible.check_units(array(image), "it")
    return image, Suv("SUVbw as the user says", 1.0, ("unit",)), tuple(odd)


def _converted(image: sitk.Image, headers, typed: Typed) -> tuple[sitk.Image, Suv, tuple[PemmaWarning, ...]]:
    plan = suv.plan(headers, typed)
    if len(plan.factors) not in (1, image.GetSize()[2]):
        raise PemmaError("pet-slices", "the PET volume does not have the slices of its DICOM files", LOAD_AGAIN)
    factors = plan.factors.astype(np.float64).reshape(-1, 1, 1)
    return like((array(image) * factors).astype(np.float32), image), plan.summary, plan.warnings


def _pair(ct: Source | None, pet: Source | None) -> tuple[PemmaWarning, ...]:
    """Refuses CT and PET of two patients or examinations and tells what speaks against the pair, as the loader does."""
    if ct is None or pet is None or not (ct.headers and pet.headers):
        return ()
    return tuple(pairing.check_headers(ct.headers[0], pet.headers[0]))


def _public(source: Source | None) -> tuple[pydicom.Dataset, ...]:
    """Without private elements: what a new DICOM object may take over."""
    headers = source.headers if source is not None else ()
    for header in headers:
        _remove_private(header)
    return headers


def _remove_private(header: pydicom.Dataset) -> None:
    """As pydicom's `remove_private_tags`, which interprets every element and takes 5 ms a header: seconds for a whole body."""
    for tag in [tag for tag in header.keys() if tag.is_private]:
        del header[tag]
    for tag in [tag for tag in header.keys() if _holds_items(header, tag)]:
        for item in header[tag].value:
            _remove_private(item)


def _holds_items(header: pydicom.Dataset, tag) -> bool:
    """Whether an element is a sequence; implicit VR leaves that to the dictionary."""
    kind = header.get_item(tag).VR
    return (kind or (dictionary_VR(tag) if dictionary_has_tag(tag) else "")) == "SQ"


def _key(ct_headers, pet_headers, image: sitk.Image) -> str:
    """As the loader makes it of the same files; without headers from the voxels."""
    chosen = [headers[0] for headers in (ct_headers, pet_headers) if headers]
    if not chosen:
        return sitk.Hash(image)
    return "|".join([str(chosen[0].StudyInstanceUID), *(str(header.SeriesInstanceUID) for header in chosen)])


def in_words(study: PetCtStudy) -> str:
    """The status of a study, a fact a line: sizes, the way to SUV, alignment."""
    lines = [_size(name, image) for name, image in (("CT", study.ct), ("PET", study.pet)) if image is not None]
    if study.suv:
        lines.append(f"SUV: {study.suv.route}")
    return "\n".join(lines + _alignment(study))


def sizes(ct_node, pet_node) -> str:
    """The same without a look at headers and voxels: at once, whatever is chosen."""
    chosen = (("CT", ct_node), ("PET", pet_node))
    return "\n".join(
        f"{name} {_times(node.GetImageData().GetDimensions())} voxels of {_times(node.GetSpacing())} mm"
        for name, node in chosen if node is not None and node.GetImageData() is not None
    )  # fmt: skip


def _size(name: str, image: sitk.Image) -> str:
    return f"{name} {_times(image.GetSize())} voxels of {_times(image.GetSpacing())} mm"


def _times(values) -> str:
    return " x ".join(f"{value:.3g}" for value in values)


def _alignment(study: PetCtStudy) -> list[str]:
    """How CT and PET lie to each other; whether that may be doubted is told by the warnings."""
    if study.ct is None or study.pet is None:
        return []
    (low, high), (start, stop) = (extent_mm(image)[2] for image in (study.ct, study.pet))
    covered = max(0.0, min(high, stop) - max(low, start)) / (stop - start)
    frames = {str(headers[0].get("FrameOfReferenceUID", "")) for headers in (study.ct_headers, study.pet_headers) if headers}
    shared = "one frame of reference, " if len(frames) == 1 and "" not in frames and study.kind == "dicom" else ""
    return [f"CT and PET: {shared}the CT covers {100 * covered:.0f} % of the PET along the body"]

"""Whether an annotation belongs to the study: its frame of reference, and what it states of the patient."""

from collections.abc import Callable

from pydicom import Dataset

from ...core import PemmaError, PemmaWarning
from .. import tags, times
from ..types import PetCtStudy

_UNKNOWN = "annotation-frame-unknown"
_ELSEWHERE = "give the annotation drawn on this study's CT or PET"


def check_belonging(annotation: Dataset, frames: frozenset[str], study: PetCtStudy) -> tuple[PemmaWarning, ...]:
    """What is unproven about the annotation's place and patient. Raises PemmaError when it belongs elsewhere.

    frames: Frame of Reference UIDs that the annotation claims. A NIfTI study has none, so that nothing is checked. Another
    patient is a warning as long as the frame of reference ties both together: copies without names are common.
    """
    if study.kind == "nifti":
        return ()
    told = _about_frames(frames, study)
    differ = [words for words, read in _PATIENT.items() if _differs(read, annotation, study.grid_headers)]
    if not differ:
        return told
    sentence = f"the annotation states another {' and '.join(differ)} than the study"
    if any(one.code == _UNKNOWN for one in told):
        raise PemmaError("annotation-patient", f"{sentence}, and no frame of reference ties them together", _ELSEWHERE)
    return (*told, PemmaWarning("annotation-patient", sentence, "check that it is a contour of this patient"))


def _about_frames(stated: frozenset[str], study: PetCtStudy) -> tuple[PemmaWarning, ...]:
    grid, all_frames = _frames(study.grid_headers), _frames(study.ct_headers) | _frames(study.pet_headers)
    if not stated or not grid:
        which = "annotation" if not stated else "study's CT" if study.ct is not None else "study's PET"
        sentence = f"the {which} names no frame of reference; the annotation's coordinates are taken as the study's"
        return (PemmaWarning(_UNKNOWN, sentence, "look at the contour on the images"),)
    if not stated <= all_frames:
        sentence = "the annotation belongs to another frame of reference than the study"
        raise PemmaError("annotation-frame", sentence, _ELSEWHERE)
    if not stated <= grid:
        sentence = "the annotation was drawn on the other series, whose frame of reference differs"
        return (PemmaWarning("annotation-frame-other", sentence, "check the alignment of CT and PET"),)
    return ()


def _frames(headers) -> frozenset[str]:
    return frozenset(str(h.FrameOfReferenceUID) for h in headers[:1] if h.get("FrameOfReferenceUID"))


def _sex(header: Dataset) -> str:
    stated = tags.text(header, "PatientSex")
    return stated if stated in ("M", "F") else ""  # O is a filler too


#: What tells patients apart, in words, and how it is read; nothing of a value may reach a message.
_PATIENT: dict[str, Callable[[Dataset], object]] = {
    "Patient ID": lambda header: tags.text(header, "PatientID").casefold(),
    "birth date": lambda header: times.date(tags.text(header, "PatientBirthDate")),
    "sex": _sex,
}


def _differs(read: Callable[[Dataset], object], annotation: Dataset, headers) -> bool:
    """Whether both state it and not the same."""
    stated = [read(header) for header in (annotation, *headers[:1])]
    return all(stated) and len(set(stated)) > 1

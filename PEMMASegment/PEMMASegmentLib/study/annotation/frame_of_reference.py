"""Whether an annotation's frame of reference is one of the study's."""

from ...core import PemmaError
from ..types import PetCtStudy, StudyWarning


def check_frames(stated: frozenset[str], study: PetCtStudy) -> tuple[StudyWarning, ...]:
    """What is unproven about the annotation's place. Raises PemmaError when it belongs elsewhere.

    stated: Frame of Reference UIDs that the annotation claims. A NIfTI study has none, so that nothing is checked.
    """
    if study.kind == "nifti":
        return ()
    grid, all_frames = _frames(study.grid_headers), _frames(study.ct_headers) | _frames(study.pet_headers)
    if not stated or not all_frames:
        which = "annotation" if not stated else "study"
        sentence = f"the {which} names no frame of reference; the annotation's coordinates are taken as the study's"
        return (StudyWarning("annotation-frame-unknown", sentence, "look at the contour on the images"),)
    if not stated <= all_frames:
        raise PemmaError(
            "annotation-frame",
            "the annotation belongs to another frame of reference than the study",
            "give the annotation drawn on this study's CT or PET",
        )
    if not stated <= grid:
        sentence = "the annotation was drawn on the other series, whose frame of reference differs"
        return (StudyWarning("annotation-frame-other", sentence, "check the alignment of CT and PET"),)
    return ()


def _frames(headers) -> frozenset[str]:
    return frozenset(str(h.FrameOfReferenceUID) for h in headers[:1] if h.get("FrameOfReferenceUID"))

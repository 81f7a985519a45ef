"""A folder to one `PetCtStudy`, whichever files it holds."""

from dataclasses import fields, replace
from pathlib import Path

from ..core import PemmaError, PemmaWarning, Progress, no_progress
from . import dicom, nifti
from .types import PetCtStudy, Typed


def load(
    folder: Path,
    *,
    ct_series: str | None = None,
    pet_series: str | None = None,
    typed: Typed = Typed(),
    need: str | None = None,
    progress: Progress = no_progress,
) -> PetCtStudy:
    """The study in a folder of DICOM files (any nesting, any names) or of ct.nii.gz and pet.nii.gz.

    ct_series, pet_series: Series Instance UIDs that overrule the choice. typed: what headers lack. need: "ct", "pet" or
    "ct+pet", the modalities the caller can't do without; with one of them the other may be unusable (a warning says so).
    Raises PemmaError for anything that would have to be guessed.
    """
    folder = Path(folder)
    if nifti.is_nifti_study(folder):
        study = _checked(nifti.load(folder, need), need)
        return replace(study, warnings=(*study.warnings, *_unused(ct_series, pet_series, typed)))
    return dicom.load(folder, ct_series, pet_series, typed, need, progress)


def _unused(ct_series: str | None, pet_series: str | None, typed: Typed) -> tuple[PemmaWarning, ...]:
    """What was given for headers and series that a NIfTI study does not have."""
    given = {"CT series": ct_series, "PET series": pet_series, **{f.name: getattr(typed, f.name) for f in fields(typed)}}
    names = ", ".join(name for name, value in given.items() if value is not None)
    if not names:
        return ()
    sentence = f"a NIfTI study has neither series nor headers, unused: {names}"
    return (PemmaWarning("nifti-unused", sentence, "leave them out, or give the DICOM study"),)


def _checked(study: PetCtStudy, need: str | None) -> PetCtStudy:
    for name, image in (("ct", study.ct), ("pet", study.pet)):
        if image is None and need is not None and name in need.split("+"):
            raise PemmaError(f"no-{name}", f"the study has no {name}.nii.gz", "use the other modality with --inputs")
    return study

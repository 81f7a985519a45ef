"""A folder of `ct.nii.gz` (HU), `pet.nii.gz` (SUVbw) and perhaps `mask.nii.gz` as a `PetCtStudy`."""

from .names import CT_FILE, MASK_FILE, PET_FILE, is_nifti_study
from .reading import as_int16, from_files, load, read_volume

__all__ = ["CT_FILE", "MASK_FILE", "PET_FILE", "as_int16", "from_files", "is_nifti_study", "load", "read_volume"]

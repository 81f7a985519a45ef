"""How the images of a NIfTI study are named, and so which folder is one."""

from pathlib import Path

from ...core import PemmaError

CT_FILE, PET_FILE, MASK_FILE = "ct.nii.gz", "pet.nii.gz", "mask.nii.gz"


def is_nifti_study(folder: Path) -> bool:
    """Whether the folder holds `ct.nii.gz` or `pet.nii.gz`."""
    return any((Path(folder) / name).is_file() for name in (CT_FILE, PET_FILE))


def refuse_others(folder: Path, place: str) -> None:
    """Raises PemmaError for a folder of several NIfTI studies, or of images that don't have the names of one.

    place: the folder in the error.
    """
    studies = [one for one in folder.iterdir() if one.is_dir() and is_nifti_study(one)]
    if studies:
        raise PemmaError("folder-of-studies", f"the folder is no study itself; folders with studies in it: {len(studies)}",
                         "give those folders instead", place)
    if any(one.name.lower().endswith((".nii", ".nii.gz")) for one in folder.iterdir()):
        raise PemmaError("nifti-names", f"the folder holds NIfTI images, but neither {CT_FILE} nor {PET_FILE}",
                         f"one study a folder: CT in HU as {CT_FILE}, PET in SUVbw as {PET_FILE}, contour as {MASK_FILE}",
                         place)

"""How the images of a NIfTI study are named, and so which folder is one."""

from pathlib import Path

from ...core import PemmaError, PemmaWarning

CT_FILE, PET_FILE, MASK_FILE = "ct.nii.gz", "pet.nii.gz", "mask.nii.gz"
_ENDINGS = (".nii", ".nii.gz")


def is_nifti_study(folder: Path) -> bool:
    """Whether the folder holds `ct.nii.gz` or `pet.nii.gz`."""
    return any((Path(folder) / name).is_file() for name in (CT_FILE, PET_FILE))


def unused_others(folder: Path) -> tuple[PemmaWarning, ...]:
    """A warning where one of CT and PET is missing while images of other names lie there: one of them may be meant."""
    missing = [name for name in (CT_FILE, PET_FILE) if not (folder / name).is_file()]
    names = {CT_FILE, PET_FILE, MASK_FILE, "segmentation.nii.gz"}
    others = [one for one in folder.iterdir() if one.name.lower().endswith(_ENDINGS) and one.name not in names]
    if not missing or not others:
        return ()
    sentence = f"the study has no {missing[0]}; other NIfTI images in the folder are not used: {len(others)}"
    return (PemmaWarning("nifti-names", sentence, f"if one is meant, name it {missing[0]}"),)


def refuse_others(folder: Path, place: str) -> None:
    """Raises PemmaError for a folder of several NIfTI studies, or of images that don't have the names of one.

    place: the folder in the error.
    """
    studies = [one for one in folder.iterdir() if one.is_dir() and is_nifti_study(one)]
    if studies:
        raise PemmaError("folder-of-studies", f"the folder is no study itself; folders with studies in it: {len(studies)}",
                         "give those folders instead", place)
    if any(one.name.lower().endswith(_ENDINGS) for one in folder.iterdir()):
        raise PemmaError("nifti-names", f"the folder holds NIfTI images, but neither {CT_FILE} nor {PET_FILE}",
                         f"one study a folder: CT in HU as {CT_FILE}, PET in SUVbw as {PET_FILE}, contour as {MASK_FILE}",
                         place)

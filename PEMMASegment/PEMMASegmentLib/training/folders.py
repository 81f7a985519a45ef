"""The annotated cases of a data folder: NIfTI cases, DICOM studies with RTSTRUCT or SEG, or nnU-Net's raw layout."""

import json
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from ..core import PemmaError, PemmaWarning
from ..study import annotation, nifti
from ..study.annotation.files import headers
from ..study.annotation.rtstruct import clean_name, looks_like_tumour, same_name, short_name
from ..study.types import PetCtStudy

_LAYOUTS = (
    "give one sub-folder a case with ct.nii.gz, pet.nii.gz and mask.nii.gz, or one sub-folder a DICOM study with "
    "RTSTRUCT or SEG, or nnU-Net's dataset.json, imagesTr and labelsTr"
)
#: Beginnings of the SOP classes of radiotherapy (RTSTRUCT, plans, doses) and of SEG.
_DRAWN = ("1.2.840.10008.5.1.4.1.1.481.", "1.2.840.10008.5.1.4.1.1.66.")
#: The end of a name patient_date, as autoPET has them; after its older dates comes what was examined.
_DATE = re.compile(r"(?<=.)_(\d{4}-\d{2}-\d{2}|\d{2}-\d{2}-\d{4})(-.*)?$")


@dataclass(frozen=True)
class CaseRef:
    """An annotated case that can be read when its turn comes.

    name: unique in the folder. patient: the same for all cases of a patient (a split is by patient).
    read: () -> (study, label uint8 on `study.grid`); the annotation's warnings are among the study's.
    """

    name: str
    patient: str
    read: Callable[[], tuple[PetCtStudy, sitk.Image]]

    def refused(self, error: PemmaError, group: str) -> PemmaError:
        """The refusal of what was read, with the case's name and a way out for a training, which has few of the options.

        group: of the split, whose patient it is.
        """
        way_out = f"mend the study, or take the patient out of the split's `{group}`"
        if "--annotation-roi" in error.way_out:
            way_out = error.way_out
        place = ": ".join(dict.fromkeys(filter(None, (self.name, error.place))))
        return PemmaError(error.code, error.sentence, way_out, place)


def cases(folder: Path, *, roi_name: str | None = None) -> list[CaseRef]:
    """The annotated cases of a folder, ordered by name. roi_name: structure (nnU-Net: label) that is the tumour.

    No image is read yet. Raises PemmaError: not one of the three layouts, layouts mixed, no case, a label missing, no
    label of dataset.json that is known for the tumour.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise PemmaError("data-missing", "the data folder is not there", "check the path", folder.name)
    if (folder / "dataset.json").is_file() or (folder / "imagesTr").is_dir():
        found = _nnunet_cases(folder, roi_name)
    else:
        found = _case_folders(folder, roi_name)
    if not found:
        raise PemmaError("data-empty", "the data folder holds no case", _LAYOUTS, folder.name)
    return sorted(found, key=lambda case: case.name)


def _case_folders(folder: Path, roi_name: str | None) -> list[CaseRef]:
    subfolders = sorted(f for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    as_nifti = [f for f in subfolders if nifti.is_nifti_study(f)]
    patients = {f: patient for f in subfolders if f not in as_nifti and (patient := _patient_id(f)) is not None}
    if as_nifti and patients:
        raise PemmaError(
            "data-mixed",
            f"the data folder mixes {len(as_nifti)} NIfTI cases and {len(patients)} DICOM studies",
            "keep each kind in a folder of its own",
            folder.name,
        )
    if not as_nifti and not patients and nifti.is_nifti_study(folder):
        raise PemmaError("data-one-case", "the data folder is a case itself", "give the folder above it", folder.name)
    return _nifti_cases(as_nifti, roi_name) if as_nifti else _dicom_cases(patients, roi_name)


def _nifti_cases(folders: list[Path], roi_name: str | None) -> list[CaseRef]:
    _refuse_unlabelled([f.name for f in folders if not (f / nifti.MASK_FILE).is_file()], nifti.MASK_FILE)
    return [CaseRef(f.name, _patient_of(f.name), partial(_read_files, partial(nifti.load, f), f / nifti.MASK_FILE, roi_name))
            for f in folders]


def _dicom_cases(patients: dict[Path, str], roi_name: str | None) -> list[CaseRef]:
    """patients: study folder -> Patient ID, which serves to find studies of one patient and goes nowhere else."""
    annotations = {f: annotation.find(f, "leave one of them in the study's folder") for f in patients}
    _refuse_unlabelled([f.name for f, file in annotations.items() if file is None], "an RTSTRUCT or SEG")
    first: dict[str, str] = {}
    found = []
    for f, patient in patients.items():
        name = first.setdefault(patient or _patient_of(f.name), f.name)
        found.append(CaseRef(f.name, name, partial(_read_dicom, f, annotations[f], roi_name)))
    return found


def _patient_of(case: str) -> str:
    """The patient of a case that only its name tells: the name without a date at its end."""
    return _DATE.sub("", case)


def _refuse_unlabelled(names: list[str], what: str) -> None:
    if names:
        listed = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise PemmaError(
            "data-label-missing", f"{len(names)} cases lack {what}: {listed}", "add it or take these cases out"
        )


def _patient_id(folder: Path) -> str | None:
    """The first Patient ID of an image below the folder (a DICOMDIR has none), "" where none has one; None without DICOM.

    Plans and contours may bear an ID that the planning system gave to one study alone.
    """
    found = None
    for _, header in headers(folder):
        if found := "" if header["SOPClassUID"].startswith(_DRAWN) else header["PatientID"]:
            break
    return found


def _read_files(load: Callable[[], PetCtStudy], label_file: Path, roi_name: str | None,
                values: Collection[int] | None = None, told: tuple[PemmaWarning, ...] = ()) -> tuple[PetCtStudy, sitk.Image]:
    study = load()
    return _labelled(replace(study, warnings=(*study.warnings, *told)), label_file, roi_name, values)


def _read_dicom(folder: Path, label_file: Path, roi_name: str | None) -> tuple[PetCtStudy, sitk.Image]:
    from ..study import load

    return _labelled(load(folder), label_file, roi_name)


def _labelled(
    study: PetCtStudy, label_file: Path, roi_name: str | None, values: Collection[int] | None = None
) -> tuple[PetCtStudy, sitk.Image]:
    label, warnings = annotation.read(label_file, study, roi_name=roi_name, values=values)
    return replace(study, warnings=(*study.warnings, *warnings)), label


def _nnunet_cases(folder: Path, roi_name: str | None) -> list[CaseRef]:
    about = _dataset_json(folder)
    ending = str(about.get("file_ending", ".nii.gz"))
    ct, pet = _channels(about)
    read = _reading(_labels(about), roi_name)
    images = sorted(f.name for f in (folder / "imagesTr").glob("*") if not f.name.startswith("."))
    names = sorted({_without(name, rf"_\d{{4}}{re.escape(ending)}$") for name in images} - {None})
    if images and not names:
        raise _misnamed(images[0], ending, ct, pet)
    without = [name for name in names if not (folder / "labelsTr" / f"{name}{ending}").is_file()]
    _refuse_unlabelled(without, "a label in labelsTr")
    return [_nnunet_case(folder, name, ending, ct, pet, read) for name in names]


def _nnunet_case(folder: Path, name: str, ending: str, ct: int | None, pet: int | None, read: Callable) -> CaseRef:
    files = [None if n is None else folder / "imagesTr" / f"{name}_{n:04d}{ending}" for n in (ct, pet)]
    there = [f if f is not None and f.is_file() else None for f in files]
    if there == [None, None]:
        sentence = f"case {name} has neither CT nor PET in imagesTr"
        raise PemmaError("data-image-missing", sentence, "add one or take the case out")
    load = partial(nifti.from_files, *there)
    return CaseRef(name, _patient_of(name), partial(read, load, folder / "labelsTr" / f"{name}{ending}"))


def _misnamed(file: str, ending: str, ct: int | None, pet: int | None) -> PemmaError:
    """The refusal of images without a channel's number, with the name that nnU-Net has for one of them."""
    stem = file.removesuffix(ending) if file.endswith(ending) else Path(file).stem
    is_pet = re.search(r"(pe?t|suv)$", stem, re.IGNORECASE) or ct is None
    number = pet if is_pet and pet is not None else ct
    name = re.sub(r"[ _-]+(ct|pe?t|suv|\d{4})$", "", stem, flags=re.IGNORECASE)
    return PemmaError("data-names", f"no file in imagesTr ends in a channel's number and {ending}, the first is {file}",
                      f"call it {name}_{number:04d}{ending}, as nnU-Net has it, and the others alike", "imagesTr")


def _reading(labels: dict[str, frozenset[int]], roi_name: str | None) -> Callable:
    """`_read_files` for labels of these names and values: one alone is the tumour, of several those named so.

    roi_name: the label that is meant. Raises PemmaError "annotation-roi" that lists the names.
    """
    if not labels or (len(labels) == 1 and roi_name is None):
        return partial(_read_files, roi_name=roi_name)
    chosen = [name for name in labels if (looks_like_tumour(name) if roi_name is None else same_name(name, roi_name))]
    names, used = (", ".join(map(short_name, some)) for some in (labels, chosen))
    if not chosen:
        sentence = f"of the {len(labels)} labels of dataset.json none is named like a tumour"
        if roi_name is not None:
            sentence = f"dataset.json has no label {short_name(clean_name(roi_name))!r}"
        raise PemmaError("annotation-roi", sentence, f"name one with --annotation-roi: {names}", "dataset.json")
    told = (PemmaWarning("annotation-segments", f"of the labels {names} only {used} are taken"),)
    values = frozenset().union(*(labels[name] for name in chosen))
    all_of_them = roi_name is not None or values == frozenset().union(*labels.values())
    return partial(_read_files, roi_name=None, values=values, told=() if all_of_them else told)


def _without(name: str, pattern: str) -> str | None:
    """The name without what the pattern matches at its end; None where it doesn't match."""
    match = re.search(pattern, name)
    return name[: match.start()] if match else None


def _dataset_json(folder: Path) -> dict:
    file = folder / "dataset.json"
    try:
        about = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise PemmaError(
            "data-dataset-json", "dataset.json is missing or no JSON", "write it as nnU-Net asks", file.name
        ) from error
    if not isinstance(about, dict) or not isinstance(about.get("channel_names", about.get("modality")), dict):
        way_out = 'add "channel_names": {"0": "CT", "1": "PET"}'
        raise PemmaError("data-dataset-json", "dataset.json names no channels", way_out, file.name)
    if isinstance(about.get("labels"), dict) and "ignore" in about["labels"]:
        way_out = "write labels of tumour (above 0) and background (0) only"
        raise PemmaError("data-ignore-label", "dataset.json has an ignore label", way_out, file.name)
    return about


def _labels(about: dict) -> dict[str, frozenset[int]]:
    """Values of each label by its name, of a region all of its values; without the background."""
    labels = about.get("labels")
    found = {}
    for name, values in labels.items() if isinstance(labels, dict) else ():
        if isinstance(values, str) and name.isdecimal():  # {"1": "tumour"}, as nnU-Net had it first
            name, values = values, int(name)
        values = values if isinstance(values, list) else [values]
        if not all(type(value) is int for value in values):
            sentence = f"dataset.json gives the label {short_name(clean_name(name))!r} no whole number"
            raise PemmaError("data-dataset-json", sentence, "write it as nnU-Net asks", "dataset.json")
        name = clean_name(name)
        found[name] = found.get(name, frozenset()) | set(values) - {0}
    return {name: values for name, values in found.items() if values}


def _channels(about: dict) -> tuple[int | None, int | None]:
    """Channel numbers of CT and PET by their names. Two both named CT are CT and PET, as autoPET III has it."""
    channels = about.get("channel_names", about.get("modality"))
    names = {int(number): str(name).upper() for number, name in channels.items() if str(number).isdecimal()}
    pets = [n for n, name in names.items() if re.search(r"PET|PT|SUV", name)]
    cts = [n for n, name in names.items() if n not in pets and "CT" in name]
    if names == {0: "CT", 1: "CT"}:
        cts, pets = [0], [1]
    if len(cts) > 1 or len(pets) > 1 or not cts + pets:
        listed = ", ".join(f"{number}: {name}" for number, name in channels.items())
        raise PemmaError(
            "data-channels",
            f"the channels of dataset.json are not one CT and one PET: {listed}",
            'write "channel_names": {"0": "CT", "1": "PET"}',
            "dataset.json",
        )
    return (cts or [None])[0], (pets or [None])[0]

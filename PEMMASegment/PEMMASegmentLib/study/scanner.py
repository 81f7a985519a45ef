"""What a study's headers tell of how it was made: scanner, reconstruction, tracer. Nothing that tells who it is of."""

import re
from collections.abc import Iterable, Sequence

import SimpleITK as sitk
from pydicom import Dataset

from . import tags
from .dicom.frames import LISTS
from .identifying import tells, words_of
from .suv import isotopes
from .types import PetCtStudy

#: Keys of `facts` in words, for a warning.
WORDS = {
    "manufacturer": "manufacturer",
    "model": "scanner",
    "ct_kernel": "CT kernel",
    "pet_reconstruction": "PET reconstruction",
    "tracer": "tracer",
    "ct_voxels_mm": "CT voxels",
    "pet_voxels_mm": "PET voxels",
}
#: Voxels of PET go with its reconstruction; those of CT change with the field of view of every patient.
_COMPARED = tuple(key for key in WORDS if key != "ct_voxels_mm")
#: Facts of one image alone.
_OF = {"ct_kernel": "ct", "ct_voxels_mm": "ct", "pet_reconstruction": "pet", "tracer": "pet", "pet_voxels_mm": "pet"}
_SAME_VOXELS = 0.1
_LONGEST = 64


def facts(study: PetCtStudy) -> dict[str, str]:
    """What is stated, by keys of `WORDS`; a NIfTI study tells its voxel sizes (x, y, z in mm) and no more.

    No serial number, date, station or institution; a text that tells the patient, as `identifying` knows it, is left out.
    """
    made = study.grid_headers[:1]
    found = {
        "manufacturer": _first(made, "Manufacturer"),
        "model": _first(made, "ManufacturerModelName"),
        "ct_kernel": _first(study.ct_headers[:1], "ConvolutionKernel"),
        "pet_reconstruction": _first(study.pet_headers[:1], "ReconstructionMethod", "ReconstructionType"),
        "tracer": _tracer(study.pet_headers[:1]),
    }
    words = words_of(study)
    found = {key: value for key, value in found.items() if not tells(value, words)}
    sizes = {"ct_voxels_mm": _voxels(study.ct), "pet_voxels_mm": _voxels(study.pet)}
    return {key: value for key, value in (found | sizes).items() if value}


def of_inputs(stated: dict[str, str], inputs: str) -> dict[str, str]:
    """Of a study's facts those that concern who uses these inputs ("ct+pet", "ct" or "pet") alone."""
    return {key: value for key, value in stated.items() if key not in _OF or _OF[key] in inputs.split("+")}


def gathered(of_cases: Iterable[dict[str, str]]) -> dict[str, list[str]]:
    """The facts of several studies in one: every value that one of them has, by key."""
    out: dict[str, list[str]] = {}
    for one in of_cases:
        for key, value in one.items():
            if value not in out.setdefault(key, []):
                out[key].append(value)
    return {key: sorted(values) for key, values in sorted(out.items())}


def unlike(study: dict[str, str], known: dict[str, Sequence[str]]) -> list[str]:
    """In words, what a study's facts state otherwise than all of the `known` (`gathered`); what one lacks is no difference."""
    return [
        f"{WORDS[key]} {study[key]} (there {', '.join(known[key])})"
        for key in _COMPARED
        if study.get(key) and known.get(key) and not any(_same(key, study[key], value) for value in known[key])
    ]


def _same(key: str, a: str, b: str) -> bool:
    if key != "pet_voxels_mm":
        return a.casefold() == b.casefold()
    pairs = zip(_numbers(a), _numbers(b), strict=False)
    return all(abs(one - other) <= _SAME_VOXELS * max(one, other) for one, other in pairs)


def _numbers(voxels: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?", voxels)]


def _first(headers: Sequence[Dataset], *keywords: str) -> str:
    """The first of the keywords that a header states, at its top or, in a multi-frame file, in its shared groups."""
    for header in headers:
        for keyword in keywords:
            found = tags.texts(header, keyword) or _nested(tags.items(header, LISTS[0]), keyword)
            if found:
                return _line("/".join(found))
    return ""


def _nested(groups: Sequence[Dataset], keyword: str) -> tuple[str, ...]:
    """A text one sequence deep in the functional groups, where multi-frame files keep kernel and reconstruction."""
    inner = (item for group in groups for element in group if element.VR == "SQ" for item in element.value or ())
    return next((found for item in inner if (found := tags.texts(item, keyword))), ())


def _tracer(headers: Sequence[Dataset]) -> str:
    """FDG, or what the header calls another tracer, or the isotope alone; "" when it names none."""
    for header in headers:
        for item in tags.items(header, "RadiopharmaceuticalInformationSequence")[:1]:
            if isotopes.is_fdg(item):
                return "FDG"
            codes = tags.items(item, "RadiopharmaceuticalCodeSequence")
            names = [tags.words(item, "Radiopharmaceutical"), *(tags.words(code, "CodeMeaning") for code in codes)]
            return _line(next((name for name in names if name), "/".join(isotopes.named(item))))
    return ""


def _line(text: str) -> str:
    return tags.on_one_line(text).strip()[:_LONGEST]


def _voxels(image: sitk.Image | None) -> str:
    return "" if image is None else " x ".join(f"{size:.2f}" for size in image.GetSpacing())

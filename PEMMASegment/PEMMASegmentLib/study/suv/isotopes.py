"""PET isotopes: half-lives and the codes of Radionuclide Code Sequence (DICOM CID 4020), to check headers against."""

import re

from pydicom import Dataset

from ..tags import items, text, texts

#: isotope -> half-life in seconds. F-18 to Zr-89: shared values of SUV practice; the others: nuclear data tables.
HALF_LIFE_S = {
    "F-18": 6586.2,
    "Ga-68": 4060.0,
    "C-11": 1223.0,
    "N-13": 598.0,
    "O-15": 122.3,
    "Rb-82": 76.4,
    "Zr-89": 282240.0,
    "Cu-64": 45721.0,
    "I-124": 360806.0,
    "Ge-68": 23400000.0,
    "Y-90": 230600.0,
    "Sc-44": 14292.0,
    "Y-86": 53064.0,
    "Br-76": 58320.0,
    "Cu-61": 12020.0,
    "Cu-62": 580.2,
    "Ga-66": 34164.0,
    "Na-22": 82100000.0,
}
#: code value (SNOMED CT, and the older SRT/SNM3/99SDM ones) -> isotope
CODES = {
    "77004003": "F-18",
    "C-111A1": "F-18",
    "35337001": "Ga-68",
    "C-131A3": "Ga-68",
    "40565003": "C-11",
    "C-105A1": "C-11",
    "21576001": "N-13",
    "C-107A1": "N-13",
    "129504001": "O-15",
    "C-B1038": "O-15",
    "79197006": "Rb-82",
    "C-159A2": "Rb-82",
    "63360001": "Zr-89",
    "C-168A4": "Zr-89",
    "3932008": "Cu-64",
    "C-127A2": "Cu-64",
    "40937006": "I-124",
    "C-114A5": "I-124",
    "53315004": "Ge-68",
    "C-128A2": "Ge-68",
    "14691008": "Y-90",
    "C-162A7": "Y-90",
    "10738001": "Y-86",
    "C-162A3": "Y-86",
    "79523006": "Br-76",
    "C-113A2": "Br-76",
    "71425003": "Cu-61",
    "C-127A1": "Cu-61",
    "422934004": "Cu-62",
    "C-127A5": "Cu-62",
    "79477007": "Ga-66",
    "C-131A1": "Ga-66",
    "71633006": "Na-22",
    "C-155A1": "Na-22",
}
ELEMENTS = {
    "F": "fluor",
    "Ga": "gallium",
    "C": "carbon",
    "N": "nitrogen",
    "O": "oxygen",
    "Rb": "rubidium",
    "Zr": "zirconium",
    "Cu": "copper",
    "I": "iodine",
    "Ge": "germanium",
    "Y": "yttrium",
    "Sc": "scandium",
    "Br": "bromine",
    "Na": "sodium",
}
#: half-lives in s for which the time of day alone tells little: with a shorter one nobody scans on another day, with a longer
#: one (Ge-68, Na-22) a day changes little
DAY_NEEDED = (6 * 3600.0, 30 * 86400.0)
#: how far a stated half-life may be from the isotope's: headers give F-18 as 6586 to 6588, Ga-68 as 4057 to 4080
TOLERANCE = 0.02
FDG_CODES = {"35321007", "C-B1031", "Y-X1743"}
FDG_WORDS = ("FDG", "DEOXYGLUCOSE", "DESOXYGLUCOSE", "FLUDEOXY")


def named(item: Dataset) -> list[str]:
    """The isotopes that Radionuclide Code Sequence names, by code value and by code meaning.

    Two when these contradict each other: a published reference object has the code of Ga-66 and the meaning Ga-68.
    """
    found = []
    for code in items(item, "RadionuclideCodeSequence"):
        found += [CODES.get(text(code, "CodeValue").upper()), in_words(text(code, "CodeMeaning"))]
    return list(dict.fromkeys(isotope for isotope in found if isotope))


def in_words(meaning: str) -> str | None:
    """ "^68^Gallium", "18F" or "Fluorine-18" as "Ga-68" or "F-18"."""
    mass = "".join(re.findall(r"\d+", meaning))
    element = "".join(re.findall(r"[A-Za-z]+", meaning)).lower()
    for isotope in HALF_LIFE_S:
        symbol, _, number = isotope.partition("-")
        if mass == number and (element == symbol.lower() or element.startswith(ELEMENTS[symbol])):
            return isotope
    return None


def fits(seconds: float, isotope: str) -> bool:
    return abs(seconds / HALF_LIFE_S[isotope] - 1) <= TOLERANCE


def needs_day(half_life: float) -> bool:
    """Whether the tracer may have been given days before the scan, so that no date may be assumed; half_life in s."""
    return DAY_NEEDED[0] < half_life < DAY_NEEDED[1]


def is_fdg(item: Dataset) -> bool:
    """Whether the item names FDG, by code or in words."""
    if any(text(code, "CodeValue").upper() in FDG_CODES for code in items(item, "RadiopharmaceuticalCodeSequence")):
        return True
    return any(word in name.upper() for name in _names(item) for word in FDG_WORDS)


def other_tracer(item: Dataset) -> bool:
    """Whether the item names a tracer and that is not FDG."""
    return not is_fdg(item) and (any(_names(item)) or any(isotope != "F-18" for isotope in named(item)))


def _names(item: Dataset) -> list[str]:
    codes = items(item, "RadiopharmaceuticalCodeSequence")
    return [*texts(item, "Radiopharmaceutical"), *(text(code, "CodeMeaning") for code in codes)]

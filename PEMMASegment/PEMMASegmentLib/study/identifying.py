"""What in a text tells whose a study is: words that its headers state of people and numbers, dates, UIDs."""

import re
from collections.abc import Collection

from . import tags
from .types import PetCtStudy

_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
          "PerformingPhysicianName", "OperatorsName")
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "DeviceSerialNumber")
_WHOLE = ("InstitutionName",)  # its single words are those of every note: "hospital", "the"
_DATE = re.compile(r"\b(19|20)\d\d([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])\b|\b\d{1,2}[-./]\d{1,2}[-./](\d\d){1,2}\b")
_UID = re.compile(r"\b\d+(\.\d+){4,}\b")


def words_of(study: PetCtStudy, patient: str | None = None) -> set[str]:
    """What the study's headers (and `patient`, an ID) name, three letters or more, case-folded."""
    headers = (*study.ct_headers[:1], *study.pet_headers[:1])
    stated = [text for header in headers for keyword in (*_NAMES, *_NUMBERS) for text in tags.texts(header, keyword)]
    stated += [patient] if patient else []
    words = [word for text in stated for word in (text, *re.split(r"[\^=,\s]+", text))]
    words += [text for header in headers for keyword in _WHOLE for text in tags.texts(header, keyword)]
    return {word.casefold() for word in words if len(word) >= 3}


def tells(text: str, words: Collection[str] = ()) -> bool:
    """Whether the text holds a date, a UID or one of the words: a number anywhere, a name where a word begins: "Meiers"
    names Meier, "model" not Del. An underscore parts words."""
    starts = ("" if any(map(str.isdigit, word)) else r"(?<![^\W_])" for word in words)
    named = any(re.search(start + re.escape(word), text.casefold()) for start, word in zip(starts, words, strict=True))
    spaced = text.replace("_", " ")
    return named or bool(_DATE.search(spaced) or _UID.search(spaced))

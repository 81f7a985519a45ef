"""What must not enter a case or an adapter: words that tell the patient; and the pseudonym that stands for the patient."""

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable

from ..core import PemmaError
from ..study import tags
from ..study.types import PetCtStudy
from .cards import LONGEST_TEXT, check_text

_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
          "PerformingPhysicianName", "OperatorsName")
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "DeviceSerialNumber")
_WHOLE = ("InstitutionName",)  # its single words are those of every note: "hospital", "the"
_DATE = re.compile(r"\b(19|20)\d\d([-./]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])\b|\b\d{1,2}[-./]\d{1,2}[-./](\d\d){1,2}\b")
_UID = re.compile(r"\b\d+(\.\d+){4,}\b")


def patient_id(study: PetCtStudy) -> str | None:
    """The study's Patient ID, None where there is none (NIfTI, or left empty). It goes into the pseudonym only."""
    return next((found for header in study.grid_headers[:1] if (found := tags.text(header, "PatientID"))), None)


def pseudonym(key: bytes, patient: str) -> str:
    """The same for the same patient and key; without the key no list of patients can be tried against it."""
    return "P-" + hmac.new(key, patient.strip().encode("utf-8"), hashlib.sha256).hexdigest()[:12]


def refuse_identity(texts: Iterable[str], study: PetCtStudy, patient: str | None) -> None:
    """Refuses notes on a case as `check_note` does, and those with what the study's headers (and `patient`) name."""
    words = _identifying(study, patient)
    for text in texts:
        check_note(text, "case", words)


def check_note(text: str, of: str, words: Collection[str] = (), what: str = "note") -> None:
    """Raises PemmaError "<of>-text" for a text that is not one short line, "<of>-identity" for one that tells a patient.

    of: "case" or "adapter", whose note it is; what: "note" or "name". Looked for are dates, UIDs and `words` (case-folded).
    What is not known to be a name can't be found: the user is told to write none.
    """
    try:
        check_text(text)
    except ValueError:
        sentence = f"a {what} must be one line of at most {LONGEST_TEXT} characters"
        raise PemmaError(f"{of}-text", sentence, "shorten it") from None
    if _DATE.search(text) or _UID.search(text) or _names_one_of(words, text):
        raise PemmaError(f"{of}-identity", f"a {what} holds a date, a UID, or something that names the patient",
                         "write it without: neither library nor adapter holds anything of a patient's identity")


def _identifying(study: PetCtStudy, patient: str | None) -> set[str]:
    headers = (*study.ct_headers[:1], *study.pet_headers[:1])
    stated = [text for header in headers for keyword in (*_NAMES, *_NUMBERS) for text in tags.texts(header, keyword)]
    stated += [patient] if patient else []
    words = [word for text in stated for word in (text, *re.split(r"[\^=,\s]+", text))]
    words += [text for header in headers for keyword in _WHOLE for text in tags.texts(header, keyword)]
    return {word.casefold() for word in words if len(word) >= 3}


def _names_one_of(words: Collection[str], text: str) -> bool:
    """Whether a number stands anywhere in the text, or a name begins a word: "Meiers" names Meier, "model" not Del."""
    starts = ("" if any(map(str.isdigit, word)) else r"(?<!\w)" for word in words)
    return any(re.search(start + re.escape(word), text.casefold()) for start, word in zip(starts, words, strict=True))

"""What must not enter a case or an adapter: words that tell the patient; and the pseudonym that stands for the patient."""

import hashlib
import hmac
from collections.abc import Collection, Iterable

from ..core import PemmaError
from ..study import tags
from ..study.identifying import tells, words_of
from ..study.types import PetCtStudy
from .cards import LONGEST_TEXT, check_text


def patient_id(study: PetCtStudy) -> str | None:
    """The study's Patient ID, None where there is none (NIfTI, or left empty). It goes into the pseudonym only."""
    return next((found for header in study.grid_headers[:1] if (found := tags.text(header, "PatientID"))), None)


def pseudonym(key: bytes, patient: str) -> str:
    """The same for the same patient and key; without the key no list of patients can be tried against it."""
    return "P-" + hmac.new(key, patient.strip().encode("utf-8"), hashlib.sha256).hexdigest()[:12]


def refuse_identity(texts: Iterable[str], study: PetCtStudy, patient: str | None) -> None:
    """Refuses notes on a case as `check_note` does, and those with what the study's headers (and `patient`) name."""
    words = words_of(study, patient)
    for text in texts:
        check_note(text, "case", words)


def check_note(text: str, of: str, words: Collection[str] = (), what: str = "note") -> None:
    """Raises PemmaError "<of>-text" for a text that is not one short line, "<of>-identity" for one that tells a patient.

    of: "case" or "adapter", whose note it is; what: "note" or "name". Looked for are dates, UIDs and `words` (of `words_of`).
    What is not known to be a name can't be found: the user is told to write none.
    """
    try:
        check_text(text)
    except ValueError:
        sentence = f"a {what} must be one line of at most {LONGEST_TEXT} characters"
        raise PemmaError(f"{of}-text", sentence, "write one line, not longer") from None
    if tells(text, words):
        raise PemmaError(f"{of}-identity", f"a {what} holds a date, a UID, or something that names the patient",
                         "write it without: neither library nor adapter holds anything of a patient's identity")

"""What in a text tells whose a study is: words that its headers state of people and numbers, dates, UIDs.

Spelling makes no difference: capitals, accents, Müller or Mueller, 4711-0815 or 4711 0815.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from itertools import permutations

from . import tags
from .types import PetCtStudy

_NAMES = ("PatientName", "OtherPatientNames", "PatientBirthName", "PatientMotherBirthName", "ReferringPhysicianName",
          "PerformingPhysicianName", "OperatorsName")
_NUMBERS = ("PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "DeviceSerialNumber")
_WHOLE = ("InstitutionName",)  # its single words are those of every note: "hospital", "the"
_BORN = re.compile(r"(\d{4})(\d\d)(\d\d)")
_LONG_NUMBER = 5  # letters and digits; those of a shorter one may stand in a note with anything between: "1.23" for 123

_GAP = r"[\W_]{0,3}"
_APART, _NO_COMMA = r"[\W_]{1,3}", r"(?:[^\w,]|_){0,3}"
_LISTED = 8  # digits; a shorter number is not looked for in a list such as "cases 1,2,3,4,5"
_UNSPACED = re.compile(r"[\u2e80-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]")  # written without blanks; a sign is a syllable
_SPELT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
_BARE = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ı": "i", "æ": "ae", "œ": "oe",  # Unicode takes no accent off these
                       "‐": "-", "–": "-", "—": "-"})

_START = r"(?<!\d)(?<!\d[.,])(?<!(?<![^\W_])v)"  # not in v2024.01.1
_DAY, _MONTH, _YEAR = r"(?:0?[1-9]|[12]\d|3[01])", r"(?:0?[1-9]|1[0-2])", r"(?:19|20)\d\d"
_MM, _DD, _TIME = r"(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])", r"(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?"
_NAMED = (r"(?<![^\W\d_])(?:jan|january|januar|janner|jaenner|janv|janvier|feb|february|februar|fev|fevr|fevrier|mar|march|"
          r"marz|maerz|mrz|mars|apr|april|avr|avril|may|mai|june?|juni|juin|july?|juli|juil|juillet|aug|august|aout|"
          r"sept?|september|septembre|oct|october|octobre|okt|oktober|nov|november|novembre|dec|december|decembre|dez|"
          r"dezember)(?![^\W\d_])")
_SEP, _TH = r"(?:\s{0,2}[-./_年月년월]\s{0,2}|,)", r"(?:st|nd|rd|th|er)?"
_DATE = re.compile("|".join((
    f"{_START}{_YEAR}(?P<a>[\\s_]?){_MM}(?P=a){_DD}(?:{_TIME})?(?!\\d)",  # 19331122, with hours, minutes and seconds
    f"{_START}(?:{_DD}(?P<b>[\\s_]?){_MM}(?P=b)|{_MM}(?P<c>[\\s_]?){_DD}(?P=c)){_YEAR}(?!\\d)",
    f"{_START}{_YEAR}{_SEP}{_MONTH}{_SEP}{_DAY}(?!\\d)",
    f"{_START}(?:{_DAY}{_SEP}{_MONTH}|{_MONTH}{_SEP}{_DAY}){_SEP}{_YEAR}(?!\\d)",
    # 22/11/33, not v2.1.10
    rf"(?<![^\W_])(?<!\d[.,])(?:{_DAY}(?P<d>[-./]){_MONTH}(?P=d)|{_MONTH}(?P<e>[-./]){_DAY}(?P=e))\d\d(?![^\W_])",
    f"{_START}{_DAY}{_TH}(?:\\sof)?{_GAP}{_NAMED}{_GAP}{_YEAR}(?!\\d)",
    f"{_START}{_DAY}{_TH}[-./_\\s]{{0,2}}{_NAMED}[-./_'\\s]{{0,2}}\\d\\d(?!\\d)",  # 22-Nov-33
    f"{_NAMED}{_GAP}{_DAY}{_TH}{_GAP}{_YEAR}(?!\\d)",
    f"{_START}{_YEAR}{_GAP}{_NAMED}{_GAP}{_DAY}(?!\\d)",
)))
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # "LiWu"
_UID = re.compile(r"(?<![\d.])\d+(\.\d+){4,}")


def words_of(study: PetCtStudy, patient: str | None = None) -> set[str]:
    """What the study's headers (and `patient`, an ID) name, for `tells`: words, names of several parted by a blank.

    Three letters or more, two where a sign is a syllable; a part of a name that is shorter only beside another part.
    """
    headers = (*study.ct_headers[:1], *study.pet_headers[:1])
    stated = {text for header in headers for keyword in (*_NAMES, *_NUMBERS) for text in tags.texts(header, keyword)}
    stated |= {patient or ""}
    words = {word for text in stated for one in _spellings(text) for word in _words(one)}
    words |= {" ".join(_parts(one)) for header in headers for keyword in _WHOLE
              for text in tags.texts(header, keyword) for one in _spellings(text)}
    words |= {word for header in headers for word in _birth_dates(tags.text(header, "PatientBirthDate"))}
    return {word for word in words if len(word.replace(" ", "")) >= (2 if _UNSPACED.search(word) else 3)}


def tells(text: str, words: Collection[str] = ()) -> bool:
    """Whether the text holds a date, a UID or one of the words: a number anywhere, a name where a word begins: "Meiers"
    names Meier, "model" not Del. An underscore parts words."""
    patterns = [_DATE, _UID, *(re.compile(_pattern(word)) for word in words)]
    spellings = _spellings(text) | _spellings(_CAPITAL.sub(" ", text))
    return any(pattern.search(one) for one in spellings for pattern in patterns)


def _spellings(text: str) -> set[str]:
    """The text in small letters without accents: "muller" and "mueller" for "Müller"."""
    small = unicodedata.normalize("NFKC", text).casefold()
    return {_bare(small), _bare(small.translate(_SPELT))}


def _bare(text: str) -> str:
    letters = (letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return unicodedata.normalize("NFC", "".join(letters)).translate(_BARE)  # the syllables of Korean whole again


def _parts(text: str) -> list[str]:
    return [part for part in re.split(r"[\W_]+", text) if part]


def _words(text: str) -> Iterator[str]:
    """Of a name or number: each as a whole, the parts of names, and short parts beside one of another component."""
    for name in text.split("="):  # the same name in other letters
        components = re.split(r"[\^,]", name)
        for component in components:
            yield " ".join(_parts(component))
            for token in component.split():
                yield " ".join(_parts(token))
                if token.isdecimal() and len(token.lstrip("0")) >= _LONG_NUMBER:
                    yield token.lstrip("0")
                if not _is_number(token):
                    yield from _parts(token)
        for one, other in permutations(components, 2):
            yield from (f"{a} {b}" for a in _parts(one) for b in _parts(other) if min(len(a), len(b)) < 3)


def _birth_dates(stated: str) -> set[str]:
    found = _BORN.fullmatch(stated)
    if not found:
        return set()
    year, month, day = found.groups()
    return {year + month + day, day + month + year, month + day + year}


def _is_number(word: str) -> bool:
    return any(map(str.isdigit, word))


def _pattern(word: str) -> str:
    """The word in a text. One that is short, or of several parts, must be whole; parts that are all short stand apart."""
    parts, number = word.split(), _is_number(word)
    letters = "".join(parts)
    if number and len(letters) >= _LONG_NUMBER:
        return (_NO_COMMA if letters.isdecimal() and len(letters) < _LISTED else _GAP).join(letters)
    apart = not number and not _UNSPACED.search(word) and max(map(len, parts)) < 3
    found = (_APART if apart else _GAP).join(parts)
    if _UNSPACED.search(word) or number and len(parts) == 1:
        return found
    return rf"(?<![^\W_]){found}" + (r"(?![^\W_])" if len(parts) > 1 else "")

"""Whose images these are, of which day and which stack: one patient, one examination, or a refusal (DICOM 2.7)."""

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import numpy as np
from pydicom import Dataset

from ...core import PemmaError
from .. import tags, times
from . import geometry
from .series import NAME, OPTION, Series

MOST_LISTED = 8
LONGEST_EXAMINATION_DAYS = 1  # a scan may run over midnight
LONGEST_EXAMINATION = timedelta(hours=12)  # where the moments are known: a scan of the next morning is another one
LATEST_RECONSTRUCTION_DAYS = 3  # after its scan, over a weekend; a later series without its acquisition may be another visit
DAY = timedelta(days=1)
#: what de-identification and phantoms leave in a name
_FILLER = re.compile(r"anon\w*|x+|p\d+|(?:patient|subject|case|test|phantom)+\d*|\d+|unknown|removed|deidentified|none")


def day(header: Dataset) -> datetime | None:
    """Midnight of the day of an image, None if no date in its header is possible."""
    named = (tags.text(header, keyword) for keyword in ("AcquisitionDate", "SeriesDate", "StudyDate"))
    return next((found for found in map(times.date, named) if found is not None), None)


def day_in_words(header: Dataset) -> str:
    """As "2024-03-10", "" if it is not known. For the screen of the one who owns the folder: no record keeps it."""
    found = day(header)
    return found.date().isoformat() if found else ""


def days_between(one: Dataset, other: Dataset) -> int | None:
    """None if a date is not known."""
    days = day(one), day(other)
    return None if None in days else abs((days[0] - days[1]).days)


def told_apart_by(headers: Iterable[Dataset]) -> str:
    """Keyword of what shows these headers to be of more than one patient, "" if nothing does.

    Patient IDs must be equal; birth date, sex and, without an ID, the name speak only where several are stated.
    """
    headers = list(headers)
    ids = {tags.text(header, "PatientID") for header in headers}
    if len(ids) > 1:
        return "PatientID"
    stated = {"PatientBirthDate": _birth_date, "PatientSex": _sex} | ({} if any(ids) else {"PatientName": _name})
    for keyword, read in stated.items():
        if len({read(tags.text(header, keyword)) for header in headers} - {None, ""}) > 1:
            return keyword
    return ""


def _birth_date(value: str) -> datetime | None:
    return times.date(value)


def _sex(value: str) -> str:
    """ "O" and invalid values may stand for not known."""
    return value.upper() if value.upper() in ("M", "F") else ""


def _name(value: str) -> str:
    """Its Latin letters, which no character set and no way to part them changes."""
    return re.sub(r"[^A-Z]", "", value.upper().split("=")[0])


def names_differ(one: Dataset, other: Dataset) -> bool:
    """Whether two patient names share neither family nor given name nor the letters with which one of them begins, whatever
    the case, the accents, the order and what parts them. Names that are missing, written in different scripts, or on one side
    only a filler say nothing."""
    groups = [_names(header) for header in (one, other)]
    fillers = [any(_FILLER.fullmatch("".join(words)) for words in names) for names in groups]
    pairs = [(a, b) for a, b in itertools.product(*groups) if _is_latin(a) == _is_latin(b)]
    return bool(pairs) and fillers[0] == fillers[1] and not any(_share_a_name(a, b) for a, b in pairs)


def _names(header: Dataset) -> list[list[str]]:
    """Family, given and middle names in each way of writing (parted by "="), in plain letters."""
    written = ["^".join(group.split("^")[:3]) for group in tags.text(header, "PatientName").split("=")]
    plain = ["".join(c for c in unicodedata.normalize("NFKD", one) if not unicodedata.combining(c)) for one in written]
    spelt = [re.sub("([aou])e|(?<=a)a", r"\1", one.casefold()) for one in plain]  # Müller, Mueller; Åberg, Aaberg
    names = [[word.lstrip("0") if word.isdecimal() else word for word in re.findall(r"[^\W_]+", one)] for one in spelt]
    return [words for words in names if words]


def _is_latin(words: Sequence[str]) -> bool:
    return "".join(words).isascii()


def _share_a_name(one: Sequence[str], other: Sequence[str]) -> bool:
    """A word in common that is more than an initial, or all letters of the shorter one at the beginning."""
    words, others = ({word for word in words if len(word) > 1 or not word.isascii()} for words in (one, other))
    short, long = sorted(("".join(one), "".join(other)), key=len)
    return bool(words & others) or short == long or len(short) > 2 and long.startswith(short)


def refuse_several_patients(found: Sequence[Series]) -> None:
    """Raises PemmaError unless all series may be of one patient."""
    keyword = told_apart_by(series.header for series in found)
    if keyword:
        raise PemmaError(
            "several-patients",
            f"the folder holds series of more than one patient ({tags.title(keyword)})",
            ", or ".join(["give the folder of one patient", *_ways_to_one_patient(found)]),
            tags.place(keyword),
        )


def _ways_to_one_patient(found: Sequence[Series]) -> list[str]:
    """What to name or to leave out so that only one patient is left."""
    headers = {modality: [s.header for s in found if s.modality == modality] for modality in OPTION}
    if not all(headers.values()):
        return [f"name the series with {option}" for modality, option in OPTION.items() if headers[modality]]
    if not all(told_apart_by(pair) for pair in itertools.product(*headers.values())):
        return [f"name both series with {OPTION['CT']} and {OPTION['PT']}"]
    return [f"use --inputs {NAME[modality].lower()}" for modality, own in headers.items() if not told_apart_by(own)]


def refuse_mixed(headers: Sequence[Dataset], modality: str) -> None:
    """Raises PemmaError unless all images of one series may be of one patient and are of one study."""
    if keyword := told_apart_by(headers):
        raise _mixed("several-patients", "images of more than one patient", modality, keyword)
    if _several(headers, "StudyInstanceUID"):
        raise _mixed("several-studies", "images of more than one study", modality, "StudyInstanceUID")


def refuse_frames_of_reference(headers: Sequence[Dataset], modality: str) -> None:
    """Raises PemmaError if slices of one series state positions in more than one coordinate system."""
    if _several(headers, "FrameOfReferenceUID"):
        raise _mixed("several-frames", "slices of more than one frame of reference", modality, "FrameOfReferenceUID")


def _several(headers: Sequence[Dataset], keyword: str) -> bool:
    return len({tags.text(header, keyword) for header in headers} - {""}) > 1


def _mixed(code: str, words: str, modality: str, keyword: str) -> PemmaError:
    sentence = f"one {NAME[modality]} series holds {words} ({tags.title(keyword)})"
    return PemmaError(code, sentence, tags.EXPORT_AGAIN, tags.place(keyword))


def refuse_several_studies(found: Sequence[Series], modality: str) -> None:
    """Raises PemmaError for series of one modality that were acquired on several days, in one study or in several: neither
    slice counts nor series numbers say which examination is meant. The place lists days and series, which the sentence
    must not keep."""
    when = _apart(found)
    if when:
        raise PemmaError(
            "several-studies",
            f"the folder holds {NAME[modality]} series {when}",
            f"choose one with {OPTION[modality]}, or give the folder of one examination",
            _listed(found),
        )


def _apart(found: Sequence[Series]) -> str:
    """What shows these series to be of several examinations, "" if nothing does: by the moments of their acquisition, and
    by their days if a slice lacks its own."""
    spans = [_acquired(series) for series in found]
    known = [span for span in spans if span is not None]
    if known and (apart := _longest_gap(known)) > LONGEST_EXAMINATION:
        return f"acquired up to {_in_words(apart)} apart"
    return _days_apart(found) if None in spans else ""


def _longest_gap(spans: Sequence[tuple[datetime, datetime]]) -> timedelta:
    """From the end of a series to the beginning of another one. (Where a date stayed behind at midnight the day before lies
    between the two moments of that series.)"""
    return max(begin for begin, _ in spans) - min(end for _, end in spans)


def _acquired(series: Series) -> tuple[datetime, datetime] | None:
    """First and last moment, None if a slice does not state when it was acquired."""
    headers = [one.header for one in series.slices] or [file.header for file in series.files]
    moments = [times.acquisition(header) for header in headers]
    return None if None in moments else (min(m.local for m in moments), max(m.local for m in moments))


def _days_apart(found: Sequence[Series]) -> str:
    """As `_apart`. In one study the day of a series may be that of a later reconstruction, unless it is the acquisition's."""
    days = [day(series.header) for series in found]
    several = len({tags.text(series.header, "StudyInstanceUID") for series in found}) > 1
    if several and None in days:
        return "of several studies whose dates are not all known"
    known = [one for one in days if one is not None]
    apart = (max(known) - min(known)).days if known else 0
    acquired = all(times.date(tags.text(series.header, "AcquisitionDate")) for series in found)
    longest = LONGEST_EXAMINATION_DAYS if several or acquired else LATEST_RECONSTRUCTION_DAYS
    return f"of days up to {apart} days apart" if apart > longest else ""


def _in_words(apart: timedelta) -> str:
    return f"{apart / timedelta(hours=1):.0f} h" if apart <= 2 * DAY else f"{apart / DAY:.0f} days"


def _listed(found: Sequence[Series]) -> str:
    """Each day with its series: "2023-03-10: 1.2.3, 1.2.4; 2024-03-10: 1.2.5"."""
    by_day: dict[str, list[str]] = {}
    in_order = sorted({(day_in_words(s.header), tags.words(s.header, "SeriesInstanceUID")) for s in found})
    for when, uid in in_order[:MOST_LISTED]:
        by_day.setdefault(when or "no date", []).append(uid)
    more = ["..."] if len(in_order) > MOST_LISTED else []
    return "; ".join([*(f"{when}: {', '.join(uids)}" for when, uids in by_day.items()), *more])


def refuse_halves(usable: Sequence[Series], modality: str) -> None:
    """Refuses two series of one study that are one stack split over two UIDs: each alone would be half a patient."""
    for k, one in enumerate(usable):
        for other in usable[k + 1 :]:
            if _one_stack(one, other):
                raise PemmaError(
                    "series-halves",
                    f"two {NAME[modality]} series continue each other: one series split over two Series Instance UIDs",
                    f"merge them, or choose one with {OPTION[modality]}",
                    "(0020,000E)",
                )


def _one_stack(a: Series, b: Series) -> bool:
    planes = [s.plane for s in (*a.slices, *b.slices)]
    if a.grid.size[:2] != b.grid.size[:2] or not geometry.same_orientation(a.slices[0].plane, b.slices[0].plane):
        return False
    if tags.text(a.header, "StudyInstanceUID") != tags.text(b.header, "StudyInstanceUID") or (
        tags.text(a.header, "SeriesNumber") != tags.text(b.header, "SeriesNumber")
    ):
        return False
    along = np.sort(geometry.depths(planes))
    steps = np.diff(along)
    return bool(steps.min() > geometry.SAME_POSITION_MM and np.ptp(steps) < 2 * geometry.GRID_TOLERANCE * steps.mean())

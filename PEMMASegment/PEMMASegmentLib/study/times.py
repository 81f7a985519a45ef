"""DICOM dates and times: DA with TM, and DT with its offset, as naive local date-times plus an optional zone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset

from .tags import text

_TM = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$")
_DA = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})$")
_DT = re.compile(r"(\d{8})(\d{2,6}(?:\.\d{1,6})?)([+-]\d{4})?$")


@dataclass(frozen=True)
class Moment:
    """A date and time as written (`local`), and the zone it was written in, None if that is not known."""

    local: datetime
    zone: timedelta | None = None


def time_of_day(value: str) -> timedelta | None:
    """Seconds since midnight of a TM (HH, HHMM, HHMMSS, fraction, old colons); None if it is no valid time."""
    match = _TM.match(value.strip())
    if not match:
        return None
    hours, minutes, seconds = (int(g or 0) for g in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:  # 60: a leap second
        return None
    fraction = int((match.group(4) or "0").ljust(6, "0"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=fraction)


def date(value: str) -> datetime | None:
    """Midnight of a DA (YYYYMMDD, or old YYYY.MM.DD); None if there is no such day."""
    match = _DA.match(value.strip())
    try:
        return datetime(*(int(g) for g in match.groups())) if match else None
    except ValueError:
        return None


def date_time(value: str) -> Moment | None:
    """A DT with at least day and hour; None if it is absent or invalid."""
    match = _DT.match(value.strip())
    if not match:
        return None
    day, time = date(match.group(1)), time_of_day(match.group(2))
    return Moment(day + time, offset(match.group(3) or "")) if day is not None and time is not None else None


def offset(value: str) -> timedelta | None:
    """A zone such as "+0100"; None if it is absent or invalid."""
    match = re.match(r"([+-])(\d{2})(\d{2})$", value.strip())
    if not match or int(match.group(2)) > 14 or int(match.group(3)) > 59:
        return None
    shift = timedelta(hours=int(match.group(2)), minutes=int(match.group(3)))
    return -shift if match.group(1) == "-" else shift


def of_pair(header: Dataset, which: str) -> datetime | None:
    """Local moment of a pair such as Series Date and Series Time (`which` = "Series"); None if either is missing."""
    day, time = date(text(header, f"{which}Date")), time_of_day(text(header, f"{which}Time"))
    return day + time if day is not None and time is not None else None


def acquisition(header: Dataset) -> datetime | None:
    """When counting for this image began: Acquisition Date and Time, else Acquisition DateTime; local."""
    moment = of_pair(header, "Acquisition")
    if moment is None and (combined := date_time(text(header, "AcquisitionDateTime"))):
        moment = combined.local
    return moment


def acquisitions(headers: Sequence[Dataset]) -> list[datetime] | None:
    """Acquisition moments of all slices, None if any lacks it."""
    found = [acquisition(header) for header in headers]
    return None if any(moment is None for moment in found) else found

"""DICOM dates and times: DA with TM, and DT with its offset, as naive local date-times plus an optional zone."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset

from .tags import text

_TM = re.compile(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d*))?)?)?$")
_DA = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})$")
_DT = re.compile(r"(\d{8})(\d{2,6}(?:\.\d*)?)([+-]\d{4})?$")
#: a date outside them is a slip or a filler; inside, no sum of dates and durations overflows
YEARS = range(1800, 3000)
AFTER_MIDNIGHT = timedelta(hours=18)


@dataclass(frozen=True)
class Moment:
    """A date and time as written (`local`), and the zone it was written in, None if that is not known."""

    local: datetime
    zone: timedelta | None = None

    def on(self, zone: timedelta | None) -> "Moment":
        """The same moment on the clock of another zone; as written if either zone is unknown."""
        if self.zone is None or zone is None:
            return self
        return Moment(self.local - self.zone + zone, zone)

    def assuming(self, zone: timedelta | None) -> "Moment":
        """With this zone if its own is unknown."""
        return self if self.zone is not None else Moment(self.local, zone)

    def __add__(self, gap: timedelta) -> "Moment":
        return Moment(self.local + gap, self.zone)

    def __sub__(self, earlier: "Moment") -> timedelta:
        """Through UTC when both zones are known, else as if both were written on one clock."""
        return self.local - earlier.on(self.zone).local


def midnight(local: datetime) -> datetime:
    """At the beginning of the same day."""
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def time_of_day(value: str) -> timedelta | None:
    """Seconds since midnight of a TM (HH, HHMM, HHMMSS, any fraction, old colons); None if it is no valid time."""
    match = _TM.match(value.strip())
    if not match:
        return None
    hours, minutes, seconds = (int(g or 0) for g in match.groups()[:3])
    if hours > 23 or minutes > 59 or seconds > 60:  # 60: a leap second
        return None
    fraction = int((match.group(4) or "0")[:6].ljust(6, "0"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=fraction)


def date(value: str) -> datetime | None:
    """Midnight of a DA (YYYYMMDD, or old YYYY.MM.DD); None if there is no such day or it is in no possible year."""
    match = _DA.match(value.strip())
    try:
        return datetime(*(int(g) for g in match.groups())) if match and int(match.group(1)) in YEARS else None
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


def zone(header: Dataset) -> timedelta | None:
    """The zone of all dates and times of a header that state none of their own."""
    return offset(text(header, "TimezoneOffsetFromUTC"))


def of_header(header: Dataset, value: str) -> Moment | None:
    """A DT of this header, on the clock of the header's DA and TM values if the zone of these is known."""
    moment, clock = date_time(value), zone(header)
    if moment is None or clock is None:
        return moment
    return Moment(moment.on(clock).local, clock)


def of_pair(header: Dataset, which: str) -> Moment | None:
    """The moment of a pair such as Series Date and Series Time (`which` = "Series"); None if either is missing."""
    day, time = date(text(header, f"{which}Date")), time_of_day(text(header, f"{which}Time"))
    return Moment(day + time, zone(header)) if day is not None and time is not None else None


def acquisition(header: Dataset) -> Moment | None:
    """When counting for this image began: Acquisition Date and Time, else Acquisition DateTime."""
    return of_pair(header, "Acquisition") or of_header(header, text(header, "AcquisitionDateTime"))


def acquisition_by_series(header: Dataset) -> Moment | None:
    """Acquisition Time on the day of the series; on the next one if it would be most of a day before the series."""
    time = time_of_day(text(header, "AcquisitionTime"))
    day = date(text(header, "SeriesDate")) or date(text(header, "ContentDate"))
    if time is None or day is None:
        return None
    began = of_pair(header, "Series")
    if began is not None and began.local - (day + time) >= AFTER_MIDNIGHT:
        day += timedelta(days=1)
    return Moment(day + time, zone(header))


def on_one_clock(moments: Sequence[Moment | None]) -> list[Moment] | None:
    """All on the clock of the first, None if any is missing."""
    return None if any(moment is None for moment in moments) else [moment.on(moments[0].zone) for moment in moments]

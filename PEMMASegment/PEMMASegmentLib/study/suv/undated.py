"""PET headers whose dates were removed and whose times of day were kept, as anonymising leaves them, read as of one day."""

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword

from .. import tags, times
from . import isotopes, references
from .conversion import ToBeTyped, Warn
from .injection import TYPE_TIME

DATES = ("SeriesDate", "AcquisitionDate", "ContentDate")
ANY_DAY = datetime(2000, 1, 1)  # nothing but gaps between times comes of it
LONGEST = timedelta(hours=12)


def of_one_day(
    headers: Sequence[Dataset], item: Dataset, half_life: float, typed: str | None, warn: Warn
) -> tuple[Sequence[Dataset], str | None]:
    """The headers, on the day that the injection or another time names (or on any) if none has a date and the times of day
    rise from the injection to the series and on to the acquisitions within 12 h, as they do in one examination; and the typed
    injection time, which may replace a header's that is missing or does not fit, without its date, since it is one of them."""
    if any(map(_has_date, headers)) or isotopes.needs_day(half_life):
        return headers, typed
    stated = times.of_header(headers[0], tags.text(item, "RadiopharmaceuticalStartDateTime"))
    elsewhere = [named.moment for named in references.named(headers)]
    dated = [stated] if stated else elsewhere
    day = times.midnight(dated[0].local) if dated else ANY_DAY
    injected = stated.local - day if stated else times.time_of_day(tags.text(item, "RadiopharmaceuticalStartTime"))
    series = times.time_of_day(tags.text(headers[0], "SeriesTime"))
    acquired = sorted({tags.text(header, "AcquisitionTime") for header in headers})
    scan = [series, *map(times.time_of_day, acquired if any(acquired) else [])]
    in_order = _follow_each_other([injected, *scan])
    if not in_order and (elsewhere or not _follow_each_other(scan)):  # a reference with a date of its own needs no other
        return headers, typed
    if not in_order and injected is not None and typed is None:
        raise ToBeTyped(
            "injection-date-unknown",
            "Series Date (0008,0021) and Acquisition Date (0008,0022) are missing, and the times of day of injection, series and "
            "acquisition do not follow each other within 12 h",
            TYPE_TIME,
            "(0018,1078)" if stated else "(0018,1072)",
        )
    warn(
        "dates-missing",
        "Series Date (0008,0021) and Acquisition Date (0008,0022) are missing; the times of day were taken to be of one day",
        "check the uptake time",
    )
    time_only = typed[8:] if typed and len(typed) == len("YYYYMMDDHHMMSS") else typed
    return [_dated(header, day.strftime("%Y%m%d")) for header in headers], time_only


def _has_date(header: Dataset) -> bool:
    """Whether one of its dates is possible: 00000000 and the like are fillers."""
    return any(times.date(tags.text(header, keyword)) for keyword in DATES) or (
        times.date_time(tags.text(header, "AcquisitionDateTime")) is not None
    )


def _follow_each_other(moments: Sequence[timedelta | None]) -> bool:
    """Whether these times of day, all known, rise within 12 h, but for the clocks' tolerance."""
    if None in moments or max(moments) - min(moments) > LONGEST:
        return False
    return all(later - earlier >= -references.CLOCK_TOLERANCE for earlier, later in itertools.pairwise(moments))


def _dated(header: Dataset, day: str) -> Dataset:
    made = Dataset()
    made.update(header)
    for keyword in ("SeriesDate", "AcquisitionDate"):  # new elements: those of the header are shared
        made[keyword] = DataElement(tag_for_keyword(keyword), "DA", day)
    return made

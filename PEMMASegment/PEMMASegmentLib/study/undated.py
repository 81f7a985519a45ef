"""PET headers whose dates were removed and whose times of day were kept, as anonymising leaves them, read as of one day."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword

from . import isotopes, references, tags, times
from .conversion import Warn

DATES = ("SeriesDate", "AcquisitionDate", "ContentDate", "AcquisitionDateTime")
ANY_DAY = datetime(2000, 1, 1)  # nothing but gaps between times comes of it
LONGEST = timedelta(hours=12)


def of_one_day(headers: Sequence[Dataset], item: Dataset, half_life: float, warn: Warn) -> Sequence[Dataset]:
    """The headers, on the day that the injection or another time names (or on any) if none has a date and the times of day
    rise from the injection to the series and on to the acquisitions within 12 h, as they do in one examination."""
    if any(tags.text(header, keyword) for header in headers for keyword in DATES) or isotopes.needs_day(half_life):
        return headers
    stated = times.of_header(headers[0], tags.text(item, "RadiopharmaceuticalStartDateTime"))
    dated = [stated] if stated else [named.moment for named in references.named(headers)]
    day = dated[0].local.replace(hour=0, minute=0, second=0, microsecond=0) if dated else ANY_DAY
    injected = stated.local - day if stated else times.time_of_day(tags.text(item, "RadiopharmaceuticalStartTime"))
    series = times.time_of_day(tags.text(headers[0], "SeriesTime"))
    acquired = sorted({tags.text(header, "AcquisitionTime") for header in headers})
    in_order = [injected, series, *map(times.time_of_day, acquired if any(acquired) else [])]
    if None in in_order or in_order != sorted(in_order) or in_order[-1] - in_order[0] > LONGEST:
        return headers
    warn(
        "dates-missing",
        "Series Date (0008,0021) and Acquisition Date (0008,0022) are missing; the times of day of injection, series and "
        "acquisition follow each other and were taken to be of one day",
        "check the uptake time",
    )
    return [_dated(header, day.strftime("%Y%m%d")) for header in headers]


def _dated(header: Dataset, day: str) -> Dataset:
    made = Dataset()
    made.update(header)
    for keyword in ("SeriesDate", "AcquisitionDate"):  # new elements: those of the header are shared
        made[keyword] = DataElement(tag_for_keyword(keyword), "DA", day)
    return made

"""When the activity was injected and to which moment the image is corrected (DICOM 1.3, 1.4): never from a guess."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydicom import Dataset

from ..core import PemmaError
from . import tags, times
from .types import Typed

CLOCK_TOLERANCE = timedelta(seconds=1)  # a real header has the series 5 microseconds after the acquisition
LONGEST_TIME_ONLY_GAP = timedelta(hours=12)
LONGEST_DATE_ARTEFACT_GAP = timedelta(hours=6)
AGREEMENT_S = 2.0
DIFFERENCE_S = 60.0
TYPE_TIME = "give the injection time with --injection-time, or use --inputs ct"
INJECTION_PLACE = "(0018,1078)"

#: warn(code, sentence, what to do)
Warn = Callable[[str, str, str], None]


@dataclass(frozen=True)
class Reference:
    """The moment that all slices are corrected to, where it was found, and the zone it is written in (None: unknown)."""

    moment: datetime
    source: str
    zone: timedelta | None = None


@dataclass(frozen=True)
class Injection:
    """When the tracer was given, in the same local time as the series' own times; where that was found; typed or not."""

    moment: datetime
    source: str
    typed: bool = False


def corrected_to(headers: Sequence[Dataset], half_life: float, warn: Warn) -> Reference:
    """The one reference of a series with Decay Correction START (order of dicom.md 1.3). half_life in s."""
    if stated := _stated(headers[0], tags.text(headers[0], "DecayCorrectionDateTime"), "Decay Correction DateTime"):
        return stated
    zone = zone_of(headers[0])
    began = times.of_pair(headers[0], "Series")
    series = None if began is None else Reference(began, "SeriesDateTime", zone)
    acquired = times.acquisitions(headers)
    if acquired is None:
        return _without_acquisition(series, warn)
    first = min(acquired)
    candidates = _candidates(headers, series, first, half_life)
    if not candidates:
        warn(
            "decay-reference-assumed",
            "no time in the header says what the decay correction refers to; the earliest acquisition time was taken",
            "check the SUV against the scanner's console",
        )
        return Reference(first, "earliest Acquisition DateTime", zone)
    chosen = candidates[0]
    if series is not None and chosen is not series:
        warn(
            "series-time-late",
            "the series time is later than the acquisition, so the reference of the "
            f"decay correction was taken from {chosen.source}",
            "check the SUV against the console",
        )
    _tell_differences(chosen, candidates[1:], half_life, warn)
    if first - chosen.moment > timedelta(minutes=30):
        warn(
            "decay-reference-early",
            "the reference of the decay correction lies "
            f"{_minutes(first - chosen.moment)} min before the first acquisition in this series",
            "normal for later bed positions; otherwise check the times",
        )
    return chosen


def zone_of(header: Dataset) -> timedelta | None:
    return times.offset(tags.text(header, "TimezoneOffsetFromUTC"))


def _stated(header: Dataset, value: str, source: str) -> Reference | None:
    """A reference given as DT, on the clock of the series' DA/TM values when both zones are known."""
    moment = times.date_time(value)
    if moment is None:
        return None
    zone = zone_of(header)
    if moment.zone is not None and zone is not None:
        return Reference(moment.local - moment.zone + zone, source, zone)
    return Reference(moment.local, source, zone if moment.zone is None else moment.zone)


def _without_acquisition(series: Reference | None, warn: Warn) -> Reference:
    if series is None:
        raise PemmaError(
            "decay-reference-missing",
            "neither Series Date/Time (0008,0021)/(0008,0031) nor Acquisition "
            "Date/Time (0008,0022)/(0008,0032) is complete, so the decay correction has no reference",
            "export the series with its times, or use --inputs ct",
            "(0008,0031)",
        )
    warn(
        "acquisition-time-missing",
        "Acquisition Date/Time is missing; the decay correction was taken to refer to the series time",
        "check the SUV against the scanner's console",
    )
    return series


def _candidates(
    headers: Sequence[Dataset], series: Reference | None, first: datetime, half_life: float
) -> list[Reference]:
    """All references that apply, best first; none of the stated ones may be later than the first acquisition."""
    ge = tags.private(headers[0], 0x0009, "GEMS_PETD_01", 0x0D)
    siemens = tags.private(headers[0], 0x0071, "SIEMENS", 0x22)
    stated = [
        series,
        _stated(headers[0], ge, "GE scan DateTime (0009,100D)"),
        _stated(headers[0], siemens, "Siemens decay correction DateTime (0071,1022)"),
    ]
    found = [r for r in stated if r is not None and r.moment <= first + CLOCK_TOLERANCE]
    if (computed := back_computed(headers, half_life)) is not None:
        found.append(Reference(computed, "Frame Reference Time", zone_of(headers[0])))
    return found


def back_computed(headers: Sequence[Dataset], half_life: float) -> datetime | None:
    """t_acq + T_ave - FRT (median), None if a time is missing, all are 0, or the slices disagree by over 2 s."""
    moments = []
    frame_times, durations = [], []
    for header in headers:
        acquired = times.acquisition(header)
        reference_ms, duration_ms = (tags.number(header, k) for k in ("FrameReferenceTime", "ActualFrameDuration"))
        if acquired is None or reference_ms is None or not duration_ms or duration_ms < 0:
            return None
        frame_times.append(reference_ms)
        durations.append(duration_ms)
        moments.append(acquired + timedelta(seconds=average_time(duration_ms / 1000, half_life) - reference_ms / 1000))
    if not any(frame_times):
        return None
    seconds = [(m - moments[0]).total_seconds() for m in moments]
    middle = statistics.median(seconds)
    if max(abs(s - middle) for s in seconds) > AGREEMENT_S:
        return None
    return moments[0] + timedelta(seconds=middle)


def average_time(duration: float, half_life: float) -> float:
    """Moment in a frame (s from its start) at which the activity equals the frame's mean (DICOM C.8.9.4.1.5)."""
    decay = math.log(2) / half_life
    return math.log(decay * duration / -math.expm1(-decay * duration)) / decay


def _tell_differences(chosen: Reference, others: Sequence[Reference], half_life: float, warn: Warn) -> None:
    for other in others:
        seconds = (other.moment - chosen.moment).total_seconds()
        if abs(seconds) > DIFFERENCE_S:
            change = 100 * (2 ** (seconds / half_life) - 1)
            warn(
                "decay-references-differ",
                f"the decay correction was taken to refer to {chosen.source}; "
                f"{other.source} would be {abs(seconds) / 60:.1f} min {'later' if seconds > 0 else 'earlier'} "
                f"and change SUV by {change:+.1f} %",
                "check the SUV against the scanner's console",
            )


def injected(
    header: Dataset, item: Dataset, reference: Reference, half_life: float, typed: Typed, warn: Warn
) -> Injection:
    """The injection before `reference`. Refuses a missing one, one after the scan, and one over 12 half-lives before.

    A typed time fills in when the header has none or one that can't be right.
    """
    try:
        found = _from_header(header, item, reference, warn)
        _check_gap(reference.moment - found.moment, half_life, INJECTION_PLACE)
    except PemmaError:
        if typed.injection_time is None:
            raise
        found = _from_typed(typed.injection_time, reference.moment)
        _check_gap(reference.moment - found.moment, half_life, "--injection-time")
        return found
    return found


def _from_header(header: Dataset, item: Dataset, reference: Reference, warn: Warn) -> Injection:
    if moment := times.date_time(tags.text(item, "RadiopharmaceuticalStartDateTime")):
        _tell_other_clock(moment, item, reference, warn)
        return _after_date_shift(_on_clock_of(reference, moment, warn), reference.moment, warn)
    day_time = times.time_of_day(tags.text(item, "RadiopharmaceuticalStartTime"))
    if day_time is not None:
        return _with_date_of(reference.moment, day_time, "Start Time", warn)
    moment = times.date_time(tags.private(header, 0x0009, "GEMS_PETD_01", 0x3B))
    if moment is None:
        raise PemmaError(
            "injection-time-missing",
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are missing or invalid",
            TYPE_TIME,
            INJECTION_PLACE,
        )
    warn(
        "injection-time-private",
        "the injection time was taken from GE's administration DateTime "
        "(0009,103B), since (0018,1078) and (0018,1072) are missing",
        "check the uptake time",
    )
    return Injection(_on_clock_of(reference, moment, warn), "GE administration DateTime")


def _on_clock_of(reference: Reference, moment: times.Moment, warn: Warn) -> datetime:
    """The injection on the clock of the reference, through UTC when both zones are known."""
    if moment.zone is None:
        return moment.local
    if reference.zone is None:
        warn(
            "time-zone-one-sided",
            "the injection DateTime (0018,1078) has a time zone and the series has "
            "none (0008,0201); both were read as the same local time",
            "check the uptake time",
        )
        return moment.local
    return moment.local - moment.zone + reference.zone


def _tell_other_clock(moment: times.Moment, item: Dataset, reference: Reference, warn: Warn) -> None:
    clock = times.time_of_day(tags.text(item, "RadiopharmaceuticalStartTime"))
    midnight = moment.local.replace(hour=0, minute=0, second=0, microsecond=0)
    same_clock = moment.zone is None or reference.zone is None
    if same_clock and clock is not None and abs(moment.local - midnight - clock) > timedelta(minutes=1):
        warn(
            "injection-times-differ",
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) differ; the first was used",
            "check the uptake time",
        )


def _after_date_shift(local: datetime, reference: datetime, warn: Warn) -> Injection:
    """An injection later than the scan, on another day: its date may be an artefact of de-identification."""
    if local <= reference or local.date() == reference.date():
        return Injection(local, "Start DateTime")
    gap = (reference - local) % timedelta(days=1)
    if gap > LONGEST_DATE_ARTEFACT_GAP:
        return Injection(local, "Start DateTime")
    warn(
        "injection-date-ignored",
        "the injection's date (0018,1078) is after the scan; its time of day "
        f"fits ({_minutes(gap)} min before) and was used",
        "check the uptake time",
    )
    return Injection(reference - gap, "time of day of Start DateTime")


def _with_date_of(reference: datetime, day_time: timedelta, source: str, warn: Warn) -> Injection:
    midnight = reference.replace(hour=0, minute=0, second=0, microsecond=0)
    moment = midnight + day_time
    if moment > reference:
        moment -= timedelta(days=1)
        warn(
            "injection-before-midnight",
            "the header gives the injection's time without a date; the day before the scan was assumed",
            "check the uptake time",
        )
    if reference - moment > LONGEST_TIME_ONLY_GAP:
        raise PemmaError(
            "injection-date-unknown",
            "the injection's time has no date, and on the day of the scan or the "
            "day before it is more than 12 h from it",
            TYPE_TIME,
            "(0018,1072)",
        )
    return Injection(moment, source)


def _from_typed(value: str, reference: datetime) -> Injection:
    moment, day_time = times.date_time(value), times.time_of_day(value)
    if len(value) == 14 and moment:
        return Injection(moment.local, "typed time", typed=True)
    if len(value) != 6 or day_time is None:
        raise PemmaError(
            "typed-time-invalid",
            "the typed injection time is neither HHMMSS nor YYYYMMDDHHMMSS",
            "type it as HHMMSS",
            "--injection-time",
        )
    found = _with_date_of(reference, day_time, "typed time", lambda code, sentence, way_out: None)
    return Injection(found.moment, found.source, typed=True)


def _check_gap(gap: timedelta, half_life: float, place: str) -> None:
    if gap < timedelta(0):
        raise PemmaError(
            "injection-after-scan",
            f"the injection is {_minutes(-gap)} min after the moment that the PET is corrected to",
            TYPE_TIME,
            place,
        )
    if gap.total_seconds() > 12 * half_life:
        raise PemmaError(
            "injection-too-early", "the injection is more than 12 half-lives before the scan", TYPE_TIME, place
        )


def _minutes(gap: timedelta) -> int:
    return round(gap.total_seconds() / 60)

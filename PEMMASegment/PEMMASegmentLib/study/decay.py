"""To which moment the decay correction of a PET refers (DICOM 1.3): never from a guess."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pydicom import Dataset

from ..core import PemmaError
from . import isotopes, tags, times
from .conversion import Warn
from .times import Moment

CLOCK_TOLERANCE = timedelta(seconds=1)  # a real header has the series 5 microseconds after the acquisition
DAY = timedelta(days=1)
LONGEST_ON_TABLE = timedelta(minutes=5)  # from the start of a scan to an injection on the scanner's table
EARLY = timedelta(minutes=30)
LONGEST_DATE_ARTEFACT_GAP = timedelta(hours=6)
LONGEST_FRAME_MS = DAY / timedelta(milliseconds=1)
AGREEMENT_S = 2.0
DIFFERENCE_S = 60.0
MOST_HALF_LIVES = 12  # between two moments of one examination
STATED = "Decay Correction DateTime"
CHECK_CONSOLE = "check the SUV against the scanner's console"


@dataclass(frozen=True)
class Reference:
    """The moment that all slices are corrected to and where it was found; began: the first acquisition, if known.

    confirmed: by another time of the header, or stated by an Enhanced PET.
    """

    moment: Moment
    source: str
    began: Moment | None = None
    confirmed: bool = False

    @property
    def start(self) -> Moment:
        """Where the uptake ends: the first acquisition, else the reference."""
        return (self.began or self.moment).assuming(self.moment.zone)

    @property
    def latest_injection(self) -> Moment:
        """The tracer can't be given later: the reference, or minutes after it where a scan surely was corrected to its
        start and this image acquired later: the tracer may be given on the table."""
        late = self.start - self.moment if self.confirmed else timedelta()
        return self.moment + min(max(late, timedelta()), LONGEST_ON_TABLE)


def corrected_to(headers: Sequence[Dataset], half_life: float, warn: Warn, enhanced: bool = False) -> Reference:
    """The one reference of a series with Decay Correction START (order of dicom.md 1.3). half_life in s.

    enhanced: frames of an Enhanced PET, which by definition states it; a classic one that does is checked like others.
    """
    header = headers[0]
    acquired = acquisitions(headers, warn)
    if enhanced and (stated := _stated(headers)):
        reference = Reference(stated, STATED, _earliest(acquired) if acquired else None, confirmed=True)
        _tell_distance(reference, half_life, warn)
        return reference
    series = times.of_pair(header, "Series")
    if acquired is None:
        return _without_acquisition(headers, series, warn)
    if series is not None:
        acquired = _on_one_day(series, acquired, half_life, warn)
    first = _earliest(acquired)
    candidates = _candidates(headers, series, acquired, half_life)
    if not candidates:
        warn(
            "decay-reference-assumed",
            "no time in the header says what the decay correction refers to; the earliest acquisition time was taken",
            CHECK_CONSOLE,
        )
        return Reference(first, "earliest Acquisition DateTime", first)
    chosen = candidates[0]
    if series is not None and all(one.moment is not series for one in candidates):
        _tell_late_series(chosen, warn)
    _tell_differences(chosen, candidates[1:], half_life, warn)
    _tell_distance(chosen, half_life, warn)
    return replace(chosen, confirmed=any(_seconds(chosen, one) <= DIFFERENCE_S for one in candidates[1:]))


def acquisitions(headers: Sequence[Dataset], warn: Warn) -> list[Moment] | None:
    """When each slice was acquired, on one clock; None if any lacks that."""
    dated = times.on_one_clock([times.acquisition(header) for header in headers])
    if dated is not None:
        return _over_midnight(dated, warn)
    found = times.on_one_clock([times.acquisition(h) or times.acquisition_by_series(h) for h in headers])
    if found is not None:
        warn(
            "acquisition-date-missing",
            "Acquisition Date (0008,0022) is missing or invalid; Acquisition Time was taken to be of the day of the series",
            CHECK_CONSOLE,
        )
    return found


def _over_midnight(acquired: list[Moment], warn: Warn) -> list[Moment]:
    """The same, those after midnight on the next day where their date stayed behind: no scan takes most of a day."""
    lasts = {moment.local.date(): moment.local for moment in sorted(acquired, key=lambda one: one.local)}
    early = [lasts[moment.local.date()] - moment.local >= times.AFTER_MIDNIGHT for moment in acquired]
    if any(early):
        warn(
            "acquisition-after-midnight",
            "Acquisition Date (0008,0022) is one for all slices, which were acquired on both sides of midnight; "
            "those after it were taken to be of the next day",
            CHECK_CONSOLE,
        )
    return [moment + DAY if late else moment for moment, late in zip(acquired, early, strict=True)]


def beds_apart(headers: Sequence[Dataset], acquired: list[Moment], half_life: float, warn: Warn) -> list[Moment]:
    """The acquisitions where all share one time though their Frame Reference Times say that they are of several beds (so
    are whole-body series of GE): as far apart as these are, by definition offsets (s) from one reference."""
    frame_times = _frame_reference_times(headers)
    if frame_times is None or any(moment != acquired[0] for moment in acquired):
        return acquired
    gaps = [(one - min(frame_times)) / 1000 for one in frame_times]
    if max(gaps) <= DIFFERENCE_S:
        return acquired
    warn(
        "frame-times-shared",
        "all slices share one Acquisition Time (0008,0032), but their Frame Reference Times (0054,1300) are up to "
        f"{max(gaps) / 60:.0f} min apart; they were taken to be acquired so far apart, which may "
        f"{effect(max(gaps) / half_life)}",
        CHECK_CONSOLE,
    )
    return [moment + timedelta(seconds=gap) for moment, gap in zip(acquired, gaps, strict=True)]


def minutes(gap: timedelta) -> int:
    return round(gap.total_seconds() / 60)


def _earliest(acquired: Sequence[Moment]) -> Moment:
    return min(acquired, key=lambda moment: moment.local)


def _on_one_day(series: Moment, acquired: list[Moment], half_life: float, warn: Warn) -> list[Moment]:
    """The acquisitions on the dates of the series. Dates that lie days apart were shifted unevenly or filled in; then
    the times of day must fit, since nothing else does; of an isotope that is imaged for days they tell nothing."""
    gap = _earliest(acquired) - series
    if gap < DAY:
        return acquired
    late = gap % DAY
    if late > LONGEST_DATE_ARTEFACT_GAP or isotopes.needs_day(half_life):
        raise PemmaError(
            "dates-contradict",
            "Series Date/Time (0008,0021)/(0008,0031) is over a day before Acquisition Date/Time (0008,0022)/(0008,0032)",
            "export the series with its own dates and times, or use --inputs ct",
            "(0008,0021)",
        )
    warn(
        "dates-contradict",
        "Series Date (0008,0021) is over a day before Acquisition Date (0008,0022); "
        f"their times of day fit ({minutes(late)} min) and were taken to be of one day",
        CHECK_CONSOLE,
    )
    return [moment + (late - gap) for moment in acquired]


def _without_acquisition(headers: Sequence[Dataset], series: Moment | None, warn: Warn) -> Reference:
    """The series time; if another one says that it is late, that one."""
    if series is None:
        raise PemmaError(
            "decay-reference-missing",
            "neither Series Date/Time (0008,0021)/(0008,0031) nor Acquisition "
            "Date/Time (0008,0022)/(0008,0032) is complete and possible, so the decay correction has no reference",
            "export the series with its times, or use --inputs ct",
            "(0008,0031)",
        )
    for other in _named(headers):
        if (series - other.moment).total_seconds() > DIFFERENCE_S:
            _tell_late_series(other, warn)
            return other
    warn(
        "acquisition-time-missing",
        "Acquisition Date/Time is missing; the decay correction was taken to refer to the series time",
        CHECK_CONSOLE,
    )
    return Reference(series, "SeriesDateTime")


def _tell_late_series(chosen: Reference, warn: Warn) -> None:
    warn(
        "series-time-late",
        "the series time is later than the scan, so the reference of the "
        f"decay correction was taken from {chosen.source}",
        "check the SUV against the console",
    )


def _stated(headers: Sequence[Dataset]) -> Moment | None:
    """Decay Correction DateTime, on which all slices must agree."""
    value = tags.same(headers, lambda header: tags.text(header, "DecayCorrectionDateTime"), "DecayCorrectionDateTime")
    return times.of_header(headers[0], value)


def _named(headers: Sequence[Dataset], first: Moment | None = None) -> list[Reference]:
    """What the standard's own tag and private ones of GE and Siemens state."""
    header = headers[0]
    ge = times.of_header(header, tags.private(header, 0x0009, "GEMS_PETD_01", 0x0D))
    siemens = (tags.private(header, 0x0071, creator, 0x22) for creator in ("SIEMENS MED PT", "SIEMENS"))
    named = (
        (_stated(headers), STATED),
        (ge, "GE scan DateTime (0009,100D)"),
        (times.of_header(header, next(filter(None, siemens), "")), "Siemens decay correction DateTime (0071,1022)"),
    )
    return [Reference(moment, source, first) for moment, source in named if moment is not None]


def _candidates(
    headers: Sequence[Dataset], series: Moment | None, acquired: Sequence[Moment], half_life: float
) -> list[Reference]:
    """All references that apply, best first; a stated one is neither after the first acquisition nor on an earlier
    day than a scan can take."""
    first = _earliest(acquired)
    stated = [Reference(series, "SeriesDateTime", first)] if series is not None else []
    stated += _named(headers, first)
    found = [r for r in stated if -CLOCK_TOLERANCE <= first - r.moment < DAY]
    if (computed := _back_computed(headers, acquired, half_life)) is not None:
        found.append(Reference(computed, "Frame Reference Time", first))
    return found


def _back_computed(headers: Sequence[Dataset], acquired: Sequence[Moment], half_life: float) -> Moment | None:
    """t_acq + T_ave - FRT (median); None if a time is missing, unreadable or impossible, all are 0, or the slices
    disagree by over 2 s."""
    frame_times, durations = _frame_reference_times(headers), _of_each(headers, "ActualFrameDuration")
    if frame_times is None or durations is None or not all(map(possible_duration, durations)):
        return None
    seconds = [
        (moment - acquired[0]).total_seconds() + average_time(duration / 1000, half_life) - reference / 1000
        for moment, duration, reference in zip(acquired, durations, frame_times, strict=True)
    ]
    middle = statistics.median(seconds)
    if max(abs(s - middle) for s in seconds) > AGREEMENT_S:
        return None
    return acquired[0] + timedelta(seconds=middle)


def _frame_reference_times(headers: Sequence[Dataset]) -> list[float] | None:
    """In ms; None if one is missing, unreadable or impossible, or all are 0."""
    found = _of_each(headers, "FrameReferenceTime")
    possible = found is not None and any(found) and all(t is not None and abs(t) <= LONGEST_FRAME_MS for t in found)
    return found if possible else None


def _of_each(headers: Sequence[Dataset], keyword: str) -> list[float | None] | None:
    try:
        return [tags.number(header, keyword) for header in headers]
    except PemmaError:  # other times may do
        return None


def possible_duration(duration_ms: float | None) -> bool:
    """Whether a frame can take so long: Actual Frame Duration (0018,1242) in ms."""
    return duration_ms is not None and 0 < duration_ms <= LONGEST_FRAME_MS


def average_time(duration: float, half_life: float) -> float:
    """Moment in a frame (s from its start) at which the activity equals the frame's mean (DICOM C.8.9.4.1.5)."""
    decay = math.log(2) / half_life
    return math.log(decay * duration / -math.expm1(-decay * duration)) / decay


def _tell_distance(reference: Reference, half_life: float, warn: Warn) -> None:
    """Tells of a reference that lies away from the first acquisition. Only an Enhanced PET's can be late."""
    ahead = (reference.began or reference.moment) - reference.moment
    if ahead > EARLY:
        warn(
            "decay-reference-early",
            f"the reference of the decay correction lies {minutes(ahead)} min before the first acquisition in this series",
            "normal for later bed positions; otherwise check the times",
        )
    elif -ahead.total_seconds() > DIFFERENCE_S:
        warn(
            "decay-reference-late",
            f"the reference of the decay correction lies {minutes(-ahead)} min after the first acquisition in this series; "
            f"that one as reference would {effect(ahead.total_seconds() / half_life)}",
            CHECK_CONSOLE,
        )


def _seconds(one: Reference, other: Reference) -> float:
    return abs((other.moment - one.moment).total_seconds())


def _tell_differences(chosen: Reference, others: Sequence[Reference], half_life: float, warn: Warn) -> None:
    for other in others:
        seconds = (other.moment - chosen.moment).total_seconds()
        if abs(seconds) > DIFFERENCE_S:
            warn(
                "decay-references-differ",
                f"the decay correction was taken to refer to {chosen.source}; "
                f"{other.source} would be {abs(seconds) / 60:.1f} min {'later' if seconds > 0 else 'earlier'} "
                f"and {effect(seconds / half_life)}",
                CHECK_CONSOLE,
            )


def effect(half_lives: float) -> str:
    """What so many half-lives more from injection to reference do, in words."""
    if abs(half_lives) > MOST_HALF_LIVES:
        return f"change SUV over {2**MOST_HALF_LIVES}-fold"
    return f"change SUV by {100 * (2**half_lives - 1):+.1f} %"

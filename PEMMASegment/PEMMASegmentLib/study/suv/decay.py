"""To which moment the decay correction of a PET refers (DICOM 1.3): never from a guess."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from pydicom import Dataset

from ...core import PemmaError
from .. import tags, times
from ..times import Moment
from . import isotopes, references
from .conversion import Warn
from .references import DAY, DIFFERENCE_S, LONGEST_ON_TABLE, SERIES, STATED, Reference

USUAL_UPTAKE = (timedelta(minutes=30), timedelta(minutes=180))
EARLY = timedelta(minutes=30)
LONGEST_DATE_ARTEFACT_GAP = timedelta(hours=6)
MOST_HALF_LIVES = 12  # between two moments of one examination
CHECK_CONSOLE = "check the SUV against the scanner's console"
#: when the injection was, if it is said and was before a reference: that tells a series time that came too early; with True,
#: the typed one, if any, goes before the header's
Given = Callable[[Reference, bool], Moment | None]


def corrected_to(
    headers: Sequence[Dataset], half_life: float, warn: Warn, enhanced: bool, given: Given
) -> Reference:
    """The one reference of a series with Decay Correction START (order of dicom.md 1.3). half_life in s.

    enhanced: frames of an Enhanced PET, which by definition states it; a classic one that does is checked like others.
    """
    header = headers[0]
    acquired = acquisitions(headers, warn)
    if enhanced and (stated := references.stated(headers)):
        reference = Reference(stated, STATED, references.earliest(acquired) if acquired else None, confirmed=True)
        _tell_distance(reference, half_life, warn)
        return reference
    series = times.of_pair(header, "Series")
    if acquired is None:
        return _without_acquisition(headers, series, warn, given)
    if series is not None:
        acquired = _on_one_day(series, acquired, half_life, warn)
    first = references.earliest(acquired)
    candidates = references.candidates(headers, series, acquired, half_life)
    injected = _before(given, Reference(first, "", first), candidates)
    possible = [one for one in candidates if not _too_early(one, injected)]
    early = series is not None and any(one.source == SERIES for one in candidates if one not in possible)
    if not possible and not (len(candidates) == 1 and early and _of_registration(series, injected, first)):
        possible = candidates  # the times contradict each other, which is refused with the injection
    chosen = possible[0] if possible else _assumed(first, warn)
    if chosen.source != SERIES and (possible or early):
        _tell_series(headers[0], series, early, chosen, warn)
    _tell_differences(chosen, possible[1:], half_life, warn)
    _tell_distance(chosen, half_life, warn)
    return chosen


def _assumed(first: Moment, warn: Warn) -> Reference:
    warn(
        "decay-reference-assumed",
        "no time in the header says what the decay correction refers to; the earliest acquisition time was taken",
        CHECK_CONSOLE,
    )
    return Reference(first, "earliest Acquisition DateTime", first)


def _before(given: Given, latest: Reference, candidates: Sequence[Reference]) -> Moment | None:
    """The injection before `latest`: the header's, or the typed one where by the header's a candidate came too early."""
    injected = given(latest, False)
    if any(_too_early(one, injected) for one in candidates):
        return given(latest, True) or injected
    return injected


def _too_early(reference: Reference, injected: Moment | None) -> bool:
    """Whether nothing can be corrected to it: the tracer was given later."""
    return injected is not None and reference.latest_injection - injected < timedelta()


def _of_registration(series: Moment, injected: Moment, first: Moment) -> bool:
    """Whether the series time looks emptied or like that of the patient's registration: well before an injection which the
    acquisition follows as is usual."""
    return usual_uptake(first - injected) and injected - series >= LONGEST_ON_TABLE


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
    frame_times = references.frame_reference_times(headers)
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


def usual_uptake(uptake: timedelta) -> bool:
    """Whether FDG is imaged so long after its injection: 30 to 180 min."""
    return USUAL_UPTAKE[0] <= uptake <= USUAL_UPTAKE[1]


def minutes(gap: timedelta) -> int:
    return round(gap.total_seconds() / 60)


def _on_one_day(series: Moment, acquired: list[Moment], half_life: float, warn: Warn) -> list[Moment]:
    """The acquisitions on the dates of the series. Dates that lie days apart were shifted unevenly or filled in; then
    the times of day must fit, since nothing else does; of an isotope that is imaged for days they tell nothing."""
    gap = references.earliest(acquired) - series
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


def _without_acquisition(headers: Sequence[Dataset], series: Moment | None, warn: Warn, given: Given) -> Reference:
    """The series time; if another one says that it is late or early, or if it is missing, that one."""
    named = references.named(headers)
    for other in named:
        stated = [] if series is None else [Reference(series, SERIES)]
        injected = _before(given, other, stated)
        early = any(_too_early(one, injected) for one in stated)
        if series is None or early or (series - other.moment).total_seconds() > DIFFERENCE_S:
            _tell_series(headers[0], series, early, other, warn)
            return other
    if series is None:
        raise PemmaError(
            "decay-reference-missing",
            "neither Series Date/Time (0008,0021)/(0008,0031) nor Acquisition "
            "Date/Time (0008,0022)/(0008,0032) is complete and possible, so the decay correction has no reference",
            "export the series with its dates and times, or use --inputs ct",
            tags.place(_series_lacks(headers[0])[0]),
        )
    warn(
        "acquisition-time-missing",
        "Acquisition Date/Time is missing; the decay correction was taken to refer to the series time",
        CHECK_CONSOLE,
    )
    return Reference(series, SERIES)


def _series_lacks(header: Dataset) -> list[str]:
    """Which of its date and time are missing or invalid."""
    found = {"SeriesDate": times.date, "SeriesTime": times.time_of_day}
    return [keyword for keyword, read in found.items() if read(tags.text(header, keyword)) is None]


def _tell_series(header: Dataset, series: Moment | None, early: bool, chosen: Reference, warn: Warn) -> None:
    """Tells why the reference isn't the series time."""
    if series is None:
        code, why = "series-time-missing", f"there is no valid {' and '.join(map(tags.title, _series_lacks(header)))}"
    elif early:
        code, why = "series-time-early", "the series time (0008,0031) is before the injection"
    else:
        code, why = "series-time-late", "the series time is later than the scan"
    ahead = minutes(chosen.start - chosen.moment) if early else 0
    where = f", {abs(ahead)} min {'before' if ahead > 0 else 'after'} the first acquisition" if ahead else ""
    warn(code, f"{why}, so the reference of the decay correction was taken from {chosen.source}{where}", CHECK_CONSOLE)


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

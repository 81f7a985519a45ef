"""When the tracer was given, and on which day (DICOM 1.4): never from a guess."""

from dataclasses import dataclass, replace
from datetime import time, timedelta

from pydicom import Dataset

from ...core import PemmaError
from .. import tags, times
from ..times import Moment
from ..types import Typed
from . import isotopes
from .conversion import ToBeTyped, Warn, stated_or_typed, type_it
from .decay import LONGEST_DATE_ARTEFACT_GAP, MOST_HALF_LIVES, effect, minutes, usual_uptake
from .references import DAY, SERIES, Reference

LONGEST_TIME_ONLY_GAP = timedelta(hours=12)
TYPED_PLACE = "--injection-time"
TYPE_TIME = type_it("injection time", TYPED_PLACE)
#: where a date led astray; a typed one is measured against the headers' dates, which may be shifted
TYPE_TIME_OF_DAY = type_it("injection time as HHMMSS, or with the date that the headers bear,", TYPED_PLACE)
CHECK_UPTAKE = "check the uptake time"


@dataclass(frozen=True)
class Injection:
    """When the tracer was given, the tag or option that says so, and whether it was typed.

    instead_of: a clause on the header's time that a typed one replaces, "" if it has none of use.
    """

    moment: Moment
    place: str
    typed: bool = False
    instead_of: str = ""


def injected(
    header: Dataset, item: Dataset, reference: Reference, half_life: float, typed: Typed, warn: Warn, doubted: bool
) -> Injection:
    """The injection before `reference` (or as late as that allows). Refuses a missing one, a later one, and one over 12
    half-lives before.

    A typed time counts where the header has none, or one that can't be right or that is doubted, also by the caller.
    """

    def stated(tell: Warn) -> Injection:
        return _checked(_from_header(header, item, reference, half_life, tell), reference, half_life, tell)

    def given(tell: Warn, instead: Injection | None) -> Injection:
        found = _from_typed(typed.injection_time, reference, half_life, tell)
        found = replace(found, instead_of=_instead_of(instead, found, half_life))
        return _checked(found, reference, half_life, tell)

    return stated_or_typed(stated, None if typed.injection_time is None else given, warn, doubted)


def _instead_of(stated: Injection | None, typed: Injection, half_life: float) -> str:
    if stated is None:
        return ""
    earlier = (typed.moment - stated.moment).total_seconds()
    apart = f"{abs(earlier) / 60:.1f} min {'later' if earlier < 0 else 'earlier'}"
    return f"the header's {stated.place} is {apart} and would {effect(earlier / half_life)}"


def _from_header(header: Dataset, item: Dataset, reference: Reference, half_life: float, warn: Warn) -> Injection:
    latest = reference.latest_injection
    day_time = times.time_of_day(tags.text(item, "RadiopharmaceuticalStartTime"))
    if moment := times.of_header(header, tags.text(item, "RadiopharmaceuticalStartDateTime")):
        found = Injection(moment, "(0018,1078)")
    elif day_time is not None:
        day = Moment(times.midnight(latest.local), times.zone(header))
        found = Injection(day + day_time, "(0018,1072)")
    else:
        found = Injection(_of_ge(header, warn), "(0009,103B)")
    differ = _differ(found.moment, day_time)
    if found.moment.local.time() == time(0) and half_life < isotopes.DAY_NEEDED[1]:  # phantoms that last are told by their day
        _refuse_emptied(found, differ, latest)
    if differ:
        warn(
            "injection-times-differ",
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) differ; the first was used",
            CHECK_UPTAKE,
        )
    if (found.moment.zone is None) != (latest.zone is None):
        warn(
            "time-zone-one-sided",
            f"of the injection time {found.place} and the time that the PET is corrected to only one has a time zone; "
            "both were read as the same local time",
            CHECK_UPTAKE,
        )
    if found.place == "(0018,1072)":
        return _before_midnight(found, reference, half_life, warn)
    return _after_date_shift(found, latest, half_life, warn)


def _of_ge(header: Dataset, warn: Warn) -> Moment:
    moment = times.of_header(header, tags.private(header, 0x0009, "GEMS_PETD_01", 0x3B))
    if moment is None:
        raise ToBeTyped(
            "injection-time-missing",
            "Radiopharmaceutical Start DateTime (0018,1078) and Start Time (0018,1072) are missing or invalid",
            TYPE_TIME,
            "(0018,1078)",
        )
    warn(
        "injection-time-private",
        "the injection time was taken from GE's administration DateTime "
        "(0009,103B), since (0018,1078) and (0018,1072) are missing",
        CHECK_UPTAKE,
    )
    return moment


def _differ(moment: Moment, day_time: timedelta | None) -> bool:
    return day_time is not None and abs(moment.local - times.midnight(moment.local) - day_time) > timedelta(minutes=1)


def _refuse_emptied(found: Injection, differ: bool, reference: Moment) -> None:
    """Refuses 00:00:00 sharp where it is what de-identification leaves of a time: beside another time, or with an uptake that
    nobody waits for."""
    if differ or not usual_uptake(reference - found.moment):
        against = "Start Time (0018,1072) says another one" if differ else "no usual uptake time fits it"
        raise ToBeTyped(
            "injection-time-emptied",
            f"the injection's time of day {found.place} is 00:00:00 and looks emptied, since {against}",
            TYPE_TIME,
            found.place,
        )


def _after_date_shift(found: Injection, reference: Moment, half_life: float, warn: Warn) -> Injection:
    """An injection later than the scan, on another day: its date may be an artefact of de-identification."""
    gap = reference - found.moment
    same_day = found.moment.on(reference.zone).local.date() == reference.local.date()
    if gap >= timedelta(0) or same_day or gap % DAY > LONGEST_DATE_ARTEFACT_GAP or isotopes.needs_day(half_life):
        return found
    warn(
        "injection-date-ignored",
        f"the injection's date {found.place} is after the scan; its time of day "
        f"fits ({minutes(gap % DAY)} min before) and was used",
        CHECK_UPTAKE,
    )
    return replace(found, moment=reference + -(gap % DAY))


def _before_midnight(found: Injection, reference: Reference, half_life: float, warn: Warn) -> Injection:
    """A time of day on the day of the reference, or on the day before if it would be after that and the scan as well."""
    latest = reference.latest_injection
    if isotopes.needs_day(half_life):
        warn(
            "injection-date-assumed",
            f"the injection's time {found.place} has no date; the day of the scan was assumed, but with a half-life of "
            f"{half_life / 3600:.0f} h the tracer may have been given days before, and SUV would then be too low",
            "check it; if it was another day, give it as YYYYMMDDHHMMSS with --injection-time",
        )
    if latest - found.moment < timedelta(0) and reference.start - found.moment < timedelta(0):
        found = replace(found, moment=found.moment + -DAY)
        warn(
            "injection-before-midnight",
            "the injection's time has no date; the day before the scan was assumed",
            CHECK_UPTAKE,
        )
    if latest - found.moment > LONGEST_TIME_ONLY_GAP:
        raise ToBeTyped(
            "injection-date-unknown",
            "the injection's time has no date, and on the day of the scan or the "
            "day before it is more than 12 h from it",
            TYPE_TIME,
            found.place,
        )
    return found


def _from_typed(value: str, reference: Reference, half_life: float, warn: Warn) -> Injection:
    latest = reference.latest_injection
    moment, day_time = times.date_time(value), times.time_of_day(value)
    if len(value) == 14 and moment:
        return Injection(Moment(moment.local, latest.zone), TYPED_PLACE, typed=True)
    if len(value) != 6 or day_time is None:
        raise PemmaError(
            "typed-time-invalid",
            "the typed injection time is neither HHMMSS nor YYYYMMDDHHMMSS",
            "type it as HHMMSS",
            TYPED_PLACE,
        )
    found = Injection(Moment(times.midnight(latest.local) + day_time, latest.zone), TYPED_PLACE, typed=True)
    return _before_midnight(found, reference, half_life, warn)


def _checked(found: Injection, reference: Reference, half_life: float, warn: Warn) -> Injection:
    _check_gap(found, reference, half_life, warn)
    uptake = reference.start - found.moment
    if isotopes.fits(half_life, "F-18") and not usual_uptake(uptake):
        warn(
            "uptake-unusual",
            f"the uptake time is {minutes(uptake)} min, outside 30 to 180 min",
            "check the injection time",
        )
    return found


def _check_gap(found: Injection, reference: Reference, half_life: float, warn: Warn) -> None:
    gap = reference.moment - found.moment
    if reference.latest_injection - found.moment < timedelta(0):
        raise _after_scan(found, reference)
    if gap < timedelta(0):
        warn(
            "injection-after-reference",
            f"the PET is corrected to {-gap.total_seconds():.0f} s before the injection, as a scan that began with it may be",
            CHECK_UPTAKE,
        )
    if gap.total_seconds() > MOST_HALF_LIVES * half_life:
        raise ToBeTyped(
            "injection-too-early",
            f"the injection is more than {MOST_HALF_LIVES} half-lives before the scan",
            TYPE_TIME_OF_DAY,
            found.place,
        )


def _after_scan(found: Injection, reference: Reference) -> ToBeTyped:
    sentence = f"the injection is {minutes(found.moment - reference.moment)} min after the moment that the PET is corrected to"
    if reference.source != SERIES or reference.began is None or reference.start - found.moment < timedelta(0):
        return ToBeTyped("injection-after-scan", sentence, TYPE_TIME_OF_DAY, found.place)
    return ToBeTyped(
        "injection-after-scan",
        f"{sentence}, the series time (0008,0031), but before the first acquisition: the injection {found.place} or the "
        "series time is wrong",
        f"export the series with its own Series Time, or {TYPE_TIME_OF_DAY}",
        "(0008,0031)",
    )

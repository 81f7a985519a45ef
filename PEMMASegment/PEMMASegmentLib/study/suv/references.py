"""The moments of a PET's headers that its decay correction may refer to, and what they are worth (DICOM 1.3)."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from pydicom import Dataset

from ...core import PemmaError
from .. import tags, times
from ..times import Moment

DAY = timedelta(days=1)
CLOCK_TOLERANCE = timedelta(seconds=1)  # a real header has the series 5 microseconds after the acquisition
LONGEST_ON_TABLE = timedelta(minutes=5)  # from the start of a scan to an injection on the scanner's table
LONGEST_FRAME_MS = DAY / timedelta(milliseconds=1)
AGREEMENT_S = 2.0
DIFFERENCE_S = 60.0
SERIES = "SeriesDateTime"
STATED = "Decay Correction DateTime"


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


def seconds_between(one: Reference, other: Reference) -> float:
    return abs((other.moment - one.moment).total_seconds())


def earliest(acquired: Sequence[Moment]) -> Moment:
    return min(acquired, key=lambda moment: moment.local)


def stated(headers: Sequence[Dataset]) -> Moment | None:
    """Decay Correction DateTime, on which all slices must agree."""
    value = tags.same(headers, lambda header: tags.text(header, "DecayCorrectionDateTime"), "DecayCorrectionDateTime")
    return times.of_header(headers[0], value)


def named(headers: Sequence[Dataset], first: Moment | None = None) -> list[Reference]:
    """What the standard's own tag and private ones of GE and Siemens state."""
    header = headers[0]
    ge = times.of_header(header, tags.private(header, 0x0009, "GEMS_PETD_01", 0x0D))
    siemens = (tags.private(header, 0x0071, creator, 0x22) for creator in ("SIEMENS MED PT", "SIEMENS"))
    named = (
        (stated(headers), STATED),
        (ge, "GE scan DateTime (0009,100D)"),
        (times.of_header(header, next(filter(None, siemens), "")), "Siemens decay correction DateTime (0071,1022)"),
    )
    return [Reference(moment, source, first) for moment, source in named if moment is not None]


def candidates(
    headers: Sequence[Dataset], series: Moment | None, acquired: Sequence[Moment], half_life: float
) -> list[Reference]:
    """All references that apply, best first; a stated one is neither after the first acquisition nor on an earlier
    day than a scan can take."""
    first = earliest(acquired)
    stated = [Reference(series, SERIES, first)] if series is not None else []
    stated += named(headers, first)
    found = [r for r in stated if -CLOCK_TOLERANCE <= first - r.moment < DAY]
    if (computed := _back_computed(headers, acquired, half_life)) is not None:
        found.append(Reference(computed, "Frame Reference Time", first))
    near = [sum(seconds_between(one, other) <= DIFFERENCE_S for other in found) for one in found]  # itself counted
    return [replace(one, confirmed=count > 1) for one, count in zip(found, near, strict=True)]


def _back_computed(headers: Sequence[Dataset], acquired: Sequence[Moment], half_life: float) -> Moment | None:
    """t_acq + T_ave - FRT (median); None if a time is missing, unreadable or impossible, all are 0, or the slices
    disagree by over 2 s."""
    frame_times, durations = frame_reference_times(headers), _of_each(headers, "ActualFrameDuration")
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


def frame_reference_times(headers: Sequence[Dataset]) -> list[float] | None:
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

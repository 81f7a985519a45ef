"""From Bq/ml to SUVbw by Decay Correction ADMIN, START or NONE (DICOM 1.2 to 1.6)."""

import math
from dataclasses import replace

import numpy as np
from pydicom import Dataset

from ...core import PemmaError
from .. import tags, times
from . import decay, injection, quantities, references, undated
from .conversion import NOT_SUV, USE_CT, Conversion, all_of
from .references import Reference

#: warnings of what was concluded from the header's injection time
DOUBT_INJECTION = ("dates-missing", "series-time-early")


def factors(work: Conversion, words: str) -> np.ndarray:
    """Factors from Bq/ml, by Decay Correction."""
    work.words.append(words)
    correction = work.same("DecayCorrection")
    if correction not in ("START", "ADMIN", "NONE"):
        flag = "DecayCorrected" if work.enhanced else "DecayCorrection"
        state = "missing" if not tags.text(work.first, flag) else "unknown"
        raise PemmaError("decay-correction", f"{tags.title(flag)} is {state}", NOT_SUV, tags.place(flag))
    work.words.append(f"decay {correction}")
    _check_decay_flag(work, correction)
    item = quantities.radiopharmaceutical(work)
    kilograms, dose, growth = all_of(
        lambda: quantities.weight(work), lambda: quantities.dose(work, item), lambda: _growth(work, item, correction)
    )
    return np.full(len(work.headers), 1000 * kilograms / dose) * growth  # g / Bq


def _growth(work: Conversion, item: Dataset, correction: str) -> float | np.ndarray:
    """Activity at the injection per activity that the slices give: one number, or with NONE one for each slice (n,)."""
    if correction == "ADMIN":
        return 1.0
    half_life = quantities.half_life(work, item)
    headers, typed_time = undated.of_one_day(work.headers, item, half_life, work.typed.injection_time, work.warn)
    work = replace(work, headers=headers, typed=replace(work.typed, injection_time=typed_time))  # words go to the same lists
    return (_decay_of_frames if correction == "NONE" else _decay_to_reference)(work, item, half_life)


def _check_decay_flag(work: Conversion, correction: str) -> None:
    """Where the two say different things, Decay Correction (type 1) is followed, and the contradiction told."""
    flagged = "DECY" in [c.upper() for c in tags.texts(work.first, "CorrectedImage")]
    if flagged == (correction == "NONE"):
        work.warn(
            "decay-flag-contradiction",
            f"Decay Correction (0054,1102) is {correction} and Corrected Image (0028,0051) "
            f"{'names' if flagged else 'lacks'} DECY; the first was followed",
            decay.CHECK_CONSOLE,
        )


def _decay_to_reference(work: Conversion, item: Dataset, half_life: float) -> float:
    """D_adm / D_ref of Decay Correction START."""
    if work.enhanced and not times.date_time(tags.text(work.first, "DecayCorrectionDateTime")):
        raise PemmaError(
            "decay-reference-missing",
            "Decay Correction DateTime (0018,9701) is missing or invalid",
            NOT_SUV,
            "(0018,9701)",
        )

    def given(reference: Reference, doubted: bool) -> times.Moment | None:
        doubted = doubted or _doubted(work)
        try:
            return injection.injected(work.first, item, reference, half_life, work.typed, lambda *_: None, doubted).moment
        except PemmaError:  # refused where it is needed
            return None

    reference = decay.corrected_to(work.headers, half_life, work.warn, work.enhanced, given)
    injected = _injected(work, item, reference, half_life)
    return 2 ** ((reference.moment - injected).total_seconds() / half_life)


def _doubted(work: Conversion) -> bool:
    """Whether a typed injection time goes before the header's."""
    return work.doubted or any(warning.code in DOUBT_INJECTION for warning in work.warnings)


def _injected(work: Conversion, item: Dataset, reference: Reference, half_life: float) -> times.Moment:
    """The injection; it and the reference go into the route."""
    work.options.append(injection.TYPED_PLACE)
    found = injection.injected(work.first, item, reference, half_life, work.typed, work.warn, _doubted(work))
    if found.typed:
        work.flag_typed("injection time", found.instead_of)
    work.words.append(f"reference {reference.source}")
    work.words.append(f"uptake {decay.minutes(reference.start - found.moment)} min")
    return found.moment


def _decay_of_frames(work: Conversion, item: Dataset, half_life: float) -> np.ndarray:
    """(n,) of Decay Correction NONE: each slice by its own acquisition and duration."""
    acquired = decay.acquisitions(work.headers, work.warn)
    durations = [tags.number(header, "ActualFrameDuration") for header in work.headers]
    if acquired is None:
        raise _frame_times_missing("FrameAcquisitionDateTime" if work.enhanced else "AcquisitionTime")
    if not all(map(references.possible_duration, durations)):
        raise _frame_times_missing("FrameAcquisitionDuration" if work.enhanced else "ActualFrameDuration")
    acquired = decay.beds_apart(work.headers, acquired, half_life, work.warn)
    first = references.earliest(acquired)
    gaps = np.array([(moment - first).total_seconds() for moment in acquired])
    if gaps.max() > decay.MOST_HALF_LIVES * half_life:
        raise PemmaError(
            "frame-times-impossible",
            f"the slices were acquired more than {decay.MOST_HALF_LIVES} half-lives apart (Acquisition Date/Time (0008,0032))",
            USE_CT,
            "(0008,0032)",
        )
    reference = Reference(first, "each slice's acquisition time", first)
    gaps += (first - _injected(work, item, reference, half_life)).total_seconds()
    rate = math.log(2) / half_life
    frames = rate * np.array(durations) / 1000
    return frames / -np.expm1(-frames) * np.exp(rate * gaps)


def _frame_times_missing(keyword: str) -> PemmaError:
    return PemmaError(
        "frame-times-missing",
        f"there is no decay correction, and {tags.title(keyword)} is missing or impossible",
        USE_CT,
        tags.place(keyword),
    )

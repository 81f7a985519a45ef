"""From Bq/ml to SUVbw by Decay Correction ADMIN, START or NONE (DICOM 1.2 to 1.6)."""

import math
from datetime import datetime

import numpy as np
from pydicom import Dataset

from ..core import PemmaError
from . import decay, isotopes, quantities, tags, times
from .conversion import NOT_SUV, USE_CT, Conversion

USUAL_UPTAKE_MIN = (30.0, 180.0)


def factors(work: Conversion, words: str) -> np.ndarray:
    """Factors from Bq/ml, by Decay Correction."""
    work.words.append(words)
    correction = work.same("DecayCorrection")
    if correction not in ("START", "ADMIN", "NONE"):
        state = "missing" if not correction else "unknown"
        raise PemmaError("decay-correction", f"Decay Correction (0054,1102) is {state}", NOT_SUV, "(0054,1102)")
    work.words.append(f"decay {correction}")
    _check_decay_flag(work, correction)
    item = quantities.radiopharmaceutical(work)
    weight, dose = 1000 * quantities.weight(work), quantities.dose(work, item)  # g, Bq
    if correction == "ADMIN":
        return np.full(len(work.headers), weight / dose)
    half_life = quantities.half_life(work, item)
    if correction == "NONE":
        return weight / dose * _decay_of_frames(work, item, half_life)
    return np.full(len(work.headers), weight / dose * _decay_to_reference(work, item, half_life))


def _check_decay_flag(work: Conversion, correction: str) -> None:
    """Where the two say different things, Decay Correction (type 1) is followed, and the contradiction told."""
    flagged = "DECY" in [c.upper() for c in tags.texts(work.first, "CorrectedImage")]
    if flagged == (correction == "NONE"):
        work.warn(
            "decay-flag-contradiction",
            f"Decay Correction (0054,1102) is {correction} and Corrected Image (0028,0051) "
            f"{'names' if flagged else 'lacks'} DECY; the first was followed",
            "check the SUV against the scanner's console",
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
    reference = decay.corrected_to(work.headers, half_life, work.warn)
    injection = _injection(work, item, reference, half_life)
    work.words.append(f"reference {reference.source}")
    _tell_uptake(work, injection, reference.moment, half_life)
    return 2 ** ((reference.moment - injection.moment).total_seconds() / half_life)


def _injection(work: Conversion, item: Dataset, reference: decay.Reference, half_life: float) -> decay.Injection:
    injection = decay.injected(work.first, item, reference, half_life, work.typed, work.warn)
    if injection.typed:
        work.flag_typed("injection time")
    return injection


def _decay_of_frames(work: Conversion, item: Dataset, half_life: float) -> np.ndarray:
    """(n,) of Decay Correction NONE: each slice by its own acquisition and duration."""
    acquired = times.acquisitions(work.headers)
    durations = [tags.number(header, "ActualFrameDuration") for header in work.headers]
    if acquired is None or not all(d is not None and d > 0 for d in durations):
        raise PemmaError(
            "frame-times-missing",
            "Decay Correction is NONE, and Acquisition Date/Time (0008,0032) or Actual "
            "Frame Duration (0018,1242) is missing",
            USE_CT,
            "(0018,1242)",
        )
    first = decay.Reference(min(acquired), "each slice's acquisition time", decay.zone_of(work.first))
    injection = _injection(work, item, first, half_life)
    work.words.append(f"reference {first.source}")
    _tell_uptake(work, injection, first.moment, half_life)
    rate = math.log(2) / half_life
    gaps = np.array([(moment - injection.moment).total_seconds() for moment in acquired])
    frames = rate * np.array(durations) / 1000
    return frames / -np.expm1(-frames) * np.exp(rate * gaps)


def _tell_uptake(work: Conversion, injection: decay.Injection, reference: datetime, half_life: float) -> None:
    began = times.acquisitions(work.headers)
    minutes = ((min(began) if began else reference) - injection.moment).total_seconds() / 60
    work.words.append(f"uptake {minutes:.0f} min")
    if isotopes.fits(half_life, "F-18") and not USUAL_UPTAKE_MIN[0] <= minutes <= USUAL_UPTAKE_MIN[1]:
        work.warn(
            "uptake-unusual",
            f"the uptake time is {minutes:.0f} min, outside 30 to 180 min",
            "check the injection time",
        )

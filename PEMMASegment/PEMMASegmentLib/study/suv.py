"""From rescaled PET values to SUVbw: the factor of each slice and the route that led to it (DICOM 1.1 to 1.9).

Everything is decided on headers. What a header lacks is refused or filled from typed values, never from a default.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset

from ..core import PemmaError
from . import bodysize, decay, isotopes, tags, times
from .types import StudyWarning, Suv, Typed

USE_CT = "use --inputs ct, or choose another series with --pet-series"
NOT_SUV = "choose a PET series in Bq/ml or SUV with --pet-series, or use --inputs ct"
DOSE_BQ = (1e6, 5e9)
DOSE_MBQ = (1.0, 5000.0)
WEIGHT_KG = (2.0, 400.0)
HEIGHT_M = (0.3, 2.5)
USUAL_UPTAKE_MIN = (30.0, 180.0)
PHILIPS = (0x7053, "Philips PET Private Group")


@dataclass(frozen=True)
class Plan:
    """factors: SUVbw per rescaled unit, one for each slice (n,); summary: what the study keeps of it."""

    factors: np.ndarray
    summary: Suv
    warnings: tuple[StudyWarning, ...]


@dataclass
class _Work:
    """One conversion in progress: the slices' headers, typed values, and what was found on the way."""

    headers: Sequence[Dataset]
    typed: Typed
    enhanced: bool
    words: list[str] = field(default_factory=list)
    warnings: list[StudyWarning] = field(default_factory=list)
    used: list[str] = field(default_factory=list)

    @property
    def first(self) -> Dataset:
        return self.headers[0]

    def warn(self, code: str, sentence: str, way_out: str = "") -> None:
        warning = StudyWarning(code, sentence, way_out)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def same(self, keyword: str) -> str:
        """A text that all slices agree on, upper case."""
        return tags.same(self.headers, lambda header: tags.text(header, keyword).upper(), keyword)


def plan(headers: Sequence[Dataset], typed: Typed = Typed(), enhanced: bool = False) -> Plan:
    """How this PET series becomes SUVbw. headers: of all its slices, in order; enhanced: frames of an Enhanced PET.

    Refuses with the tag that stands in the way.
    """
    work = _Work(headers, typed, enhanced)
    _check_acquisition(work)
    _check_corrections(work)
    factors = _by_units(work)
    _tell_tracer(work)
    _tell_unused(work)
    factor = float(factors[0]) if np.allclose(factors, factors[0], rtol=1e-9) else None
    words = work.words + [f"{name} typed" for name in work.used]
    return Plan(factors, Suv(", ".join(words), factor, tuple(work.used)), tuple(work.warnings))


def _check_acquisition(work: _Work) -> None:
    kind = tags.same(work.headers, lambda header: tags.texts(header, "SeriesType"), "SeriesType")
    first, second = (*[k.upper() for k in kind], "", "")[:2]
    if second == "REPROJECTION":
        raise PemmaError(
            "pet-reprojection", "the PET series is a reprojection (MIP), not a volume", USE_CT, "(0054,1000)"
        )
    if first not in ("", "STATIC", "WHOLE BODY", "WHOLEBODY"):
        name = first.lower() if first in ("DYNAMIC", "GATED") else "unknown"
        raise PemmaError(
            "pet-series-type", f"the PET series is {name} (Series Type (0054,1000)), not static", USE_CT, "(0054,1000)"
        )


def _check_corrections(work: _Work) -> None:
    corrections = {c.upper() for header in work.headers for c in tags.texts(header, "CorrectedImage")}
    everywhere = all("ATTN" in [c.upper() for c in tags.texts(header, "CorrectedImage")] for header in work.headers)
    method = work.same("AttenuationCorrectionMethod")
    if not corrections and method not in ("", "NONE"):
        work.warn(
            "corrections-unknown",
            "Corrected Image (0028,0051) is missing; the attenuation correction is only told by its method (0054,1101)",
            "check that this is the corrected series",
        )
    elif not everywhere:
        raise PemmaError(
            "pet-not-attenuation-corrected",
            "the PET is not attenuation corrected (no ATTN in Corrected Image (0028,0051))",
            USE_CT,
            "(0028,0051)",
        )


def _by_units(work: _Work) -> np.ndarray:
    units = work.same("Units")
    if units == "BQML":
        return _from_activity(work, "BQML")
    if units == "GML":
        return _from_suv(work, units, work.same("SUVType") or "BW", ("BW", *bodysize.MASSES))
    if units == "CM2ML":
        return _from_suv(work, units, work.same("SUVType") or "BSA", ("BSA",))
    if units == "CNTS":
        return _from_counts(work)
    if work.enhanced and not units:
        raise PemmaError(
            "pet-units", "the PET has no Real World Value Mapping (0040,9096) in Bq/ml or SUV", NOT_SUV, "(0040,9096)"
        )
    named = f"has Units {units}" if units in _KNOWN_UNITS else "has unknown Units" if units else "lacks Units"
    raise PemmaError(
        "pet-units", f"the PET {named} (0054,1001), which can't be converted to SUV", NOT_SUV, "(0054,1001)"
    )


_KNOWN_UNITS = {
    "CPS",
    "PROPCPS",
    "PROPCNTS",
    "NONE",
    "PCNT",
    "1CM",
    "STDDEV",
    "MGMINML",
    "UMOLMINML",
    "MLMING",
    "MLG",
    "UMOLML",
    "MLML",
    "MLMINML",
    "CM2",
}


def _from_suv(work: _Work, units: str, kind: str, allowed: Sequence[str]) -> np.ndarray:
    if kind not in allowed:
        raise PemmaError("suv-type", f"SUV Type (0054,1006) does not fit Units {units}", NOT_SUV, "(0054,1006)")
    work.words += [units, f"SUV type {kind}"]
    if kind == "BW":
        return np.ones(len(work.headers))
    body = bodysize.Body(_weight(work), _height(work), _sex(work))
    factor = bodysize.factor_to_body_weight(kind, body)
    work.warn(
        "suv-kind-converted",
        f"the PET is in SUV by {kind} and was converted to body weight",
        "compare with a series in SUV by body weight if there is one",
    )
    work.words.append("converted to body weight")
    return np.full(len(work.headers), factor)


def _from_counts(work: _Work) -> np.ndarray:
    to_suv, to_activity = (_philips_factor(work, element) for element in (0x00, 0x09))
    if to_suv:
        work.words += ["CNTS", "Philips SUV scale factor (7053,1000)"]
        return np.full(len(work.headers), to_suv)
    if to_activity:
        return to_activity * _from_activity(work, "CNTS, Philips activity concentration factor (7053,1009)")
    raise PemmaError(
        "pet-counts-without-factor",
        "the PET is in counts (Units CNTS (0054,1001)) and has no Philips scale factor (7053,1000) or (7053,1009)",
        NOT_SUV,
        "(7053,1000)",
    )


def _philips_factor(work: _Work, element: int) -> float:
    """The factor, 0 if absent or 0."""
    place = f"(7053,10{element:02X})"
    found = {tags.private(header, *PHILIPS, element) for header in work.headers}
    try:
        factor = float(found.pop() or 0) if len(found) == 1 else math.nan
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor >= 0):
        raise PemmaError("pet-factor", f"the Philips scale factor {place} is not one positive number", NOT_SUV, place)
    return factor


def _from_activity(work: _Work, words: str) -> np.ndarray:
    """Factors from Bq/ml, by Decay Correction."""
    work.words.append(words)
    correction = work.same("DecayCorrection")
    if correction not in ("START", "ADMIN", "NONE"):
        state = "missing" if not correction else "unknown"
        raise PemmaError("decay-correction", f"Decay Correction (0054,1102) is {state}", NOT_SUV, "(0054,1102)")
    work.words.append(f"decay {correction}")
    _check_decay_flag(work, correction)
    item = _radiopharmaceutical(work)
    weight, dose = 1000 * _weight(work), _dose(work, item)  # g, Bq
    if correction == "ADMIN":
        return np.full(len(work.headers), weight / dose)
    half_life = _half_life(work, item)
    if correction == "NONE":
        return weight / dose * _decay_of_frames(work, item, half_life)
    return np.full(len(work.headers), weight / dose * _decay_to_reference(work, item, half_life))


def _check_decay_flag(work: _Work, correction: str) -> None:
    """Where the two say different things, Decay Correction (type 1) is followed, and the contradiction told."""
    flagged = "DECY" in [c.upper() for c in tags.texts(work.first, "CorrectedImage")]
    if flagged == (correction == "NONE"):
        work.warn(
            "decay-flag-contradiction",
            f"Decay Correction (0054,1102) is {correction} and Corrected Image (0028,0051) "
            f"{'names' if flagged else 'lacks'} DECY; the first was followed",
            "check the SUV against the scanner's console",
        )


def _radiopharmaceutical(work: _Work) -> Dataset:
    """The one item that describes the tracer; all slices must agree on its figures."""
    keys = (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
    )

    def figures(header: Dataset) -> tuple:
        found = tags.items(header, "RadiopharmaceuticalInformationSequence")
        return tuple(tuple(tags.texts(item, key) for key in keys) for item in found)

    tags.same(work.headers, figures, "RadiopharmaceuticalInformationSequence")
    found = tags.items(work.first, "RadiopharmaceuticalInformationSequence")
    if len(found) > 1:
        found = [i for i in found if tags.texts(i, keys[0]) and (tags.texts(i, keys[2]) or tags.texts(i, keys[3]))]
        if len(found) != 1:
            raise PemmaError(
                "two-radiopharmaceuticals",
                "Radiopharmaceutical Information Sequence (0054,0016) describes more than one radiopharmaceutical",
                USE_CT,
                "(0054,0016)",
            )
    return found[0] if found else Dataset()


def _dose(work: _Work, item: Dataset) -> float:
    """Administered activity in Bq. Enhanced PET gives MBq by definition, classic PET Bq."""
    try:
        stated = tags.number(item, "RadionuclideTotalDose")
        if not stated:
            raise PemmaError(
                "dose-missing",
                "Radionuclide Total Dose (0018,1074) is missing or 0",
                "give it with --dose-bq, or use --inputs ct",
                "(0018,1074)",
            )
        return _dose_in_bq(work, stated)
    except PemmaError:
        if work.typed.dose_bq is None:
            raise
    return _use_typed(work, "dose", work.typed.dose_bq, DOSE_BQ, "--dose-bq")


def _dose_in_bq(work: _Work, stated: float) -> float:
    in_mbq, in_bq = DOSE_MBQ[0] <= stated <= DOSE_MBQ[1], DOSE_BQ[0] <= stated <= DOSE_BQ[1]
    if not (in_mbq or in_bq):
        raise PemmaError(
            "dose-implausible",
            "Radionuclide Total Dose (0018,1074) is no possible dose in Bq",
            "give it with --dose-bq, or use --inputs ct",
            "(0018,1074)",
        )
    if in_mbq != work.enhanced:
        taken, usual = ("MBq", "Bq") if in_mbq else ("Bq", "MBq")
        work.warn(
            "dose-unit",
            f"Radionuclide Total Dose (0018,1074) was taken as {taken}, since it is no possible dose in {usual}",
            "check the dose",
        )
    return stated * 1e6 if in_mbq else stated


def _weight(work: _Work) -> float:
    """Body weight in kg."""
    try:
        stated = tags.same(work.headers, lambda header: tags.number(header, "PatientWeight"), "PatientWeight")
        if not stated:
            raise PemmaError(
                "weight-missing",
                "Patient's Weight (0010,1030) is missing or 0",
                "give it with --weight-kg, or use --inputs ct",
                "(0010,1030)",
            )
        if stated > 1000:
            stated /= 1000
            work.warn(
                "weight-unit",
                "Patient's Weight (0010,1030) was taken as grams, since it is over 1000",
                "check the weight",
            )
        if not WEIGHT_KG[0] <= stated < WEIGHT_KG[1]:
            raise PemmaError(
                "weight-implausible",
                "Patient's Weight (0010,1030) is no possible weight in kg",
                "give it with --weight-kg, or use --inputs ct",
                "(0010,1030)",
            )
        return stated
    except PemmaError:
        if work.typed.weight_kg is None:
            raise
    return _use_typed(work, "weight", work.typed.weight_kg, WEIGHT_KG, "--weight-kg")


def _height(work: _Work) -> float:
    """Height in m."""
    try:
        stated = tags.same(work.headers, lambda header: tags.number(header, "PatientSize"), "PatientSize")
        if not stated or not HEIGHT_M[0] <= stated <= HEIGHT_M[1]:
            raise PemmaError(
                "height-missing",
                "Patient's Size (0010,1020) is missing or no possible height in m, and the SUV type needs it",
                "give it with --height-m, or use --inputs ct",
                "(0010,1020)",
            )
        return stated
    except PemmaError:
        if work.typed.height_m is None:
            raise
    return _use_typed(work, "height", work.typed.height_m, HEIGHT_M, "--height-m")


def _sex(work: _Work) -> str:
    sex = work.same("PatientSex")
    if sex not in ("M", "F", "O"):
        raise PemmaError(
            "sex-missing",
            "Patient's Sex (0010,0040) is missing or unknown, and the SUV type needs it",
            NOT_SUV,
            "(0010,0040)",
        )
    return sex


def _use_typed(work: _Work, name: str, value: float, limits: tuple[float, float], option: str) -> float:
    if not (math.isfinite(value) and limits[0] <= value <= limits[1]):
        raise PemmaError(
            "typed-value-implausible",
            f"the typed {name} is outside {limits[0]:g} to {limits[1]:g}",
            "type a possible value",
            option,
        )
    _flag_typed(work, name)
    return value


def _flag_typed(work: _Work, name: str) -> None:
    work.used.append(name)
    work.warn(
        "typed-value",
        f"the {name} was typed in by the user; the header gives none that can be used",
        "check it against the record",
    )


def _half_life(work: _Work, item: Dataset) -> float:
    """Half-life in s, from the header or, if absent, from the isotope's code. Refuses one that no such isotope has."""
    stated, named = tags.number(item, "RadionuclideHalfLife"), isotopes.named(item)
    if stated is None:
        return _half_life_of_code(work, named)
    allowed = named or list(isotopes.HALF_LIFE_S)
    if stated <= 0 or not any(isotopes.fits(stated, isotope) for isotope in allowed):
        whose = " or ".join(named) or "a PET isotope"
        raise PemmaError(
            "half-life-wrong",
            f"Radionuclide Half Life (0018,1075) is not that of {whose} in seconds",
            USE_CT,
            "(0018,1075)",
        )
    if len(named) > 1:
        work.warn(
            "isotope-contradiction",
            "Radionuclide Code Sequence (0054,0300) names two isotopes; the stated "
            "half-life fits one of them and was used",
            "check the isotope",
        )
    return stated


def _half_life_of_code(work: _Work, named: list[str]) -> float:
    if len(named) != 1:
        raise PemmaError(
            "half-life-missing",
            "Radionuclide Half Life (0018,1075) is missing and no code names one isotope",
            USE_CT,
            "(0018,1075)",
        )
    work.warn(
        "half-life-from-code",
        f"Radionuclide Half Life (0018,1075) is missing; that of {named[0]} was "
        "taken, which Radionuclide Code Sequence names",
        "check the isotope",
    )
    return isotopes.HALF_LIFE_S[named[0]]


def _decay_to_reference(work: _Work, item: Dataset, half_life: float) -> float:
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


def _injection(work: _Work, item: Dataset, reference: decay.Reference, half_life: float) -> decay.Injection:
    injection = decay.injected(work.first, item, reference, half_life, work.typed, work.warn)
    if injection.typed:
        _flag_typed(work, "injection time")
    return injection


def _decay_of_frames(work: _Work, item: Dataset, half_life: float) -> np.ndarray:
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


def _tell_uptake(work: _Work, injection: decay.Injection, reference, half_life: float) -> None:
    began = times.acquisitions(work.headers)
    minutes = ((min(began) if began else reference) - injection.moment).total_seconds() / 60
    work.words.append(f"uptake {minutes:.0f} min")
    if isotopes.fits(half_life, "F-18") and not USUAL_UPTAKE_MIN[0] <= minutes <= USUAL_UPTAKE_MIN[1]:
        work.warn(
            "uptake-unusual",
            f"the uptake time is {minutes:.0f} min, outside 30 to 180 min",
            "check the injection time",
        )


def _tell_unused(work: _Work) -> None:
    typed = {
        "weight": work.typed.weight_kg,
        "height": work.typed.height_m,
        "dose": work.typed.dose_bq,
        "injection time": work.typed.injection_time,
    }
    for name, value in typed.items():
        if value is not None and name not in work.used:
            work.warn(
                "typed-value-unused",
                f"the typed {name} was not used: the header has its own, or this route to SUV needs none",
            )


def _tell_tracer(work: _Work) -> None:
    found = tags.items(work.first, "RadiopharmaceuticalInformationSequence")
    if any(isotopes.other_tracer(item) for item in found):
        work.warn(
            "tracer-not-fdg",
            "the header names a tracer other than FDG; the models shipped here know FDG only",
            "look at the result with care",
        )

"""From rescaled PET values to SUVbw: the factor of each slice and the route that led to it (DICOM 1.1 to 1.9).

Everything is decided on headers. What a header lacks is refused or filled from typed values, never from a default.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from ...core import PemmaError, PemmaWarning
from .. import tags
from ..types import Suv, Typed
from . import activity, bodysize, isotopes, quantities
from .conversion import NOT_SUV, USE_CT, Conversion

PHILIPS = (0x7053, "Philips PET Private Group")
BY_ACTIVITY = "CNTS, Philips activity concentration factor (7053,1009)"
AGREEMENT = 0.05  # of the two Philips routes to SUV: doses and times in them are rounded


@dataclass(frozen=True)
class Plan:
    """factors: SUVbw per rescaled unit, one for each slice (n,); summary: what the study keeps of it; options: of the
    command line, for the values that it needs."""

    factors: np.ndarray
    summary: Suv
    warnings: tuple[PemmaWarning, ...]
    options: tuple[str, ...] = ()


def plan(headers: Sequence[Dataset], typed: Typed = Typed(), enhanced: bool = False, doubted: bool = False) -> Plan:
    """How this PET series becomes SUVbw. headers: of all its slices, in order; enhanced: frames of an Enhanced PET; doubted:
    whether typed values go before the header's.

    Refuses with the tag that stands in the way.
    """
    work = Conversion(headers, typed, enhanced, doubted)
    _check_acquisition(work)
    _check_corrections(work)
    try:
        with np.errstate(all="raise", under="ignore"):
            factors = _by_units(work)
    except ArithmeticError:
        raise PemmaError(
            "times-impossible",
            "times or durations of the PET are beyond what a scan can have",
            tags.EXPORT_AGAIN,
            "(0008,0031)",
        ) from None
    _tell_tracer(work)
    _tell_unused(work)
    factor = float(factors[0]) if np.allclose(factors, factors[0], rtol=1e-9) else None
    words = work.words + [f"{name} typed" for name in work.used]
    summary = Suv(", ".join(words), factor, tuple(work.used))
    return Plan(factors, summary, tuple(work.warnings), tuple(work.options))


def _check_acquisition(work: Conversion) -> None:
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


def _check_corrections(work: Conversion) -> None:
    corrections = [{c.upper() for c in tags.texts(header, "CorrectedImage")} for header in work.headers]
    if all("ATTN" in named for named in corrections):
        if "NONE" in (tags.text(header, "AttenuationCorrectionMethod").upper() for header in work.headers):
            work.warn(
                "corrections-unknown",
                "Corrected Image (0028,0051) lists ATTN, but Attenuation Correction Method (0054,1101) is NONE",
                "check that this is the corrected series",
            )
        return
    if not any(corrections) and work.same("AttenuationCorrectionMethod") not in ("", "NONE"):
        work.warn(
            "corrections-unknown",
            "Corrected Image (0028,0051) is missing; the attenuation correction is only told by its method (0054,1101)",
            "check that this is the corrected series",
        )
        return
    flag, lack = ("AttenuationCorrected", "no YES") if work.enhanced else ("CorrectedImage", "no ATTN")
    raise PemmaError(
        "pet-not-attenuation-corrected",
        f"the PET is not attenuation corrected ({lack} in {tags.title(flag)})",
        USE_CT,
        tags.place(flag),
    )


def _by_units(work: Conversion) -> np.ndarray:
    units = work.same("Units")
    if units == "BQML":
        return activity.factors(work, "BQML")
    if units == "GML":
        return _from_suv(work, units, work.same("SUVType") or "BW", ("BW", *bodysize.MASSES))
    if units == "CM2ML":
        return _from_suv(work, units, work.same("SUVType") or "BSA", ("BSA",))
    if units == "CNTS":
        return _from_counts(work)
    if work.enhanced:
        raise _no_known_mapping(work)
    named = f"has Units {units}" if units in _KNOWN_UNITS else "has unknown Units" if units else "lacks Units"
    raise PemmaError(
        "pet-units", f"the PET {named} (0054,1001), which can't be converted to SUV", NOT_SUV, "(0054,1001)"
    )


def _no_known_mapping(work: Conversion) -> PemmaError:
    mappings = tags.items(work.first, "RealWorldValueMappingSequence")
    codes = [code for mapping in mappings for code in tags.items(mapping, "MeasurementUnitsCodeSequence")]
    found = ", ".join(filter(None, (tags.words(code, "CodeValue") for code in codes)))
    return PemmaError(
        "pet-units",
        "the PET has no Real World Value Mapping (0040,9096) in Bq/ml or SUV" + (f", but in {found}" if found else ""),
        NOT_SUV,
        "(0040,9096)",
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


def _from_suv(work: Conversion, units: str, kind: str, allowed: Sequence[str]) -> np.ndarray:
    if kind not in allowed:
        raise PemmaError("suv-type", f"SUV Type (0054,1006) does not fit Units {units}", NOT_SUV, "(0054,1006)")
    work.words += [units, f"SUV type {kind}"]
    if kind == "BW":
        return np.ones(len(work.headers))
    body = bodysize.Body(quantities.weight(work), quantities.height(work), quantities.sex(work))
    factor = bodysize.factor_to_body_weight(kind, body)
    work.warn(
        "suv-kind-converted",
        f"the PET is in SUV by {kind} and was converted to body weight",
        "compare with a series in SUV by body weight if there is one",
    )
    work.words.append("converted to body weight")
    return np.full(len(work.headers), factor)


def _from_counts(work: Conversion) -> np.ndarray:
    to_suv = _philips_factors(work, 0x00)
    if to_suv.any():
        return _of_philips_suv(work, to_suv)
    by_activity = _by_philips_activity(work)
    if by_activity is not None:
        return by_activity
    raise PemmaError(
        "pet-counts-without-factor",
        "the PET is in counts (Units CNTS (0054,1001)) and has no Philips scale factor (7053,1000) or (7053,1009)",
        NOT_SUV,
        "(7053,1000)",
    )


def _by_philips_activity(work: Conversion) -> np.ndarray | None:
    """SUVbw per count through Bq/ml; None if there is no factor to these."""
    to_activity = _philips_factors(work, 0x09)
    return to_activity * activity.factors(work, BY_ACTIVITY) if to_activity.any() else None


def _of_philips_suv(work: Conversion, to_suv: np.ndarray) -> np.ndarray:
    """The scanner's SUV factor, which has its own weight, dose and times in it. Where those of the header lead elsewhere
    that is told, and typed ones decide, by way of Bq/ml."""
    change = _change_by_header(work, to_suv)
    differ = abs(change) > AGREEMENT
    by_typed = Conversion(work.headers, work.typed, work.enhanced, doubted=True)
    factors = _by_philips_activity(by_typed) if differ else None
    if by_typed.used:
        work.words, work.used, work.warnings = by_typed.words, by_typed.used, work.warnings + by_typed.warnings
        work.options = by_typed.options
        work.warn(
            "philips-factors-differ",
            "typed values were used with the Philips activity concentration factor (7053,1009), since the header's lead "
            "elsewhere than the SUV scale factor (7053,1000), which would change SUV by "
            f"{100 * float(np.median(to_suv / factors) - 1):+.1f} %",
            "check what was typed against the record",
        )
        return factors
    work.words += ["CNTS", "Philips SUV scale factor (7053,1000)"]
    if differ:
        work.warn(
            "philips-factors-differ",
            "weight, dose and times of the header, with the Philips activity concentration factor (7053,1009), would change SUV "
            f"by {100 * change:+.1f} % against the SUV scale factor (7053,1000), which was used",
            "check weight, dose, injection time and series time against the record; one that is typed (--weight-kg, --dose-bq, "
            "--injection-time) is used with (7053,1009), which is right only if the series time is",
        )
    return to_suv


def _change_by_header(work: Conversion, to_suv: np.ndarray) -> float:
    """How far weight, dose and times of the header lead from this factor, as a share of it; 0 if they lead nowhere."""
    try:
        other = _by_philips_activity(Conversion(work.headers, Typed(), work.enhanced))
        return 0.0 if other is None else float(np.median(other / to_suv)) - 1
    except (PemmaError, ArithmeticError):  # it is not needed
        return 0.0


def _philips_factors(work: Conversion, element: int) -> np.ndarray:
    """The factor of each slice (n,), 0 everywhere if it is absent or 0 everywhere."""
    place = f"(7053,10{element:02X})"
    try:
        factors = np.array([float(tags.private(header, *PHILIPS, element) or 0) for header in work.headers])
    except ValueError:
        factors = np.full(len(work.headers), np.nan)
    positive = np.isfinite(factors) & (factors > 0)
    if not positive.all() and factors.any():
        raise PemmaError(
            "pet-factor", f"the Philips scale factor {place} is not a positive number in every slice", NOT_SUV, place
        )
    return factors


def _tell_unused(work: Conversion) -> None:
    typed = {
        "weight": work.typed.weight_kg,
        "height": work.typed.height_m,
        "dose": work.typed.dose_bq,
        "injection time": work.typed.injection_time,
        "isotope": work.typed.isotope,
    }
    for name, value in typed.items():
        if value is not None and name not in work.used:
            work.warn(
                "typed-value-unused",
                f"the typed {name} was not used: the header has its own, or this route to SUV needs none",
            )


def _tell_tracer(work: Conversion) -> None:
    found = tags.items(work.first, "RadiopharmaceuticalInformationSequence")
    typed = "isotope" in work.used and isotopes.in_words(work.typed.isotope) != "F-18"
    if typed or any(isotopes.other_tracer(item) for item in found):
        work.warn(
            "tracer-not-fdg",
            f"the {'typed isotope' if typed else 'header'} names a tracer other than FDG; the models shipped here know FDG only",
            "look at the result with care",
        )

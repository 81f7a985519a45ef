"""From rescaled PET values to SUVbw: the factor of each slice and the route that led to it (DICOM 1.1 to 1.9).

Everything is decided on headers. What a header lacks is refused or filled from typed values, never from a default.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from ..core import PemmaError
from . import activity, bodysize, isotopes, quantities, tags
from .conversion import NOT_SUV, USE_CT, Conversion
from .types import StudyWarning, Suv, Typed

PHILIPS = (0x7053, "Philips PET Private Group")


@dataclass(frozen=True)
class Plan:
    """factors: SUVbw per rescaled unit, one for each slice (n,); summary: what the study keeps of it."""

    factors: np.ndarray
    summary: Suv
    warnings: tuple[StudyWarning, ...]


def plan(headers: Sequence[Dataset], typed: Typed = Typed(), enhanced: bool = False) -> Plan:
    """How this PET series becomes SUVbw. headers: of all its slices, in order; enhanced: frames of an Enhanced PET.

    Refuses with the tag that stands in the way.
    """
    work = Conversion(headers, typed, enhanced)
    _check_acquisition(work)
    _check_corrections(work)
    factors = _by_units(work)
    _tell_tracer(work)
    _tell_unused(work)
    factor = float(factors[0]) if np.allclose(factors, factors[0], rtol=1e-9) else None
    words = work.words + [f"{name} typed" for name in work.used]
    return Plan(factors, Suv(", ".join(words), factor, tuple(work.used)), tuple(work.warnings))


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
    to_suv, to_activity = (_philips_factor(work, element) for element in (0x00, 0x09))
    if to_suv:
        work.words += ["CNTS", "Philips SUV scale factor (7053,1000)"]
        return np.full(len(work.headers), to_suv)
    if to_activity:
        return to_activity * activity.factors(work, "CNTS, Philips activity concentration factor (7053,1009)")
    raise PemmaError(
        "pet-counts-without-factor",
        "the PET is in counts (Units CNTS (0054,1001)) and has no Philips scale factor (7053,1000) or (7053,1009)",
        NOT_SUV,
        "(7053,1000)",
    )


def _philips_factor(work: Conversion, element: int) -> float:
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


def _tell_unused(work: Conversion) -> None:
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


def _tell_tracer(work: Conversion) -> None:
    found = tags.items(work.first, "RadiopharmaceuticalInformationSequence")
    if any(isotopes.other_tracer(item) for item in found):
        work.warn(
            "tracer-not-fdg",
            "the header names a tracer other than FDG; the models shipped here know FDG only",
            "look at the result with care",
        )

"""Dose, weight, height, sex and half-life of a PET series, checked for sense, or typed in (DICOM 1.5)."""

import math
from collections.abc import Callable

from pydicom import Dataset

from ...core import PemmaError
from .. import tags
from . import isotopes
from .conversion import NOT_SUV, OR_CT, USE_CT, Conversion, ToBeTyped, Warn, stated_or_typed, type_it

DOSE_BQ = (1e6, 5e9)
DOSE_MBQ = (1.0, 5000.0)
WEIGHT_KG = (2.0, 400.0)
HEIGHT_M = (0.3, 2.5)
ISOTOPE = "--isotope"


def radiopharmaceutical(work: Conversion) -> Dataset:
    """The one item that describes the tracer; all slices must agree on its figures."""
    sequence = "RadiopharmaceuticalInformationSequence"
    keys = (
        "RadionuclideTotalDose",
        "RadionuclideHalfLife",
        "RadiopharmaceuticalStartTime",
        "RadiopharmaceuticalStartDateTime",
    )

    def stated(key: str) -> Callable[[Dataset], tuple]:
        return lambda header: tuple(tags.texts(item, key) for item in tags.items(header, sequence))

    tags.same(work.headers, lambda header: len(tags.items(header, sequence)), sequence)
    for key in keys:
        tags.same(work.headers, stated(key), key)
    found = tags.items(work.first, sequence)
    if len(found) > 1:
        found = [i for i in found if tags.number(i, keys[0]) and (tags.texts(i, keys[2]) or tags.texts(i, keys[3]))]
        if len(found) != 1:
            raise PemmaError(
                "two-radiopharmaceuticals",
                "Radiopharmaceutical Information Sequence (0054,0016) describes more than one radiopharmaceutical",
                USE_CT,
                "(0054,0016)",
            )
    return found[0] if found else Dataset()


def dose(work: Conversion, item: Dataset) -> float:
    """Administered activity in Bq. Enhanced PET gives MBq by definition, classic PET Bq."""
    return _or_typed(work, "dose", work.typed.dose_bq, DOSE_BQ, "--dose-bq", lambda warn: _stated_dose(work, item, warn), -1)


def weight(work: Conversion) -> float:
    """Body weight in kg."""
    return _or_typed(work, "weight", work.typed.weight_kg, WEIGHT_KG, "--weight-kg", lambda warn: _stated_weight(work, warn))


def height(work: Conversion) -> float:
    """Height in m."""
    return _or_typed(work, "height", work.typed.height_m, HEIGHT_M, "--height-m", lambda _: _stated_height(work))


def _or_typed(
    work: Conversion,
    name: str,
    typed: float | None,
    limits: tuple[float, float],
    option: str,
    stated: Callable[[Warn], float],
    power: int = 1,
) -> float:
    """What the header states, or what was typed if that can't be used or is doubted; the refusal says how to type it.

    power: that of this value in SUV, of one that may be doubted.
    """

    work.options.append(option)

    def checked(_: Warn, instead: float | None) -> float:
        if not (math.isfinite(typed) and limits[0] <= typed <= limits[1]):
            raise PemmaError(
                "typed-value-implausible",
                f"the typed {name} is outside {limits[0]:g} to {limits[1]:g}",
                "type a possible value",
                option,
            )
        work.flag_typed(name, "" if instead is None else _instead_of((instead / typed) ** power))
        return typed

    return _read(work, stated, None if typed is None else checked, type_it(name, option))


def _instead_of(change: float) -> str:
    return f"the header's would change SUV by {100 * (change - 1):+.1f} %"


def _read(
    work: Conversion, stated: Callable[[Warn], float], typed: Callable[[Warn, float | None], float] | None, way_out: str
) -> float:
    try:
        return stated_or_typed(stated, typed, work.warn, work.doubted)
    except PemmaError as problem:
        if typed is not None:
            raise
        raise ToBeTyped(problem.code, problem.sentence, way_out, problem.place) from None


def _stated_dose(work: Conversion, item: Dataset, warn: Warn) -> float:
    stated = tags.number(item, "RadionuclideTotalDose")
    if not stated:
        raise PemmaError("dose-missing", "Radionuclide Total Dose (0018,1074) is missing or 0", place="(0018,1074)")
    in_mbq, in_bq = DOSE_MBQ[0] <= stated <= DOSE_MBQ[1], DOSE_BQ[0] <= stated <= DOSE_BQ[1]
    if not (in_mbq or in_bq):
        raise PemmaError(
            "dose-implausible", "Radionuclide Total Dose (0018,1074) is no possible dose in Bq", place="(0018,1074)"
        )
    if in_mbq != work.enhanced:
        taken, usual = ("MBq", "Bq") if in_mbq else ("Bq", "MBq")
        warn(
            "dose-unit",
            f"Radionuclide Total Dose (0018,1074) was taken as {taken}, since it is no possible dose in {usual}",
            "check the dose; one that is typed (--dose-bq) is used instead",
        )
    return stated * 1e6 if in_mbq else stated


def _stated_weight(work: Conversion, warn: Warn) -> float:
    stated = tags.same(work.headers, lambda header: tags.number(header, "PatientWeight"), "PatientWeight")
    if not stated:
        raise PemmaError("weight-missing", "Patient's Weight (0010,1030) is missing or 0", place="(0010,1030)")
    in_grams = stated > 1000
    kilograms = stated / 1000 if in_grams else stated
    if not WEIGHT_KG[0] <= kilograms < WEIGHT_KG[1]:
        raise PemmaError(
            "weight-implausible", "Patient's Weight (0010,1030) is no possible weight in kg", place="(0010,1030)"
        )
    if in_grams:
        warn(
            "weight-unit",
            "Patient's Weight (0010,1030) was taken as grams, since it is over 1000",
            "check the weight; one that is typed (--weight-kg) is used instead",
        )
    return kilograms


def _stated_height(work: Conversion) -> float:
    stated = tags.same(work.headers, lambda header: tags.number(header, "PatientSize"), "PatientSize")
    if not stated or not HEIGHT_M[0] <= stated <= HEIGHT_M[1]:
        raise PemmaError(
            "height-missing",
            "Patient's Size (0010,1020) is missing or no possible height in m, and the SUV type needs it",
            place="(0010,1020)",
        )
    return stated


def sex(work: Conversion) -> str:
    sex = work.same("PatientSex")
    if sex not in ("M", "F", "O"):
        raise PemmaError(
            "sex-missing",
            "Patient's Sex (0010,0040) is missing or unknown, and the SUV type needs it",
            NOT_SUV,
            "(0010,0040)",
        )
    return sex


def half_life(work: Conversion, item: Dataset) -> float:
    """Half-life in s, from the header, from the isotope's code or from a typed isotope. Refuses one that no isotope has."""

    def of_typed(warn: Warn, instead: float | None) -> float:
        isotope = isotopes.in_words(work.typed.isotope)
        if isotope is None:
            known = ", ".join(isotopes.HALF_LIFE_S)
            raise PemmaError("typed-value-implausible", "the typed isotope is none of PET", f"type one of {known}", ISOTOPE)
        _check_typed_isotope(item, isotope, warn)
        work.flag_typed("isotope", "" if instead is None else f"the header's half-life is {instead:g} s")
        return isotopes.HALF_LIFE_S[isotope]

    given = None if work.typed.isotope is None else of_typed
    return _read(work, lambda warn: _stated_half_life(item, warn), given, _type_isotope(work, item))


def _check_typed_isotope(item: Dataset, isotope: str, warn: Warn) -> None:
    """Refuses one that the header's code is against, unless the stated half-life speaks for it: then that is told."""
    named, stated = isotopes.named(item), tags.number(item, "RadionuclideHalfLife")
    if not named or isotope in named or isotope == "F-18" and isotopes.is_fdg(item):
        return
    names = f"Radionuclide Code Sequence (0054,0300) names {' or '.join(named)}"
    if stated is None or not isotopes.fits(stated, isotope):
        raise PemmaError(
            "isotope-contradiction", f"{names}, not the typed {isotope}", f"type {' or '.join(named)}{OR_CT}", ISOTOPE
        )
    warn("isotope-contradiction", f"{names}; the typed {isotope}, which the stated half-life fits, was used", "check the isotope")


def _type_isotope(work: Conversion, item: Dataset) -> str:
    """Where nothing is known of the tracer its time is asked for too: without a half-life it can't be judged."""
    way = type_it("isotope", ISOTOPE)
    return way if len(item) or work.typed.injection_time else f"give the injection time with --injection-time, {way}"


def _stated_half_life(item: Dataset, warn: Warn) -> float:
    stated, named = tags.number(item, "RadionuclideHalfLife"), isotopes.named(item)
    if stated is None:
        return _half_life_of_code(item, named, warn)
    allowed = named or list(isotopes.HALF_LIFE_S)
    if stated <= 0 or not any(isotopes.fits(stated, isotope) for isotope in allowed):
        whose = " or ".join(named) or "a PET isotope"
        raise PemmaError(
            "half-life-wrong", f"Radionuclide Half Life (0018,1075) is not that of {whose} in seconds", place="(0018,1075)"
        )
    if len(named) > 1:
        warn(
            "isotope-contradiction",
            "Radionuclide Code Sequence (0054,0300) names two isotopes; the stated "
            "half-life fits one of them and was used",
            "check the isotope",
        )
    _tell_fdg(item, stated, "Radionuclide Half Life (0018,1075)", warn)
    return stated


def _half_life_of_code(item: Dataset, named: list[str], warn: Warn) -> float:
    if len(named) != 1:
        raise PemmaError(
            "half-life-missing",
            "Radionuclide Half Life (0018,1075) is missing, and no code names one isotope"
            if len(item)
            else "Radiopharmaceutical Information Sequence (0054,0016) is missing or empty: dose, injection time and half-life "
            "are unknown",
            place="(0018,1075)",
        )
    warn(
        "half-life-from-code",
        f"Radionuclide Half Life (0018,1075) is missing; that of {named[0]} was "
        "taken, which Radionuclide Code Sequence names",
        "check the isotope",
    )
    seconds = isotopes.HALF_LIFE_S[named[0]]
    _tell_fdg(item, seconds, "Radionuclide Code Sequence (0054,0300)", warn)
    return seconds


def _tell_fdg(item: Dataset, seconds: float, where: str, warn: Warn) -> None:
    """FDG is always labelled with F-18; one of the two is wrong where the half-life in use, of the tag `where`, is another's."""
    if not isotopes.is_fdg(item) or isotopes.fits(seconds, "F-18"):
        return
    whose = " or ".join(isotope for isotope in isotopes.HALF_LIFE_S if isotopes.fits(seconds, isotope))
    warn(
        "isotope-contradiction",
        f"the tracer is FDG, which has F-18, but {where} is that of {whose}, which was used",
        f"check the isotope; one that is typed ({ISOTOPE}) is used instead",
    )

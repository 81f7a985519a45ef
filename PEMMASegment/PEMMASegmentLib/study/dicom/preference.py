"""By what one series is preferred to another: sorting keys of PET and CT, and the reasons in words (dicom.md 2.7)."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta

from ...core import PemmaError
from .. import tags, times
from . import uncorrected
from .examination import LONGEST_EXAMINATION_DAYS, days_between
from .pairing import same, shared
from .series import Series

#: kernels for soft tissue: of GE and United Imaging by a word, of Philips by a letter, of Canon by a number below 20, of
#: Siemens by the number after one or two letters (B31f, Br40d, I30f), which rises with sharpness
SOFT_KERNELS = re.compile(r"STANDARD|.*SOFT|[AB]$|FC(0[1-9]|1\d)|(?!FC)[A-Z]{1,2}([0-3]\d|4[0-5])")
ENOUGH_CT_SLICES = 30
#: what the entries of a sorting key stand for, in their order
CRITERIA = {
    "PT": ("not called uncorrected", "units in Bq/ml", "axial slices", "no reformat", "most slices", "latest series number"),
    "CT": (
        "same patient as the PET",
        "same study as the PET",
        "same day as the PET",
        "same frame of reference as the PET",
        "best overlap with the PET",
        "acquired when the PET was",
        "axial slices",
        f"at least {ENOUGH_CT_SLICES} slices",
        "soft-tissue kernel",
        "most slices",
        "latest series number",
        "a fixed order of equal ones",
    ),
}
#: CTs of one session lie closer together; with an early and a late PET each has a CT of its own
ONE_SESSION = timedelta(minutes=30)


def pet_key(series: Series) -> tuple:
    """Sorts PET series, best last, by its CRITERIA."""
    return (
        not described_uncorrected(series),
        tags.text(series.header, "Units").upper() == "BQML",
        _axial(series),
        not is_reformat(series),
        series.count,
        _series_number(series),
    )


def ct_key(pet: Series | None, cts: Sequence[Series]) -> Callable[[Series], tuple]:
    gaps = {id(ct): gap for ct in cts if ct.usable and (gap := _gap(ct, pet)) is not None}
    session = min(gaps.values(), default=timedelta()) + ONE_SESSION

    def key(series: Series) -> tuple:
        """Sorts CT series, best last, by their CRITERIA."""
        return (
            same(series, pet, "PatientID"),
            same(series, pet, "StudyInstanceUID"),
            _of_one_day(series, pet),
            same(series, pet, "FrameOfReferenceUID"),
            round(shared(series, pet), 1),
            gaps.get(id(series), session) <= session,
            _axial(series),
            series.count >= ENOUGH_CT_SLICES,
            is_soft(tags.text(series.header, "ConvolutionKernel")),
            series.count,
            _series_number(series),
            series.uid,
        )

    return key


def why(best: Series, others: Sequence[Series], key: Callable[[Series], tuple]) -> str:
    """The criteria that decided: of each other series the first one in which it differs from the best."""
    names = CRITERIA[best.modality]
    differing = ([a != b for a, b in zip(key(best), key(other), strict=True)] for other in others)
    decided = {differs.index(True) if any(differs) else len(names) - 1 for differs in differing}
    return ", ".join(names[k] for k in sorted(decided)) or "the only usable one"


def described_uncorrected(series: Series) -> bool:
    return uncorrected.described(tags.text(series.header, "SeriesDescription"))


def is_reformat(series: Series) -> bool:
    """Whether it is made of another series' images. DERIVED alone does not say so: some scanners call a corrected PET
    DERIVED\\PRIMARY. Between parts of one series the user could not overrule this, so it does not count there."""
    kinds = [kind.upper() for kind in tags.texts(series.header, "ImageType")[:2]]
    return not series.part and kinds == ["DERIVED", "SECONDARY"]


def is_soft(kernel: str) -> bool:
    """Whether a Convolution Kernel (0018,1210) is one for soft tissue."""
    return SOFT_KERNELS.match(kernel.upper()) is not None


def _axial(series: Series) -> bool:
    return abs(float(series.slices[0].plane.normal[2])) > 0.9


def _of_one_day(ct: Series, pet: Series | None) -> bool:
    days = None if pet is None else days_between(ct.header, pet.header)
    return days is not None and days <= LONGEST_EXAMINATION_DAYS


def _gap(ct: Series, pet: Series | None) -> timedelta | None:
    """Time between the acquisitions; None if either does not state it."""
    began = [times.acquisition(s.header) or times.acquisition_by_series(s.header) for s in (ct, pet) if s is not None]
    return None if None in began or len(began) < 2 else abs(began[0] - began[1])


def _series_number(series: Series) -> float:
    try:
        return tags.number(series.header, "SeriesNumber") or 0.0
    except PemmaError:
        return 0.0

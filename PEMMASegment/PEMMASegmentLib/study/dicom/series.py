"""One series as a volume to be: its slices in order of position, judged on headers alone, before any pixel is read."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    PositronEmissionTomographyImageStorage,
)

from ...core import PemmaError, PemmaWarning
from .. import suv, tags
from ..tags import EXPORT_AGAIN
from ..types import Typed
from . import frames, geometry, pixelformat, pixels, series_files
from .examination import refuse_frames_of_reference
from .scan import File

#: SOP class -> (modality, is it multi-frame, is it legacy converted)
CLASSES = {
    CTImageStorage: ("CT", False, False),
    EnhancedCTImageStorage: ("CT", True, False),
    LegacyConvertedEnhancedCTImageStorage: ("CT", True, True),
    PositronEmissionTomographyImageStorage: ("PT", False, False),
    EnhancedPETImageStorage: ("PT", True, False),
    LegacyConvertedEnhancedPETImageStorage: ("PT", True, True),
}
#: how Image Type (0008,0008), from value 3 on, calls what is projected out of slices: "MIP", "CT_SOM5 MIP", "MIN IP"
PROJECTION = re.compile(r"(^|[ _])(M((AX|IN)[ _]?)?IP|PROJECTION IMAGE|VOLUME[ _]REN\w*)([ _]|$)")


@dataclass(frozen=True)
class Slice:
    """One image of a series: a file, or frame number `frame` of a multi-frame file with its header laid out flat."""

    header: Dataset
    file: File
    frame: int | None
    plane: geometry.Plane


@dataclass
class Series:
    """Images of one Series Instance UID that belong together.

    Either `problem` says why it can't be loaded, or `slices` (ascending along the normal), `grid` and, for PET,
    `plan` are there.
    """

    uid: str
    modality: str
    files: list[File]
    slices: list[Slice] = field(default_factory=list)
    grid: geometry.Grid | None = None
    plan: suv.Plan | None = None
    warnings: list[PemmaWarning] = field(default_factory=list)
    problem: PemmaError | None = None
    part: str = ""

    def warn(self, code: str, sentence: str, way_out: str = "") -> None:
        self.warnings.append(PemmaWarning(code, sentence, way_out))

    def doubt(self, typed: Typed) -> bool:
        """Lets typed values go before the header's in the PET's plan; whether that changed anything."""
        before, self.plan = self.plan, self._plan(typed, doubted=True)
        self.warnings = [told for told in self.warnings if told not in before.warnings] + [*self.plan.warnings]
        return self.plan.summary.typed != before.summary.typed

    def _plan(self, typed: Typed, doubted: bool = False) -> suv.Plan:
        return suv.plan([s.header for s in self.slices], typed, self.enhanced, doubted)

    @property
    def enhanced(self) -> bool:
        _, multiframe, legacy = CLASSES[self.files[0].header.SOPClassUID]
        return multiframe and not legacy

    @property
    def header(self) -> Dataset:
        return self.slices[0].header if self.slices else self.files[0].header

    @property
    def usable(self) -> bool:
        return self.problem is None

    @property
    def count(self) -> int:
        return len(self.slices) or len(self.files)

    @property
    def multiframe(self) -> bool:
        return CLASSES[self.files[0].header.SOPClassUID][1]


def modality_of(file: File) -> str | None:
    """ "CT" or "PT" for an image of these classes, None for all else. Refuses contradictions and half-read images."""
    stated, known = tags.text(file.header, "Modality").upper(), CLASSES.get(tags.text(file.header, "SOPClassUID"))
    if known is None:
        if not stated and "SOPClassUID" not in file.header:
            raise PemmaError(
                "damaged-file",
                "the file has neither a SOP class nor a modality, it is damaged or cut",
                EXPORT_AGAIN,
                file.name,
            )
        return None
    if any(keyword not in file.header for keyword in ("Rows", "Columns")):
        raise PemmaError(
            "damaged-file", "the file has no Rows or Columns (0028,0010), it is damaged or cut", EXPORT_AGAIN, file.name
        )
    if not stated:
        raise PemmaError(
            "modality-missing", "Modality (0008,0060) is missing in a file", EXPORT_AGAIN, file.name
        )
    if stated != known[0]:
        raise PemmaError(
            "modality-mismatch",
            f"Modality (0008,0060) and the SOP class of a file disagree: the latter is that of a {known[0]} image",
            EXPORT_AGAIN,
            file.name,
        )
    return stated


def judge(uid: str, modality: str, files: Sequence[File], typed: Typed) -> list[Series]:
    """The volumes of one Series Instance UID: one as a rule, several if it holds several reconstructions."""
    series = Series(uid, modality, list(files))
    try:
        series_files.check(series)
        slices = _drop_localizers(series, _slices(series))
        refuse_frames_of_reference([s.header for s in slices], modality)
        groups = _split(_in_order(slices))
    except PemmaError as problem:
        series.problem = problem
        return [series]
    found = []
    for name, group in groups.items():
        one = Series(
            uid,
            modality,
            sorted({id(s.file): s.file for s in group}.values(), key=lambda f: f.path),
            group,
            warnings=list(series.warnings),
            part=name,
        )
        if len(groups) > 1:
            one.warn(
                "series-split",
                f"one {modality} series holds {len(groups)} volumes, told apart by Image Type (0008,0008)",
                "check that the right one was chosen",
            )
        _complete(one, typed)
        found.append(one)
    return found


def _complete(series: Series, typed: Typed) -> None:
    """Grid, pixel format and, for PET, the way to SUV; a refusal becomes the series' problem."""
    try:
        series.grid = geometry.grid([s.plane for s in series.slices])
        series.warnings += pixelformat.check(series.modality, series.slices)
        if series.modality == "CT" and _interleaved(series.slices):
            series.warn(
                "acquisitions-interleaved",
                "slices of several CT acquisitions (Acquisition Number (0020,0012)) alternate in one series; they were taken as "
                "one volume of finer slices",
                "check that the patient did not move between them, or export them as series of their own",
            )
        if series.modality == "PT":
            series.plan = series._plan(typed)
            series.warnings += series.plan.warnings
    except PemmaError as problem:
        series.problem = problem


def _interleaved(slices: Sequence[Slice]) -> bool:
    """Whether acquisitions alternate along the normal most of the way; one after the other they are beds or rotations."""
    numbers = [tags.text(one.header, "AcquisitionNumber") for one in slices]
    changes = sum(one != other for one, other in itertools.pairwise(numbers))
    return changes > len(slices) / 2 and changes > 2 * len(set(numbers))


def _slices(series: Series) -> list[Slice]:
    found = []
    for file in series.files:
        _, multiframe, legacy = CLASSES[file.header.SOPClassUID]
        if multiframe:
            flat = frames.flatten(_whole_header(file), file.name, legacy)
            found += [Slice(h, file, k, geometry.plane(h, file.name)) for k, h in enumerate(flat)]
        elif (tags.number(file.header, "NumberOfFrames") or 1) != 1:
            raise PemmaError(
                "frames-unexpected",
                "a slice has several frames (Number of Frames (0028,0008)), which its SOP class does not allow",
                EXPORT_AGAIN,
                file.name,
            )
        elif not _is_localizer(file.header):
            found.append(Slice(file.header, file, None, geometry.plane(file.header, file.name)))
    if not found:
        raise PemmaError("localizer", "the series holds localizers or projections only", "choose a series of parallel slices")
    if len(found) < len(series.files):
        _tell_localizers(series, len(series.files) - len(found))
    return found


def _whole_header(file: File) -> Dataset:
    return pixels.read(file, stop_before_pixels=True)


def _is_localizer(header: Dataset) -> bool:
    kinds = [k.upper() for k in tags.texts(header, "ImageType")]
    return "LOCALIZER" in kinds or any(map(PROJECTION.search, kinds[2:]))


def _tell_localizers(series: Series, count: int) -> None:
    series.warn(
        "localizer-dropped",
        f"{count} localizer or projection image{'s' * (count > 1)} in "
        f"the {series.modality} series {'were' if count > 1 else 'was'} left out",
    )


def _drop_localizers(series: Series, slices: list[Slice]) -> list[Slice]:
    """Leaves out up to three images that lie across the others; refuses a real mixture of orientations."""
    groups: list[list[Slice]] = []
    for one in slices:
        group = next((g for g in groups if geometry.same_orientation(g[0].plane, one.plane)), None)
        groups.append([one]) if group is None else group.append(one)
    groups.sort(key=len, reverse=True)
    others = sum(len(g) for g in groups[1:])
    if others > 3 or (others and others >= len(groups[0])):
        raise PemmaError(
            "mixed-orientations", "the slices of one series have different orientations", EXPORT_AGAIN, "(0020,0037)"
        )
    if others:
        _tell_localizers(series, others)
    return groups[0]


def _in_order(slices: list[Slice]) -> list[Slice]:
    along = geometry.depths([s.plane for s in slices])
    return [slices[k] for k in np.argsort(along, kind="stable")]


def _split(slices: list[Slice]) -> dict[str, list[Slice]]:
    """The series as it is; by Image Type where that parts images at one position. Refuses other repeated positions."""
    if not _repeated(slices):
        return {"": slices}
    groups: dict[str, list[Slice]] = {}
    for one in slices:
        groups.setdefault("\\".join(tags.texts(one.header, "ImageType")), []).append(one)
    if len(groups) == 1 or any(_repeated(group) for group in groups.values()):
        times = len(slices) / len(slices_at_distinct(slices))
        raise PemmaError(
            "repeated-positions",
            f"the series has several images at one position ({times:.1f} on average): it "
            "is dynamic, gated or a mixture of reconstructions",
            "choose a static series with --pet-series or --ct-series",
            "(0020,0032)",
        )
    return groups


def _repeated(slices: Sequence[Slice]) -> bool:
    return len(slices_at_distinct(slices)) < len(slices)


def slices_at_distinct(slices: Sequence[Slice]) -> Counter:
    """Depths in steps of 0.01 mm, counted."""
    along = geometry.depths([s.plane for s in slices])
    return Counter(np.round((along - along[0]) / geometry.SAME_POSITION_MM).astype(int).tolist())

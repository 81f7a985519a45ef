"""The files of a series to its volumes: slices in order of position, judged on headers alone, before any pixel is read."""

import itertools
import re
from collections.abc import Sequence

import numpy as np
from pydicom import Dataset

from ...core import PemmaError
from .. import tags
from ..tags import EXPORT_AGAIN
from ..types import Typed
from . import frames, geometry, pixelformat, series_files
from .examination import refuse_frames_of_reference
from .files import File, read_again
from .series import CLASSES, Series, Slice

#: how Image Type (0008,0008), from value 3 on, calls what is projected out of slices: "MIP", "CT_SOM5 MIP", "MIN IP"
PROJECTION = re.compile(r"(^|[ _])(M((AX|IN)[ _]?)?IP|PROJECTION IMAGE|VOLUME[ _]REN\w*)([ _]|$)")


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
            flat = frames.flatten(read_again(file, stop_before_pixels=True), file.name, legacy)
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
        times = len(slices) / _positions(slices)
        raise PemmaError(
            "repeated-positions",
            f"the series has several images at one position ({times:.1f} on average): it "
            "is dynamic, gated or a mixture of reconstructions",
            "choose a static series with --pet-series or --ct-series",
            "(0020,0032)",
        )
    return groups


def _repeated(slices: Sequence[Slice]) -> bool:
    return _positions(slices) < len(slices)


def _positions(slices: Sequence[Slice]) -> int:
    """How many there are, in steps of 0.01 mm."""
    along = geometry.depths([s.plane for s in slices])
    return len(np.unique(np.round((along - along[0]) / geometry.SAME_POSITION_MM)))

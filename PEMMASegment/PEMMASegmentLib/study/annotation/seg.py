"""DICOM-SEG (BINARY, FRACTIONAL, LABELMAP) to a label, frame by frame at the place that each frame states."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian

from ...core import PemmaError, PemmaWarning
from ...core.images import like
from ...core.types import CATEGORY_CODE, TYPE_CODE
from .. import tags
from ..types import PetCtStudy
from .masks import put_on
from .rtstruct import clean_name, looks_like_tumour, same_name, short_name

_MOST_PIXELS = 2**32  # of all frames together; two hundred lesions over a whole body have a tenth
_SAME_STEP = 0.02  # share by which two slice steps may differ; it is how they are rounded
#: Codes (SCT, SRT) of a segment's property category and type: morphologically abnormal structure; neoplasm, also primary
#: and secondary. An anatomical structure, by contrast, is none, whatever its label.
_ABNORMAL = frozenset({CATEGORY_CODE, "M-01000"})
_NEOPLASM = frozenset({TYPE_CODE, "M-8FFFF", "372087000", "86049000", "M-80003", "14799000", "M-80006"})
_ANATOMICAL = frozenset({"91723000", "123037004", "T-D000A"})
#: What programs and readers call segments that they tell apart by a number only.
_COUNTED = re.compile(r"([^\W\d_]+)[ _-]?\d+")


@dataclass(frozen=True)
class Frame:
    """Where a frame lies: position of its first pixel's centre (LPS mm), directions (3, 2) of columns and rows,
    spacing in mm along them, its segment number (0: the pixels hold it), and SOP Instance UIDs of its source images."""

    position: np.ndarray
    directions: np.ndarray
    spacing: np.ndarray
    segment: int
    sources: frozenset[str]


@dataclass(frozen=True)
class Content:
    """What a SEG says. labels: cleaned segment labels by number; codes: of their property category and type; half: the
    stored value that counts as 0.5; apart_mm and thick_mm: stated distance and thickness of the slices, 0 if they aren't."""

    dataset: Dataset
    kind: str
    labels: dict[int, str]
    codes: dict[int, frozenset[str]]
    frames: list[Frame]
    size: tuple[int, int]
    half: float
    apart_mm: float
    thick_mm: float
    frames_of_reference: frozenset[str]


def understand(dataset: Dataset) -> Content:
    """Reads the header of a SEG. Raises PemmaError for what is no volume, ValueError and the like for nonsense."""
    kind = str(dataset.get("SegmentationType") or "BINARY")
    segments = {int(s.SegmentNumber): s for s in dataset.get("SegmentSequence") or []}
    if kind == "LABELMAP":
        segments.pop(0, None)  # the background
    labels = {n: clean_name(s.get("SegmentLabel") or f"unnamed #{n}") for n, s in segments.items()}
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = dataset.get("PerFrameFunctionalGroupsSequence") or []
    frames = [_frame(own, shared) for own in groups]
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if not frames or not labels:
        raise _unreadable("it holds no frames or segments")
    if len(frames) != int(dataset.get("NumberOfFrames") or 1) or len(frames) * rows * columns > _MOST_PIXELS:
        raise _unreadable("its number of frames or their size is impossible")
    apart, thick = (
        abs(float(_macro(groups[0], shared, "PixelMeasuresSequence", keyword) or 0))  # minus: slices from head to feet
        for keyword in ("SpacingBetweenSlices", "SliceThickness")
    )
    frame_of_reference = frozenset({str(dataset.get("FrameOfReferenceUID") or "")} - {""})
    half = float(dataset.get("MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else 0.5
    codes = {n: _codes(s) for n, s in segments.items()}
    return Content(dataset, kind, labels, codes, frames, (rows, columns), half, apart, thick, frame_of_reference)


def choose(content: Content, wanted: str | None) -> tuple[set[int], tuple[PemmaWarning, ...]]:
    """Numbers of the segments to unite: those labelled `wanted`, else those named like a tumour, else coded as one, else
    all that are told apart by nothing but a number.

    Raises PemmaError that lists the labels.
    """
    labels = content.labels
    names = ", ".join([short_name(label) for label in labels.values()][:20])
    if wanted is not None:
        found = {n for n, label in labels.items() if same_name(label, wanted)}
        if not found:
            sentence = f"no segment is labelled {short_name(clean_name(wanted))!r}"
            raise PemmaError("annotation-roi", sentence, f"name one with --annotation-roi: {names}")
        return found, ()
    tumours = {n for n, label in labels.items() if looks_like_tumour(label)}
    tumours = tumours or {n for n, codes in content.codes.items() if codes & (_ABNORMAL | _NEOPLASM)}
    if not tumours and _alike(content):
        tumours = set(labels)
    if not tumours:
        sentence = f"of the SEG's {len(labels)} segments none is named or coded as a tumour"
        raise PemmaError("annotation-roi", sentence, f"name one with --annotation-roi: {names}")
    if len(tumours) == len(labels):
        return tumours, ()
    used = ", ".join(short_name(labels[n]) for n in sorted(tumours)[:20])
    return tumours, (PemmaWarning("annotation-segments", f"of the segments {names} only {used} are taken"),)


def _alike(content: Content) -> bool:
    """Whether nothing tells one segment from the others: a single one, or one word for all and no organ ("Segment_1")."""
    counted = [_COUNTED.fullmatch(label) for label in content.labels.values()]
    if len(counted) == 1:
        return True
    same = all(counted) and len({match.group(1).lower() for match in counted}) == 1
    return same and not any(codes & _ANATOMICAL for codes in content.codes.values())


def _codes(segment: Dataset) -> frozenset[str]:
    keywords = ("SegmentedPropertyCategoryCodeSequence", "SegmentedPropertyTypeCodeSequence")
    return frozenset(str(code.get("CodeValue") or "") for keyword in keywords for code in segment.get(keyword) or [])


def fill(content: Content, numbers: set[int], study: PetCtStudy) -> tuple[sitk.Image, tuple[PemmaWarning, ...]]:
    """The segments together as a label (uint8) on the study's grid: pasted where frames are its slices, else resampled."""
    grid = study.grid
    places = [_offset(frame, grid, *content.size) for frame in content.frames]
    if any(place is None for place in places) or _thicker(content, [k for _, _, k in places], study):
        return put_on(_own_volume(content, numbers), grid)
    voxels = np.zeros(grid.GetSize()[::-1], np.uint8)
    rows, columns = content.size
    for (column, row, k), mask in zip(places, _masks(content, numbers), strict=True):
        voxels[k, row : row + rows, column : column + columns] |= mask
    return like(voxels, grid), ()


def _frame(own: Dataset, shared: Dataset) -> Frame:
    position = _macro(own, shared, "PlanePositionSequence", "ImagePositionPatient")
    orientation = _macro(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
    spacing = _macro(own, shared, "PixelMeasuresSequence", "PixelSpacing")
    segment = _macro(own, shared, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
    if position is None or orientation is None or spacing is None:
        raise _unreadable("a frame has no place in space")
    directions = np.array(orientation, dtype=float).reshape(2, 3).T
    position, spacing = np.array(position, dtype=float).reshape(3), np.array(spacing, dtype=float).reshape(2)[::-1]
    sound = np.allclose(directions.T @ directions, np.eye(2), atol=1e-3) and (np.abs(position) < 1e6).all()
    if not sound or not ((spacing > 1e-3) & (spacing < 1e3)).all():
        raise _unreadable("a frame's place in space is invalid")
    return Frame(position, directions, spacing, int(segment or 0), _sources(own, shared))


def _sources(own: Dataset, shared: Dataset) -> frozenset[str]:
    derivations = _macro(own, shared, "DerivationImageSequence", "SourceImageSequence") or []
    return frozenset(str(image.get("ReferencedSOPInstanceUID") or "") for image in derivations) - {""}


def _macro(own: Dataset, shared: Dataset, sequence: str, keyword: str):
    """An attribute of a functional group: per frame first, then shared; None where neither has it."""
    for groups in (own, shared):
        items = groups.get(sequence)
        if items and items[0].get(keyword) is not None:
            return items[0].get(keyword)
    return None


def _unreadable(why: str) -> PemmaError:
    return PemmaError("annotation-seg", f"the SEG can't be read: {why}", "export it again")


def _offset(frame: Frame, grid: sitk.Image, rows: int, columns: int) -> tuple[int, int, int] | None:
    """Voxel (column, row, slice) of the frame's first pixel if its pixels are voxels of one slice, else None."""
    direction = np.array(grid.GetDirection()).reshape(3, 3)
    spacing = np.array(grid.GetSpacing())
    last = np.array([columns - 1, rows - 1])
    corners = [frame.position, frame.position + frame.directions @ (frame.spacing * last)]
    first, end = ((corner - np.array(grid.GetOrigin())) @ direction / spacing for corner in corners)
    start = np.round(first)
    inside = (start >= 0).all() and (start + [*last, 0] < grid.GetSize()).all()
    off = np.abs(np.concatenate([first - start, end - (start + [*last, 0])]))
    parallel = np.allclose(frame.directions, direction[:, :2], atol=1e-3)
    return tuple(int(n) for n in start) if inside and parallel and off.max() <= 0.1 else None


def _thicker(content: Content, slices: list[int], study: PetCtStudy) -> bool:
    """Whether the frames, which all lie on these slices of the study, are thicker than these, each third of them, say.

    Without a stated distance their thickness tells, but neither of the study's own slices nor of any as thick: in CT a
    slice is often thicker than its distance to the next. What doesn't fit the frames tells nothing: their place decides.
    """
    stated = content.apart_mm
    if not stated and not _are_slices(content.frames, slices, study):
        own = _slice_thickness(study)
        stated = content.thick_mm if content.thick_mm > own * (1 + _SAME_STEP) > 0 else 0
    return 1e3 > stated > study.grid.GetSpacing()[2] * (1 + _SAME_STEP) and _fit(_steps(_along(content)), stated)


def _slice_thickness(study: PetCtStudy) -> float:
    """Slice Thickness of the study's slices in mm, 0 if they don't state it."""
    stated = [tags.text(header, "SliceThickness") for header in study.grid_headers[:1]]
    try:
        return float(stated[0]) if stated else 0.0
    except ValueError:
        return 0.0


def _are_slices(frames: list[Frame], slices: list[int], study: PetCtStudy) -> bool:
    """Whether each frame's only source image is the study's slice in the same place."""
    own = [{str(header.get("SOPInstanceUID"))} for header in study.grid_headers]
    if len(own) == 1:
        own *= study.grid.GetSize()[2]  # a multi-frame file
    return all(k < len(own) and frame.sources == own[k] for frame, k in zip(frames, slices, strict=True))


def _along(content: Content) -> np.ndarray:
    """Positions of the frames along the first one's normal, mm."""
    normal = np.cross(*content.frames[0].directions.T)
    return np.array([frame.position @ normal for frame in content.frames])


def _keeps(along: np.ndarray, step: float) -> bool:
    """Whether all positions lie whole steps apart, to a tenth of one."""
    steps = (along - along.min()) / step
    return bool(np.abs(steps - np.round(steps)).max() <= 0.1)


def _masks(content: Content, numbers: set[int]) -> Iterator[np.ndarray]:
    """For each frame the pixels (rows, columns) that belong to one of the segments, one frame in memory at a time."""
    wanted = np.array(sorted(numbers))
    try:
        for frame, pixels in zip(content.frames, _pixels(content.dataset), strict=True):
            if content.kind == "LABELMAP":
                yield np.isin(pixels, wanted).astype(np.uint8)
            else:
                yield ((pixels >= content.half) & (frame.segment in numbers)).astype(np.uint8)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:  # pydicom's ways to say so
        raise _unreadable("its pixels can't be decoded") from error


def _pixels(dataset: Dataset) -> Iterator[np.ndarray]:
    """The frames (rows, columns) in file order. Bits are unpacked here: pydicom iterates over whole bytes only."""
    meta = getattr(dataset, "file_meta", Dataset())
    if int(dataset.BitsAllocated) != 1 or meta.get("TransferSyntaxUID", ExplicitVRLittleEndian).is_encapsulated:
        yield from iter_pixels(dataset)
        return
    pixels = int(dataset.Rows) * int(dataset.Columns)
    packed = np.frombuffer(dataset.PixelData, np.uint8)
    for start in range(0, int(dataset.get("NumberOfFrames") or 1) * pixels, pixels):
        bits = np.unpackbits(packed[start // 8 : (start + pixels + 7) // 8], bitorder="little")
        yield bits[start % 8 :][:pixels].reshape(dataset.Rows, dataset.Columns)


def _own_volume(content: Content, numbers: set[int]) -> sitk.Image:
    """The chosen segments as a volume (uint8) on the grid that the frames themselves make up."""
    first, frames = content.frames[0], content.frames
    turned = any(not np.allclose(f.directions, first.directions, atol=1e-3) for f in frames)
    if turned or any(not np.allclose(f.spacing, first.spacing, rtol=1e-3) for f in frames):
        raise _unreadable("its frames lie in different planes")
    normal = np.cross(*first.directions.T)
    along = _along(content)
    across = np.array([f.position for f in frames]) - along[:, None] * normal
    step = _step(along, content) or 1.0
    if not _keeps(along, step) or np.abs(across - across[0]).max() > 0.1 * first.spacing.min():
        raise _unreadable("its frames do not form a regular volume")
    index = np.round((along - along.min()) / step).astype(int)
    voxels = np.zeros(_possible(int(index.max()) + 1, *content.size), np.uint8)
    for k, mask in zip(index, _masks(content, numbers), strict=True):
        voxels[k] |= mask
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([*first.spacing.tolist(), step])
    image.SetDirection(np.column_stack([first.directions, normal]).ravel().tolist())
    image.SetOrigin(frames[int(along.argmin())].position.tolist())
    return image


def _possible(*shape: int) -> tuple[int, ...]:
    if np.prod(shape, dtype=float) > _MOST_PIXELS:
        raise _unreadable("its frames lie impossibly far apart")
    return shape


def _step(along: np.ndarray, content: Content) -> float | None:
    """Distance in mm of the slices that the frames, at `along` mm, lie on; None for a single plane of which nothing tells it.

    Slices on which nothing is marked may have no frame. So the stated distance goes first, if it fits, then the thickness,
    unless several frames follow on each other evenly; else it is the smallest distance that occurs.
    """
    steps = _steps(along)
    even = len(steps) > 2 and np.median(steps) < 1.1 * steps.min()
    stated = (content.apart_mm, 0.0 if even else content.thick_mm)
    fitting = next((mm for mm in stated if 0 < mm < 1e3 and _fit(steps, mm)), None)
    if not len(steps):
        return fitting
    slices = np.round(steps / fitting) if fitting else np.round(np.ptp(along) / steps.min())
    return float(np.ptp(along) / slices.sum())  # refined: what is stated may be rounded


def _steps(along: np.ndarray) -> np.ndarray:
    """Distances in mm from each plane of frames to the next."""
    steps = np.diff(np.unique(np.round(along, 2)))
    return steps[steps > 0.05]


def _fit(steps: np.ndarray, mm: float) -> bool:
    """Whether each of the steps is one or more times as long, to a tenth."""
    slices = np.round(steps / mm)
    return bool(slices.all() and (np.abs(steps / mm - slices) <= 0.1).all())

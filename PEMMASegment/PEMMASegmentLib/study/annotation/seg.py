"""DICOM-SEG (BINARY, FRACTIONAL, LABELMAP) to a label, frame by frame at the place that each frame states."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian

from ...core import PemmaError
from ...core.images import like
from ..types import StudyWarning
from .masks import put_on
from .rtstruct import clean_name, looks_like_tumour

_MOST_BYTES = 2**31


@dataclass(frozen=True)
class Frame:
    """Where a frame lies: position of its first pixel's centre (LPS mm), directions (3, 2) of columns and rows,
    spacing in mm along them, and its segment number (0: the pixels hold it)."""

    position: np.ndarray
    directions: np.ndarray
    spacing: np.ndarray
    segment: int


def choose_segments(dataset: Dataset, wanted: str | None) -> tuple[set[int], tuple[StudyWarning, ...]]:
    """Numbers of the segments to unite: those labelled `wanted`, else those named like a tumour, else all."""
    labels = {int(s.SegmentNumber): clean_name(s.get("SegmentLabel")) for s in dataset.get("SegmentSequence") or []}
    labels = {n: label for n, label in labels.items() if n or "LABELMAP" not in str(dataset.get("SegmentationType"))}
    names = ", ".join(list(labels.values())[:20])
    if not labels:
        raise PemmaError("annotation-roi", "the SEG describes no segment", "give another annotation")
    if wanted is not None:
        found = {n for n, label in labels.items() if label.lower() == clean_name(wanted).lower()}
        if not found:
            sentence = f"no segment is labelled {clean_name(wanted)!r}"
            raise PemmaError("annotation-roi", sentence, f"name one with --annotation-roi: {names}")
        return found, ()
    tumours = {n for n, label in labels.items() if looks_like_tumour(label)}
    if not tumours or len(tumours) == len(labels):
        return set(labels), ()
    used = ", ".join(labels[n] for n in sorted(tumours))
    return tumours, (StudyWarning("annotation-segments", f"of the segments {names} only {used} are taken"),)


def read(dataset: Dataset, grid: sitk.Image, wanted: str | None, place: str):
    """The chosen segments together as (label uint8 on `grid`, warnings). Raises PemmaError."""
    numbers, notes = choose_segments(dataset, wanted)
    frames = _frames(dataset)
    if not frames:
        raise _damaged(place, "it holds no frames")
    _check_size(dataset, len(frames), place)
    fitting = [_offset(frame, grid, dataset.Rows, dataset.Columns) for frame in frames]
    if all(offset is not None for offset in fitting):
        voxels = np.zeros(grid.GetSize()[::-1], np.uint8)
        for (column, row, k), mask in zip(fitting, _masks(dataset, frames, numbers, place), strict=True):
            voxels[k, row : row + mask.shape[0], column : column + mask.shape[1]] |= mask
        return like(voxels, grid), notes
    label, more = put_on(_own_volume(dataset, frames, numbers, place), grid, place)
    return label, (*notes, *more)


def _frames(dataset: Dataset) -> list[Frame]:
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    frames = []
    for own in dataset.get("PerFrameFunctionalGroupsSequence") or []:
        position = _macro(own, shared, "PlanePositionSequence", "ImagePositionPatient")
        orientation = _macro(own, shared, "PlaneOrientationSequence", "ImageOrientationPatient")
        spacing = _macro(own, shared, "PixelMeasuresSequence", "PixelSpacing")
        segment = _macro(own, shared, "SegmentIdentificationSequence", "ReferencedSegmentNumber")
        if position is None or orientation is None or spacing is None:
            raise _damaged("", "a frame has no place in space")
        directions = np.array(orientation, dtype=float).reshape(2, 3).T
        spacing = np.array([float(spacing[1]), float(spacing[0])])
        if not np.allclose(directions.T @ directions, np.eye(2), atol=1e-3) or not (spacing > 0).all():
            raise _damaged("", "a frame's orientation or spacing is invalid")
        frames.append(Frame(np.array(position, dtype=float), directions, spacing, int(segment or 0)))
    return frames


def _macro(own: Dataset, shared: Dataset, sequence: str, keyword: str):
    """An attribute of a functional group: per frame first, then shared; None where neither has it."""
    for groups in (own, shared):
        items = groups.get(sequence)
        if items and items[0].get(keyword) is not None:
            return items[0].get(keyword)
    return None


def _damaged(place: str, why: str) -> PemmaError:
    return PemmaError("annotation-seg", f"the SEG can't be read: {why}", "export it again", place)


def _check_size(dataset: Dataset, frames: int, place: str) -> None:
    if frames * int(dataset.Rows) * int(dataset.Columns) // 8 > _MOST_BYTES:
        raise _damaged(place, "it declares an impossible size")
    if int(dataset.get("NumberOfFrames") or 1) != frames:
        raise _damaged(place, "the numbers of frames in header and description differ")


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


def _masks(dataset: Dataset, frames: list[Frame], numbers: set[int], place: str) -> Iterator[np.ndarray]:
    """For each frame the pixels (rows, columns) that belong to one of the segments, one frame in memory at a time."""
    kind = str(dataset.get("SegmentationType", "BINARY"))
    half = float(dataset.get("MaximumFractionalValue") or 255) / 2 if kind == "FRACTIONAL" else 0.5
    wanted = np.array(sorted(numbers))
    try:
        for frame, pixels in zip(frames, _pixels(dataset), strict=True):
            if kind == "LABELMAP":
                yield np.isin(pixels, wanted).astype(np.uint8)
            else:
                yield ((pixels >= half) & (frame.segment in numbers)).astype(np.uint8)
    except (AttributeError, NotImplementedError, RuntimeError, ValueError) as error:  # pydicom's ways to say so
        raise _damaged(place, "its pixels can't be decoded") from error


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


def _own_volume(dataset: Dataset, frames: list[Frame], numbers: set[int], place: str) -> sitk.Image:
    """The chosen segments as a volume (uint8) on the grid that the frames themselves make up."""
    first = frames[0]
    normal = np.cross(*first.directions.T)
    turned = any(not np.allclose(f.directions, first.directions, atol=1e-3) for f in frames)
    if turned or any(not np.allclose(f.spacing, first.spacing, rtol=1e-3) for f in frames):
        raise _damaged(place, "its frames lie in different planes")
    along = np.array([f.position @ normal for f in frames])
    across = np.array([f.position - (f.position @ normal) * normal for f in frames])
    step = _step(along, dataset)
    index = np.round((along - along.min()) / step).astype(int)
    drift = np.abs((along - along.min()) / step - index).max()
    if drift > 0.1 or np.abs(across - across[0]).max() > 0.1 * first.spacing.min():
        raise _damaged(place, "its frames do not form a regular volume")
    voxels = np.zeros((int(index.max()) + 1, int(dataset.Rows), int(dataset.Columns)), np.uint8)
    for k, mask in zip(index, _masks(dataset, frames, numbers, place), strict=True):
        voxels[k] |= mask
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([*first.spacing.tolist(), step])
    image.SetDirection(np.column_stack([first.directions, normal]).ravel().tolist())
    image.SetOrigin(frames[int(along.argmin())].position.tolist())
    return image


def _step(along: np.ndarray, dataset: Dataset) -> float:
    """Distance of neighbouring frames in mm: the smallest that occurs; of a single plane its stated spacing."""
    steps = np.diff(np.unique(np.round(along, 2)))
    steps = steps[steps > 0.05]
    if len(steps):
        return float((along.max() - along.min()) / round((along.max() - along.min()) / steps.min()))
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    return float(measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 1.0)

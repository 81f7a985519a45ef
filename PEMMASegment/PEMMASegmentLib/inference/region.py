"""Where there is body, how long it is, and the region of interest: boxes on a grid and in millimetres (LPS).

An index box is an array (3, 2), rows x, y, z of a grid, with the outer faces of its voxels as continuous indices.
"""

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core import PemmaError, PemmaWarning
from ..core.images import voxel_ml
from ..core.types import SMALLEST_ML

#: What counts as body: CT above this (HU), PET above this (SUVbw; muscle at rest has about 0.5, air below 0.05).
BODY_ABOVE = {"ct": -500.0, "pet": 0.2}
#: The body is looked for on every n-th voxel, about this far apart, mm (nearer in a thin region).
COARSE_MM = 4.0
#: Beside larger parts smaller ones are noise or a crumb of the table, ml. The parts of one body need not touch: two legs, an arm.
SMALLEST_PART_ML = 20.0
#: Of a small region (or image) this share is enough.
SMALLEST_SHARE = 0.1
#: A study whose body is this much longer than anything the model has seen is outside its region.
LONGEST_FACTOR = 1.3

Roi = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Body:
    """box: index box to search on the image. longest_mm: longest side of the box of the body's largest part, 0 without one."""

    box: np.ndarray
    longest_mm: float


def find_body(image: sitk.Image, modality: str, roi_mm: Roi | None = None) -> Body:
    """The body on a CT (HU) or PET (SUVbw): its parts of at least 20 ml, or a tenth of what is looked at.

    In a region of interest all is searched that lies between parts as large as the smallest lesion: amid lung a nodule is no part
    of what looks like a body. Raises PemmaError "no-body" when there is no such part, and "roi" when the region of interest holds
    no voxel.
    """
    if roi_mm is not None:
        return _inside(image, modality, roi_mm)
    steps = _steps(image, COARSE_MM)
    parts = _parts(_above(image, modality, steps), SMALLEST_PART_ML / _step_ml(image, steps))
    if parts is None:
        raise PemmaError("no-body", f"nothing of a body is to be seen on the {modality.upper()}",
                         "check the series and its units, or choose what to search with --roi")
    body, largest = (_full_box(extent, steps, image.GetSize()) for extent in parts)
    return Body(body, _longest(largest, image))


def _inside(image: sitk.Image, modality: str, roi_mm: Roi) -> Body:
    """The same in a region of interest."""
    part, apart_mm = _cropped(image, roi_mm)
    steps = _steps(part, apart_mm)
    looked_at = voxels_inside(part, roi_mm, steps)
    if not looked_at.any():
        raise PemmaError("roi", f"the region of interest holds no voxel of the {modality.upper()}",
                         "give X0,X1,Y0,Y1,Z0,Z1 in mm in DICOM's axes (LPS)")
    above = _above(part, modality, steps) & looked_at
    if above.sum() < min(SMALLEST_ML / _step_ml(part, steps), SMALLEST_SHARE * looked_at.sum()):
        raise PemmaError("no-body", f"nothing of a body is to be seen inside the region of interest on the {modality.upper()}",
                         "choose another region with --roi")
    parts = _parts(above, SMALLEST_PART_ML / _step_ml(part, steps))
    # a box turned against the image is never longer than itself
    longest = 0.0 if parts is None else min(_longest(_full_box(parts[1], steps, part.GetSize()), part), _sides(roi_mm).max())
    steps = _steps(image, COARSE_MM)
    all_parts = _parts(_above(image, modality, steps), SMALLEST_ML / _step_ml(image, steps))
    return Body(whole_box(image) if all_parts is None else _full_box(all_parts[0], steps, image.GetSize()), float(longest))


def check_roi(roi_mm: Roi | None) -> None:
    """Refuses a box whose faces are in the wrong order or not numbers."""
    if roi_mm is None:
        return
    low, high = np.array(roi_mm[0::2], float), np.array(roi_mm[1::2], float)
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise PemmaError("roi", "the region of interest is empty",
                         "give X0,X1,Y0,Y1,Z0,Z1 in mm in DICOM's axes (LPS), each pair rising")


def outside(longest_mm: float, known_mm: float) -> str:
    """What is said of a body too long for the model's region; "" for one that is not."""
    if longest_mm <= LONGEST_FACTOR * known_mm:
        return ""
    return f"the body is {longest_mm:.0f} mm long, the model knows regions of up to {known_mm:.0f} mm"


def check_length(longest_mm: float, known_mm: float, whole_study: bool) -> tuple[PemmaWarning, ...]:
    """Warnings for the result; raises PemmaError "outside-region" unless `whole_study`."""
    found = outside(longest_mm, known_mm)
    if not found:
        return ()
    if not whole_study:
        raise PemmaError("outside-region", found, "choose a region with --roi, or --whole-study to run all the same")
    sentence = f"run on the whole study although {found}: normal uptake there may be marked as lesion"
    return (PemmaWarning("outside-region", sentence),)


def voxels_inside(image: sitk.Image, roi_mm: Roi, steps=(1, 1, 1)) -> np.ndarray:
    """True where a voxel's centre lies in the box (mm, LPS): bool (z, y, x), of every steps-th voxel (x, y, z)."""
    index = [np.arange(0, n, step, dtype=np.float32) for n, step in zip(image.GetSize(), steps, strict=True)]
    x, y, z = np.meshgrid(*index, indexing="ij", sparse=True)
    to_mm = (np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()).tolist()  # floats keep float32 float32
    inside = True
    for (along_x, along_y, along_z), axis, origin in zip(to_mm, range(3), image.GetOrigin(), strict=True):
        position = origin + along_x * x + along_y * y + along_z * z
        inside = inside & (position >= roi_mm[2 * axis]) & (position <= roi_mm[2 * axis + 1])
    return inside.transpose(2, 1, 0)


def roi_corners(roi_mm: Roi) -> np.ndarray:
    """The eight corners of a box in mm (LPS): (8, 3)."""
    return _corners(np.array(roi_mm, float).reshape(3, 2))


def box_corners(image: sitk.Image, box: np.ndarray) -> np.ndarray:
    """The eight corners of an index box in mm (LPS): (8, 3)."""
    return np.array([image.TransformContinuousIndexToPhysicalPoint(corner.tolist()) for corner in _corners(box)])


def whole_box(image: sitk.Image) -> np.ndarray:
    """The index box that holds all voxels."""
    return np.stack([np.full(3, -0.5), np.array(image.GetSize()) - 0.5], axis=1)


def index_box(points_mm: np.ndarray, grid: sitk.Image, margin_mm: float = 0.0) -> np.ndarray:
    """Smallest box of whole voxels of `grid` around points (n, 3), with a margin: int (3, 2), start, stop of x, y, z.

    It is cut to the grid. A start that is not below its stop says that the points lie beside the grid.
    """
    index = np.array([grid.TransformPhysicalPointToContinuousIndex(point.tolist()) for point in points_mm])
    margin = margin_mm / np.array(grid.GetSpacing())
    start = np.floor(np.round(index.min(0) - margin + 0.5, 3)).astype(int)
    stop = np.ceil(np.round(index.max(0) + margin + 0.5, 3)).astype(int)
    return np.stack([np.maximum(start, 0), np.minimum(stop, grid.GetSize())], axis=1)


def _cropped(image: sitk.Image, roi_mm: Roi) -> tuple[sitk.Image, float]:
    """The part of an image that a box needs, and how far apart to look, mm: a thin box is not missed.

    Of an image that lies beside the box some voxel.
    """
    box = index_box(roi_corners(roi_mm), image)
    start = np.clip(box[:, 0], 0, np.array(image.GetSize()) - 1)
    stop = np.maximum(box[:, 1], start + 1)
    part = image[tuple(slice(int(low), int(high)) for low, high in zip(start, stop, strict=True))]
    return part, min(COARSE_MM, float(_sides(roi_mm).min()) / 3)


def _steps(image: sitk.Image, apart_mm: float) -> list[int]:
    """Every how manieth voxel (x, y, z) is looked at."""
    return [max(1, round(apart_mm / spacing)) for spacing in image.GetSpacing()]


def _step_ml(image: sitk.Image, steps: list[int]) -> float:
    return voxel_ml(image) * float(np.prod(steps))


def _above(image: sitk.Image, modality: str, steps: list[int]) -> np.ndarray:
    """Where there is body, of every steps-th voxel: bool (z, y, x)."""
    return sitk.GetArrayViewFromImage(image)[tuple(slice(None, None, n) for n in reversed(steps))] > BODY_ABOVE[modality]


def _longest(box: np.ndarray, image: sitk.Image) -> float:
    return float(((box[:, 1] - box[:, 0]) * image.GetSpacing()).max())


def _sides(roi_mm: Roi) -> np.ndarray:
    return np.subtract(roi_mm[1::2], roi_mm[0::2])


def _parts(inside: np.ndarray, smallest: float) -> tuple[tuple[slice, ...], tuple[slice, ...]] | None:
    """Extents (slices z, y, x) of all parts of at least `smallest` voxels, or a tenth of all, and of the largest; None if none.

    Which is the largest is asked after an opening, so that a table's rim under the patient does not lengthen the body.
    """
    parts, count = ndimage.label(inside)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    kept = (sizes >= min(smallest, SMALLEST_SHARE * inside.size))[parts]
    if not kept.any():
        return None
    solid, count = ndimage.label(ndimage.binary_opening(np.pad(kept, 1, mode="edge"))[1:-1, 1:-1, 1:-1])
    if not count:
        return _extent(kept), _extent(kept)
    return _extent(kept), _extent(solid == 1 + np.bincount(solid.ravel())[1:].argmax())


def _extent(mask: np.ndarray) -> tuple[slice, ...]:
    return ndimage.find_objects(mask.astype(np.uint8))[0]


def _full_box(extent: tuple[slice, ...], steps, size) -> np.ndarray:
    """Index box on the full image of an extent (z, y, x) among every steps-th voxel; the voxels between are inside."""
    rows = []
    for part, step, n in zip(reversed(extent), steps, size, strict=True):
        rows.append((max(part.start * step - (step - 1), 0) - 0.5, min((part.stop - 1) * step + step, n) - 0.5))
    return np.array(rows)


def _corners(box: np.ndarray) -> np.ndarray:
    return np.array(np.meshgrid(*box, indexing="ij")).reshape(3, -1).T

"""What the picture shows: three planes through the hottest lesion and the projected PET, in the patient's axes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core import Lesion, Segmentation
from ..core.images import like
from ..study.types import PetCtStudy
from .components import lesion_numbers
from .measure import lesion_pet_voxels
from .seg import segment_numbers

AXES = "xyz"
#: a plane's axis (index in x y z) -> title, axes shown to the right and downwards, letters left right top bottom
_PLANES = {
    2: ("Axial", 0, 1, "RLAP"),
    1: ("Coronal", 0, 2, "RLHF"),
    0: ("Sagittal", 1, 2, "APHF"),
}
_AIR_HU, _AIR_SUV, _MARGIN_MM, _COARSE_MM, _OUTLINE_MM = -400, 0.15, 10, 6, 2
#: a study this much longer than it is deep leaves room for a detail of this size
_LONG, _DETAIL_MM = 1.9, 140


@dataclass(frozen=True)
class View:
    """A picture in millimetres along its own axes: arrays (rows downwards on the screen, columns to the right).

    extent: left, right, bottom, top as matplotlib wants it. cross: where the other planes cut (column, row), None for a
    projection.
    """

    title: str
    letters: str  # left, right, top, bottom
    ct: np.ndarray | None  # HU
    pet: np.ndarray | None  # SUVbw
    label: np.ndarray  # bool
    extent: tuple[float, float, float, float]
    cross: tuple[float, float] | None
    detail: bool = False  # a smaller part of the first plane

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, mm."""
        left, right, bottom, top = self.extent
        return right - left, abs(top - bottom)


def hottest(lesions: Sequence[Lesion]) -> Lesion | None:
    """The lesion of the highest SUVmax, without PET the largest; None when there is none."""
    return max(lesions, key=lambda lesion: (lesion.suv_max or 0.0, lesion.volume_ml), default=None)


def views(study: PetCtStudy, segmentation: Segmentation, lesions: Sequence[Lesion]) -> list[View]:
    """Axial, coronal, sagittal plane, with a PET its projection, and a detail when the study is long.

    Radiological: the patient's right is on the left.
    """
    numbers, boxes = lesion_numbers(segmentation)
    point = _target(study, segmentation, hottest(lesions), numbers, boxes)
    lps = sitk.DICOMOrient(like(segment_numbers(numbers, lesions, "one"), segmentation.label), "LPS")
    ct = sitk.DICOMOrient(study.ct, "LPS") if study.ct is not None else None
    pet = sitk.DICOMOrient(study.pet, "LPS") if study.pet is not None else None
    at = np.clip(lps.TransformPhysicalPointToIndex(point), 0, np.array(lps.GetSize()) - 1)
    box = _body(ct, _AIR_HU) if ct is not None else _body(pet, _AIR_SUV)
    box = _with(box, at)
    shown = [_plane(axis, at, box, lps, ct, pet) for axis in _PLANES]
    if pet is not None:
        shown.append(_projection(pet, lps))
    if lesions and shown[1].size[1] > _LONG * shown[0].size[1]:
        shown.append(replace(_plane(2, at, _around(at, box, lps), lps, ct, pet), title="Axial, detail", detail=True))
    return shown


def _target(study, segmentation, chosen: Lesion | None, numbers, boxes) -> tuple[float, ...]:
    """LPS point of the planes, in the hottest lesion at its hottest voxel; without PET in its widest slice, else the middle."""
    grid = segmentation.label
    if chosen is None:
        return grid.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in grid.GetSize()])
    box = boxes[chosen.number - 1]
    inside = numbers[box] == chosen.number
    if chosen.suv_max is not None:
        voxels = lesion_pet_voxels(inside, box, grid, study.pet)
        suv = sitk.GetArrayViewFromImage(study.pet)[tuple(voxels.T)]
        return _nearest_inside(study.pet.TransformIndexToPhysicalPoint(voxels[suv.argmax()][::-1].tolist()), inside, box, grid)
    widest = np.count_nonzero(inside, axis=(1, 2)).argmax()
    pixels = np.argwhere(inside[widest])
    middle = pixels[np.linalg.norm(pixels - pixels.mean(0), axis=1).argmin()]
    index = np.array([widest, *middle]) + [part.start for part in box]
    return grid.TransformIndexToPhysicalPoint(index[::-1].tolist())


def _nearest_inside(point: tuple[float, ...], inside: np.ndarray, box, grid: sitk.Image) -> tuple[float, ...]:
    """Centre of the lesion's voxel at the point, or its nearest: it may end before the centre of a PET voxel it half covers.

    On a face of voxels the point itself would fall into the one or the other, by how the image is stored.
    """
    start = np.array([part.start for part in box])
    index = np.array(grid.TransformPhysicalPointToIndex(point))[::-1] - start
    voxels = np.argwhere(inside)
    away = np.linalg.norm((voxels - index) * grid.GetSpacing()[::-1], axis=1)
    return grid.TransformIndexToPhysicalPoint((voxels[away.argmin()] + start)[::-1].tolist())


def _body(image: sitk.Image, air: float) -> np.ndarray:
    """First and one past the last index (2, 3), x y z, of the largest thing that isn't air, with a margin."""
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    step = np.maximum(1, (_COARSE_MM / spacing).astype(int))
    coarse = sitk.GetArrayViewFromImage(image)[:: step[2], :: step[1], :: step[0]] > air
    things, count = ndimage.label(coarse)
    if not count:
        return np.array([size * 0, size])
    largest = 1 + np.argmax(np.bincount(things.ravel())[1:])
    found = ndimage.find_objects(things)[largest - 1][::-1]
    margin = np.ceil(_MARGIN_MM / spacing).astype(int)
    low = np.array([part.start for part in found]) * step - margin
    high = np.array([part.stop for part in found]) * step + margin
    return np.array([np.maximum(low, 0), np.minimum(high, size)])


def _with(box: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The box, widened to hold the point."""
    return np.array([np.minimum(box[0], at), np.maximum(box[1], at + 1)])


def _around(at: np.ndarray, box: np.ndarray, label: sitk.Image) -> np.ndarray:
    """The part of the box that lies within the detail's reach of the point."""
    reach = np.ceil(_DETAIL_MM / 2 / np.array(label.GetSpacing())).astype(int)
    return np.array([np.maximum(box[0], at - reach), np.minimum(box[1], at + reach + 1)])


def _plane(axis: int, at, box, label, ct, pet) -> View:
    title, right, down, letters = _PLANES[axis]
    start, stop = box[0].copy(), box[1].copy()
    start[axis], stop[axis] = at[axis], at[axis] + 1
    slab = sitk.RegionOfInterest(label, (stop - start).tolist(), start.tolist())
    spacing = label.GetSpacing()
    here = label.TransformIndexToPhysicalPoint(at.tolist())
    return View(
        title=f"{title}   {AXES[axis]} = {here[axis]:.0f} mm",
        letters=letters,
        ct=None if ct is None else _flat(_sampled(ct, slab, -1000), axis),
        pet=None if pet is None else _flat(_sampled(pet, slab, 0), axis),
        label=_flat(slab, axis) != 0,
        extent=_extent(start, stop, spacing, right, down),
        cross=(at[right] * spacing[right], at[down] * spacing[down]),
    )


def _sampled(image: sitk.Image, grid: sitk.Image, outside: float) -> sitk.Image:
    return sitk.Resample(image, grid, sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32)


def _flat(slab: sitk.Image, axis: int) -> np.ndarray:
    """The one plane of a slab, head at the top where z runs downwards on the screen."""
    plane = sitk.GetArrayFromImage(slab).squeeze(2 - axis)
    return plane if axis == 2 else plane[::-1]


def _extent(start, stop, spacing, right: int, down: int) -> tuple[float, float, float, float]:
    """Outer faces of the pixels, mm from the first voxel; z grows upwards, y downwards."""
    left, end = (start[right] - 0.5) * spacing[right], (stop[right] - 0.5) * spacing[right]
    low, high = (start[down] - 0.5) * spacing[down], (stop[down] - 0.5) * spacing[down]
    return (left, end, low, high) if down == 2 else (left, end, high, low)


def _projection(pet: sitk.Image, label: sitk.Image) -> View:
    """Highest SUV from front to back, and the shadow of the lesions."""
    start, stop = _body(pet, _AIR_SUV)
    suv = sitk.GetArrayViewFromImage(pet)[start[2] : stop[2], :, start[0] : stop[0]].max(axis=1)
    shadow = _shadow(label, pet, start, stop)
    extent = _extent(start, stop, pet.GetSpacing(), 0, 2)
    return View("Projection (MIP)", "RLHF", None, suv[::-1], shadow[::-1], extent, None)


def _shadow(label: sitk.Image, pet: sitk.Image, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Where a lesion lies anywhere along y: bool (z, x) over the PET's box, on pixels of about 2 mm."""
    spacing = np.array(pet.GetSpacing())
    fine = np.maximum(1, np.round(spacing / _OUTLINE_MM)).astype(int)
    out = np.zeros(((stop[2] - start[2]) * fine[2], (stop[0] - start[0]) * fine[0]), bool)
    low, high = _label_box(label, pet)
    low, high = np.maximum(low, [start[0], 0, start[2]]), np.minimum(high, [stop[0], pet.GetSize()[1], stop[2]])
    if np.any(low >= high):
        return out
    origin = pet.TransformContinuousIndexToPhysicalPoint((low - 0.5 + 0.5 / fine).tolist())
    dense = sitk.Resample(
        label, ((high - low) * fine).tolist(), sitk.Transform(), sitk.sitkNearestNeighbor, origin,
        (spacing / fine).tolist(), pet.GetDirection(), 0, sitk.sitkUInt8,
    )  # fmt: skip
    (x0, _, z0), (x1, _, z1) = (low - start) * fine, (high - start) * fine
    out[z0:z1, x0:x1] = sitk.GetArrayViewFromImage(dense).any(axis=1)
    return out


def _label_box(label: sitk.Image, pet: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last PET index, x y z, that the label's voxels touch; the same twice when it is empty."""
    marked = sitk.GetArrayViewFromImage(label)
    lines = [np.flatnonzero(marked.any(axis=axes)) for axes in ((0, 1), (0, 2), (1, 2))]
    if not len(lines[0]):
        return np.zeros(3, int), np.zeros(3, int)
    corners = np.meshgrid(*[(line[0] - 0.5, line[-1] + 0.5) for line in lines], indexing="ij")
    points = [label.TransformContinuousIndexToPhysicalPoint(c) for c in np.reshape(corners, (3, -1)).T.tolist()]
    index = np.array([pet.TransformPhysicalPointToContinuousIndex(point) for point in points])
    return np.floor(index.min(0) + 0.5).astype(int), np.ceil(index.max(0) + 0.5).astype(int)

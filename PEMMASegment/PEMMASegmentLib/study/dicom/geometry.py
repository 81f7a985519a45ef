"""Where slices lie: order by position, checks for gaps and tilt, the grid of the volume in LPS millimetres (DICOM 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset

from ...core import PemmaError
from ..tags import EXPORT_AGAIN, differs, numbers, place, title

UNIT_TOLERANCE = 1e-3  # of a direction's length and of the angle between rows and columns
SAME_POSITION_MM = 0.01
GRID_TOLERANCE = 0.1  # of a slice step: a real GE series is 0.04 mm off a 3.27 mm grid
SHEAR_TOLERANCE = 0.2  # of a pixel, summed over the stack
OTHER_SERIES = "choose another series with --ct-series or --pet-series, or reconstruct it with regular slices"
ONE_ACQUISITION = f"export all slices, each acquisition as a series of its own, {OTHER_SERIES}"


@dataclass(frozen=True)
class Plane:
    """One slice in space. row, column: unit vectors of increasing column and row index; spacing: (along x, along y)."""

    position: np.ndarray
    row: np.ndarray
    column: np.ndarray
    spacing: tuple[float, float]
    size: tuple[int, int]

    @property
    def normal(self) -> np.ndarray:
        return np.cross(self.row, self.column)


@dataclass(frozen=True)
class Grid:
    """A regular volume: size and spacing (x, y, z), origin (3,), direction (3, 3) with axes as columns."""

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: np.ndarray
    direction: np.ndarray

    def image(self, voxels: np.ndarray) -> sitk.Image:
        """Voxels (z, y, x) on this grid."""
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin.tolist())
        image.SetDirection(self.direction.ravel().tolist())
        return image

    def extent(self) -> np.ndarray:
        """The box in LPS millimetres that holds all voxels' outer faces: (3, 2)."""
        ends = [(-0.5, n - 0.5) for n in self.size]
        corners = np.array(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
        points = self.origin[:, None] + self.direction @ (np.array(self.spacing)[:, None] * corners)
        return np.stack([points.min(1), points.max(1)], axis=1)


def plane(header: Dataset, file: str) -> Plane:
    """The slice's plane. Refuses missing or invalid position, orientation, spacing or size; the refusal's place is `file`."""
    directions = _required(header, "ImageOrientationPatient", 6, file)
    row, column = np.array(directions[:3]), np.array(directions[3:])
    lengths = np.array([np.linalg.norm(row), np.linalg.norm(column)])
    if np.abs(lengths - 1).max() > UNIT_TOLERANCE or abs(row @ column) > UNIT_TOLERANCE:
        raise PemmaError(
            "invalid-orientation",
            f"{title('ImageOrientationPatient')} of a slice is not two perpendicular unit vectors",
            EXPORT_AGAIN,
            file,
        )
    row = row / lengths[0]
    column = column - (column @ row) * row
    between_rows, between_columns = _required(header, "PixelSpacing", 2, file)
    if not (1e-3 < between_rows < 1e3 and 1e-3 < between_columns < 1e3):
        raise PemmaError(
            "invalid-spacing",
            f"{title('PixelSpacing')} of a slice is not a possible size in millimetres",
            EXPORT_AGAIN,
            file,
        )
    position = np.array(_required(header, "ImagePositionPatient", 3, file))
    size = (int(_required(header, "Columns", 1, file)[0]), int(_required(header, "Rows", 1, file)[0]))
    return Plane(position, row, column / np.linalg.norm(column), (between_columns, between_rows), size)


def _required(header: Dataset, keyword: str, count: int, file: str) -> tuple[float, ...]:
    values = numbers(header, keyword)
    if not values:
        raise PemmaError(
            "missing-geometry",
            f"{title(keyword)} is missing in a slice, so its place in the patient is unknown",
            EXPORT_AGAIN,
            file,
        )
    if len(values) != count:
        raise PemmaError(
            "invalid-geometry",
            f"{title(keyword)} of a slice has {len(values)} values instead of {count}",
            EXPORT_AGAIN,
            file,
        )
    return values


def same_orientation(a: Plane, b: Plane) -> bool:
    """Whether two slices are parallel with the same row and column directions."""
    return bool(np.abs(a.row - b.row).max() < UNIT_TOLERANCE and np.abs(a.column - b.column).max() < UNIT_TOLERANCE)


def depths(planes: Sequence[Plane]) -> np.ndarray:
    """Position of each slice along the first slice's normal, mm."""
    return np.array([p.position @ planes[0].normal for p in planes])


def grid(planes: Sequence[Plane]) -> Grid:
    """The grid of slices that are already in ascending order of depth.

    Refuses mixed sizes or spacings, a single slice, missing slices, irregular steps and a tilted gantry: resampling
    would part the volume from the slices that a DICOM-SEG has to refer to.
    """
    first = planes[0]
    _refuse_mixture(planes)
    if len(planes) < 3:
        raise PemmaError(
            "not-a-volume",
            f"the series has only {len(planes)} slice{'s' * (len(planes) > 1)}, which is not a volume",
            "choose a series of parallel slices",
        )
    along = depths(planes)
    step = float(along[-1] - along[0]) / (len(along) - 1)
    _refuse_gaps(along, step)
    _refuse_shear(planes, along)
    direction = np.stack([first.row, first.column, first.normal], axis=1)
    return Grid((*first.size, len(planes)), (*first.spacing, step), first.position, direction)


def _refuse_mixture(planes: Sequence[Plane]) -> None:
    first = planes[0]
    if any(p.size != first.size for p in planes):
        raise PemmaError(
            "mixed-sizes",
            "the slices of one series have different numbers of rows or columns",
            EXPORT_AGAIN,
            place("Rows"),
        )
    if any(not np.allclose(p.spacing, first.spacing, rtol=1e-3) for p in planes):
        raise differs("PixelSpacing", "mixed-spacing")


def _refuse_gaps(along: np.ndarray, step: float) -> None:
    regular = along[0] + step * np.arange(len(along))
    if np.abs(along - regular).max() <= GRID_TOLERANCE * step:
        return
    steps = np.diff(along)
    usual = float(np.median(steps))
    widest = int(np.argmax(steps))
    if _slices_lack(steps, usual):
        missing = round(float(steps[widest]) / usual) - 1
        raise PemmaError(
            "missing-slices",
            f"about {max(missing, 1)} slice{'s' * (missing > 1)} missing after position "
            f"{along[widest]:.1f} mm along the slice normal",
            "export the complete series again",
        )
    raise PemmaError(
        "irregular-slices",
        f"the slice steps vary between {steps.min():.2f} and {steps.max():.2f} mm: slices of two acquisitions or thicknesses "
        "lie in one series, or some are missing",
        ONE_ACQUISITION,
        place("ImagePositionPatient"),
    )


def _slices_lack(steps: np.ndarray, usual: float) -> bool:
    """Whether the wide steps are gaps: each alone between usual ones. Wide ones side by side or at an end may as well be
    thicker slices, or the part of a second acquisition that the first does not reach."""
    is_usual = np.abs(steps - usual) <= GRID_TOLERANCE * usual
    beside = np.pad(is_usual, 1)
    wide = np.flatnonzero(steps > 1.5 * usual)
    return bool(wide.size and np.all(beside[wide] & beside[wide + 2]) and np.mean(is_usual) > 0.7)


def _refuse_shear(planes: Sequence[Plane], along: np.ndarray) -> None:
    first = planes[0]
    moved = np.array([p.position - first.position for p in planes]) - (along - along[0])[:, None] * first.normal
    sideways = float(np.linalg.norm(moved, axis=1).max())
    if sideways > SHEAR_TOLERANCE * min(first.spacing):
        tilt = np.degrees(np.arctan2(sideways, along[-1] - along[0]))
        raise PemmaError(
            "tilted-gantry",
            f"the slices are shifted against each other by a tilt of {tilt:.1f} degrees",
            OTHER_SERIES,
            place("GantryDetectorTilt"),
        )

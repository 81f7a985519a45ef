"""Small helpers on `SimpleITK.Image`: arrays in and out, files, resampling to another image's grid, boxes in millimetres."""

import errno
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from .files import as_utf8


def array(image: sitk.Image) -> np.ndarray:
    """A copy of the voxels, axes (z, y, x)."""
    return sitk.GetArrayFromImage(image)


def like(voxels: np.ndarray, image: sitk.Image) -> sitk.Image:
    """An image of these voxels (z, y, x) on the grid of `image`."""
    out = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    out.CopyInformation(image)
    return out


def to_grid_of(image: sitk.Image, grid: sitk.Image, outside: float, nearest: bool = False) -> sitk.Image:
    """`image` sampled at the voxel centres of `grid`: linear (or nearest), `outside` where it has no voxels."""
    interpolator = sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear
    return sitk.Resample(image, grid, sitk.Transform(), interpolator, float(outside))


def corners_mm(image: sitk.Image) -> np.ndarray:
    """The outer corners of the volume, (8, 3) in LPS millimetres."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in image.GetSize()], indexing="ij")).reshape(3, -1).T
    return np.array([image.TransformContinuousIndexToPhysicalPoint(c.tolist()) for c in corners])


def extent_mm(image: sitk.Image) -> np.ndarray:
    """Corners of the box in LPS millimetres that holds every voxel (outer faces): array (3, 2), rows x, y, z."""
    points = corners_mm(image)
    return np.stack([points.min(0), points.max(0)], axis=1)


def on_one_grid(a: sitk.Image, b: sitk.Image) -> bool:
    """Whether both have the same size, spacing, origin (to a micrometre) and direction."""
    parts = ("GetSpacing", "GetOrigin", "GetDirection")
    return a.GetSize() == b.GetSize() and all(
        np.allclose(getattr(a, part)(), getattr(b, part)(), rtol=0, atol=1e-3) for part in parts
    )


def voxel_ml(image: sitk.Image) -> float:
    """Volume of one voxel in millilitres."""
    return float(np.prod(image.GetSpacing())) / 1000.0


def voxels_in(ml: float, image: sitk.Image) -> int:
    """The fewest voxels of an image that make up this many millilitres."""
    return int(np.ceil(ml / voxel_ml(image) - 1e-9))  # 0.5 ml of voxels of 0.1 ml are 5, whatever floating point says


def hash_of(geometry: Sequence[float], image: sitk.Image) -> str:
    """sha256 of the voxels and of numbers of the geometry to 0.0001."""
    digest = hashlib.sha256((np.round(geometry, 4) + 0.0).tobytes())  # + 0.0: no negative zeros
    digest.update(sitk.GetArrayViewFromImage(image))
    return digest.hexdigest()


def varies(image: sitk.Image) -> bool:
    """Whether the voxels tell whose image it is: empty ones are all alike."""
    voxels = sitk.GetArrayViewFromImage(image)
    return bool(voxels.min() != voxels.max())


def hashes_of_voxels(*images: sitk.Image | None) -> set[str]:
    """`hash_of` size and voxels, which NIfTI leaves as they are, of each image that is there and `varies`."""
    return {hash_of(image.GetSize(), image) for image in images if image is not None and varies(image)}


def save(image: sitk.Image, path: Path, compressed: bool = True) -> None:
    """Writes an image file. Raises OSError when the disk does not take it, PemmaError for a path that ITK does not take."""
    name = as_utf8(path)
    try:
        sitk.WriteImage(image, name, useCompression=compressed)
    except RuntimeError as error:  # ITK's only kind; the image itself is sound, so it is the disk
        raise OSError(errno.EIO, "an image can't be written") from error

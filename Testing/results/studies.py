"""Studies and segmentations made by hand, so that these tests need neither loader nor network."""

import zlib
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk

from PEMMASegmentLib.core import Identity, Segmentation, Step
from PEMMASegmentLib.study.types import PetCtStudy, Suv

MODEL = Identity("starter", "1.0", "ab" * 32)


def dicom_study(folder: Path) -> PetCtStudy:
    """The CT and the PET (already SUVbw: units GML) below `folder`, slices along the normal of their planes."""
    with pydicom.config.disable_value_validation():
        files = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    ct, ct_headers = _volume([f for f in files if f.Modality == "CT"], np.int16)
    pet, pet_headers = _volume([f for f in files if f.Modality == "PT"], np.float32)
    suv = Suv("stored as SUVbw (GML)", None)
    return PetCtStudy(ct, pet, ct_headers, pet_headers, suv, study_key=ct_headers[0].SeriesInstanceUID)


def nifti_study(folder: Path) -> tuple[PetCtStudy, sitk.Image]:
    """A folder of shared/data/sts, and its mask."""
    ct, pet = sitk.ReadImage(str(folder / "ct.nii.gz")), sitk.ReadImage(str(folder / "pet.nii.gz"), sitk.sitkFloat32)
    mask = sitk.ReadImage(str(folder / "mask.nii.gz"), sitk.sitkUInt8)
    return PetCtStudy(ct, pet, study_key=str(zlib.crc32(sitk.GetArrayFromImage(ct).tobytes())), kind="nifti"), mask


def segmentation(label: sitk.Image, **changes) -> Segmentation:
    """What a network might have said: exactly this label."""
    told = {
        "probability": sitk.Cast(label != 0, sitk.sitkFloat32), "label": label, "threshold": 0.5, "model": MODEL,
        "adapter": None, "inputs": "ct+pet", "device": "CPU, 1 thread", "precision": "float32",
        "steps": (Step("windows", 1.5),),
    }  # fmt: skip
    return Segmentation(**(told | changes))


def on_grid(mask: sitk.Image, grid: sitk.Image) -> sitk.Image:
    """A mask on another grid, nearest voxel."""
    return sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0, sitk.sitkUInt8)


def ball(grid: sitk.Image, centre, radius: float) -> np.ndarray:
    """Voxels (z, y, x) of `grid` whose centre lies within `radius` mm of `centre`."""
    index = np.indices(grid.GetSize()[::-1])[::-1].reshape(3, -1) * np.array(grid.GetSpacing())[:, None]
    points = np.reshape(grid.GetDirection(), (3, 3)) @ index + np.array(grid.GetOrigin())[:, None]
    inside = np.linalg.norm(points - np.array(centre)[:, None], axis=0) <= radius
    return inside.reshape(grid.GetSize()[::-1])


def _volume(files: list[pydicom.Dataset], kind) -> tuple[sitk.Image, tuple[pydicom.Dataset, ...]]:
    rows, columns = np.reshape(np.array(files[0].ImageOrientationPatient, float), (2, 3))
    normal = np.cross(rows, columns)
    files = sorted(files, key=lambda file: np.dot(normal, np.array(file.ImagePositionPatient, float)))
    voxels = [f.pixel_array * float(f.RescaleSlope) + float(f.RescaleIntercept) for f in files]
    image = sitk.GetImageFromArray(np.array(voxels).astype(kind))
    first, last = (np.array(f.ImagePositionPatient, float) for f in (files[0], files[-1]))
    image.SetSpacing([*map(float, files[0].PixelSpacing[::-1]), float(np.dot(last - first, normal) / (len(files) - 1))])
    image.SetOrigin(first.tolist())
    image.SetDirection(np.stack([rows, columns, normal], axis=1).ravel().tolist())
    for file in files:
        del file.PixelData
    return image, tuple(files)

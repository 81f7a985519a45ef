"""Studies, grids and labels that these tests share, and SEGs as highdicom writes them."""

import copy
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import SimpleITK as sitk

from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.study.types import PetCtStudy


def dicom_study(folder: Path, modality: str) -> PetCtStudy:
    """All DICOM images of a folder with SimpleITK's own reader, headers in the order of the slices."""
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(folder))
    reader.SetFileNames(files)
    image = reader.Execute()
    headers = tuple(pydicom.dcmread(f, stop_before_pixels=True) for f in files[: None if len(files) < 100 else 1])
    return PetCtStudy(**{"ct": None, "pet": None, modality: image, f"{modality}_headers": headers})


def turned(image: sitk.Image) -> sitk.Image:
    """The same voxels in the same places, slices stored in the reverse order."""
    out = sitk.GetImageFromArray(array(image)[::-1])
    out.SetSpacing(image.GetSpacing())
    out.SetOrigin(image.TransformIndexToPhysicalPoint((0, 0, image.GetSize()[2] - 1)))
    direction = np.array(image.GetDirection()).reshape(3, 3) * [1, 1, -1]
    out.SetDirection(direction.ravel().tolist())
    return out


def centroid_mm(label: sitk.Image) -> np.ndarray:
    index = np.argwhere(array(label))[:, ::-1].mean(axis=0)
    return np.array(label.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def codes(warnings) -> set[str]:
    return {warning.code for warning in warnings}


def oblique_grid(rotation, spacing, size=(40, 36, 30), origin=(-150.0, 80.0, 900.0)) -> sitk.Image:
    grid = sitk.Image(size, sitk.sitkUInt8)
    grid.SetSpacing(spacing)
    grid.SetOrigin(origin)
    grid.SetDirection(rotation.as_matrix().ravel().tolist())
    return grid


def points_mm(grid: sitk.Image) -> np.ndarray:
    """Voxel centres in LPS mm, axes (z, y, x, 3)."""
    index = np.stack(np.indices(grid.GetSize()[::-1])[::-1], axis=-1) * np.array(grid.GetSpacing())
    return index @ np.array(grid.GetDirection()).reshape(3, 3).T + np.array(grid.GetOrigin())


def upright_grid(step: float, slices: int) -> sitk.Image:
    grid = sitk.Image([64, 64, slices], sitk.sitkUInt8)
    grid.SetSpacing([2.0, 2.0, step])
    return grid


def segment(number: int, label: str) -> hd.seg.SegmentDescription:
    code = pydicom.sr.codedict.codes.SCT.Neoplasm
    return hd.seg.SegmentDescription(number, label, code, code, "MANUAL")


def write_seg(file: Path, sources, pixels: np.ndarray, labels, kind="BINARY", **more) -> Path:
    """A SEG made by highdicom. pixels: (frames, rows, columns) or with a last axis of segments."""
    uids = [pydicom.uid.generate_uid() for _ in range(2)]
    described = [segment(n + 1, label) for n, label in enumerate(labels)]
    hd.seg.Segmentation(
        list(sources), pixels, kind, described, uids[0], 900, uids[1], 1, "Test", "Test", "1", "1", **more
    ).save_as(file)
    return file


def own_uids(headers, **changes) -> list[pydicom.Dataset]:
    """Headers as of another series of the same place."""
    changed = list(map(copy.deepcopy, headers))
    for header in changed:
        header.SOPInstanceUID = pydicom.uid.generate_uid()
        for keyword, value in changes.items():
            setattr(header, keyword, value)
    return changed


def restated(file: Path, **stated) -> Path:
    """The SEG with other distance or thickness of its slices (mm); None: none stated."""
    dataset = pydicom.dcmread(file)
    [measures] = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    for keyword, value in stated.items():
        if value is not None:
            setattr(measures, keyword, value)
        elif keyword in measures:
            del measures[keyword]
    dataset.save_as(file)
    return file

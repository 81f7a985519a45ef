"""A real patient's study, and a label of three lesions on its CT."""

import pytest
import SimpleITK as sitk

from PEMMASegmentLib.study.types import PetCtStudy

from .studies import dicom_study, nifti_study, on_grid


@pytest.fixture(scope="module")
def study(unpack) -> PetCtStudy:
    return dicom_study(unpack("sts/dicom/STS_008.zip"))


@pytest.fixture(scope="module")
def label(study, shared) -> sitk.Image:
    """The expert's contour and two more lesions, one at a corner of the volume."""
    voxels = sitk.GetArrayFromImage(on_grid(nifti_study(shared / "data" / "sts" / "STS_008")[1], study.ct))
    voxels[:4, :15, :15] = 1
    voxels[40:44, 90:110, 20:40] = 1
    out = sitk.GetImageFromArray(voxels)
    out.CopyInformation(study.ct)
    return out

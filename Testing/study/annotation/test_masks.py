"""Masks as NIfTI: taken as they are, or resampled in place."""

import numpy as np
import SimpleITK as sitk

from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.study import annotation
from PEMMASegmentLib.study.types import PetCtStudy

from .grids import codes, turned, upright_grid


def test_mask_image_is_taken_as_it_is_or_resampled_in_place(shared, tmp_path):
    folder = shared / "data/sts/STS_008"
    ct, mask = (sitk.ReadImage(str(folder / f"{n}.nii.gz")) for n in ("ct", "mask"))
    study = PetCtStudy(ct=ct, pet=None, kind="nifti")
    assert annotation.find(folder) == folder / "mask.nii.gz"
    label, warnings = annotation.read(folder / "mask.nii.gz", study)
    assert (array(label) == array(mask)).all() and warnings == ()
    marked = np.argwhere(array(mask))[:, ::-1]
    low, size = marked.min(0), np.ptp(marked, axis=0) + 1
    cropped = sitk.ConstantPad(sitk.RegionOfInterest(mask, size.tolist(), low.tolist()), [0, 2, 0], [40, 0, 90], 0)
    moved = sitk.Image(mask)
    moved.SetOrigin(mask.TransformContinuousIndexToPhysicalPoint([0.2, 0, 0]))
    otherwise = [(other, False) for other in (turned(mask) * 3, sitk.PermuteAxes(mask, (2, 0, 1)), cropped)]
    for other, told in [*otherwise, (moved, True), (sitk.Expand(mask, [3] * 3, sitk.sitkNearestNeighbor), True)]:
        sitk.WriteImage(other, str(tmp_path / "other.nii.gz"))
        label, warnings = annotation.read(tmp_path / "other.nii.gz", study)
        assert (array(label) == array(mask)).all() and codes(warnings) == ({"annotation-resampled"} if told else set())


def test_a_mask_that_reaches_out_of_the_study_says_what_it_loses(tmp_path):
    mask = upright_grid(2.0, 20)
    mask[5:15, 5:15, 10:20] = 1
    longer = sitk.ConstantPad(mask, [0, 0, 0], [0, 0, 1], 0)
    longer[5, 5, 20] = 1
    sitk.WriteImage(longer, str(tmp_path / "mask.nii.gz"))
    label, warnings = annotation.read(tmp_path / "mask.nii.gz", PetCtStudy(ct=mask, pet=None, kind="nifti"))
    assert array(label).sum() == 1000 and codes(warnings) == {"annotation-cut"}


def test_a_mask_between_whose_voxels_others_lie_keeps_its_volume(tmp_path):
    """Every second voxel of the study at the centre of one of the mask's, the others on the faces between them."""
    mask, ct = sitk.Image([8, 8, 8], sitk.sitkUInt8), sitk.Image([16, 16, 16], sitk.sitkInt16)
    mask.SetSpacing([6.0] * 3)
    ct.SetSpacing([3.0] * 3)
    mask[3:5, 3:4, 2:5] = 1
    sitk.WriteImage(mask, str(tmp_path / "mask.nii.gz"))
    label, _ = annotation.read(tmp_path / "mask.nii.gz", PetCtStudy(ct=ct, pet=None, kind="nifti"))
    assert np.ptp(np.argwhere(array(label)), axis=0).tolist() == [5, 1, 3]  # 18, 6 and 12 mm of 3 mm

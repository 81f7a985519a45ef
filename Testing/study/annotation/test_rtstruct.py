"""RTSTRUCT: real contours against their published masks, and found by content."""

import csv
import dataclasses

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, voxel_ml
from PEMMASegmentLib.study import annotation

from .grids import centroid_mm, codes, dicom_study, turned

pytestmark = pytest.mark.filterwarnings("ignore:The value length")  # the public files' Study ID is too long


@pytest.mark.parametrize("name", ["STS_008", "STS_019", "STS_042"])
def test_real_contours_have_the_published_volume(real, shared, name):
    folder, study = real(name)
    with open(shared / "data/sts/manifest.csv") as stream:
        expected = next(float(row["mask_ml_native"]) for row in csv.DictReader(stream) if row["patient"] == name)
    label, warnings = annotation.read(annotation.find(folder), study)
    assert array(label).sum() * voxel_ml(label) == pytest.approx(expected, abs=0.006)
    assert warnings == ()
    published = sitk.ReadImage(str(shared / f"data/sts/{name}/mask.nii.gz"))
    assert np.abs(centroid_mm(label) - centroid_mm(published)).max() < 0.1


def test_whole_body_contour_equals_the_published_mask_also_on_its_crop(unpack):
    folder = unpack("suv/STS_001_wholebody.zip")
    file = annotation.find(folder / "RS")
    studies = [dicom_study(f / "PT", "pet") for f in (folder, unpack("suv/STS_001_ibsi_suv.zip"))]
    with pytest.raises(PemmaError, match="GTV_Mass, GTV_Edema"):
        annotation.read(file, studies[0])
    whole, crop = (annotation.read(file, study, roi_name="GTV_Mass")[0] for study in studies)
    assert array(whole).sum() == array(crop).sum() == 5095
    assert np.abs(centroid_mm(whole) - centroid_mm(crop)).max() < 0.05


def test_label_follows_the_grid_when_slices_are_reversed_or_cut(real):
    folder, study = real("STS_008")
    file = annotation.find(folder)
    label, _ = annotation.read(file, study)
    reverse, _ = annotation.read(file, dataclasses.replace(study, ct=turned(study.ct)))
    assert (array(reverse)[::-1] == array(label)).all()
    part, warnings = annotation.read(file, dataclasses.replace(study, ct=study.ct[40:100, 30:90, 20:40]))
    assert (array(part) == array(label)[20:40, 30:90, 40:100]).all()
    assert "contour-outside" in codes(warnings)


def test_annotations_are_found_by_content(real, tmp_path):
    folder, study = real("STS_008")
    source = annotation.find(folder)
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "notes.dcm").write_text("no image")
    assert annotation.find(tmp_path) is None
    (tmp_path / "deep/er/contour").write_bytes(source.read_bytes())
    (tmp_path / "copy").write_bytes(source.read_bytes())
    assert annotation.find(tmp_path).name in ("contour", "copy")
    other = pydicom.dcmread(source)
    other.SOPInstanceUID = "1.2.3"
    other.save_as(tmp_path / "second")
    with pytest.raises(PemmaError, match="second.*--annotation FILE"):
        annotation.find(tmp_path)

"""The picture: right side up, right scale, every kind of study."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from matplotlib.image import imread

from PEMMASegmentLib.results import measure, write_preview
from PEMMASegmentLib.results.planes import views
from PEMMASegmentLib.results.preview import picture
from PEMMASegmentLib.study.types import PetCtStudy

from .studies import nifti_study, on_grid, segmentation


def small(voxels, spacing=(2.0, 2.0, 4.0), origin=(-20.0, -30.0, -40.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    return image


@pytest.fixture
def marked():
    """Tissue of 40 x 60 x 80 mm with one hot voxel towards the patient's left, back and head."""
    shape = (20, 30, 20)
    ct, pet, label = np.full(shape, 50, np.int16), np.ones(shape, np.float32), np.zeros(shape, np.uint8)
    pet[17, 25, 15], label[17, 25, 15] = 9, 1
    return PetCtStudy(small(ct), small(pet)), small(label)


@pytest.mark.parametrize("flip", [None, "RAS", "LAS", "PIR"])
def test_the_patients_right_is_left_and_the_head_is_up(marked, flip):
    """Whatever the order in which the voxels are stored."""
    study, label = marked
    if flip:
        study, label = replace(study, ct=sitk.DICOMOrient(study.ct, flip)), sitk.DICOMOrient(label, flip)
    lesions = measure(label, study.pet, min_volume_ml=0)
    axial, coronal, sagittal, mip = views(study, segmentation(label), lesions)
    assert [view.letters for view in (axial, coronal, sagittal, mip)] == ["RLAP", "RLHF", "APHF", "RLHF"]
    assert [tuple(np.argwhere(view.label)[0]) for view in (axial, coronal, sagittal)] == [(25, 15), (2, 15), (2, 25)]
    assert [tuple(np.argwhere(view.pet > 8)[0]) for view in (axial, coronal, sagittal)] == [(25, 15), (2, 15), (2, 25)]
    assert np.unravel_index(mip.pet.argmax(), mip.pet.shape) == (2, 15)
    shadow = (np.argwhere(mip.label) + 0.5).mean(0) / mip.label.shape  # its pixels are smaller
    assert np.allclose(shadow, (2.5 / 20, 15.5 / 20))


def test_planes_have_their_size_in_millimetres_and_meet_in_the_hottest_voxel(marked):
    study, label = marked
    axial, coronal, sagittal, _ = views(study, segmentation(label), measure(label, study.pet, min_volume_ml=0))
    assert [view.size for view in (axial, coronal, sagittal)] == [(40, 60), (40, 80), (60, 80)]
    assert [view.title.split("= ")[1] for view in (axial, coronal, sagittal)] == ["28 mm", "20 mm", "10 mm"]
    assert coronal.cross == (30, 68)  # mm from the first voxel: x, z


@pytest.mark.parametrize("stored", ["LPS", "RAS", "LAI"])
def test_planes_meet_in_the_lesion_also_where_it_ends_before_the_hottest_voxels_centre(stored):
    ct, pet, label = np.zeros((20, 20, 20), np.int16), np.ones((5, 5, 5), np.float32), np.zeros((20, 20, 20), np.uint8)
    pet[2, 2, 2], label[8:12, 8:12, 8:10] = 9, 1  # half of that voxel
    ct, label = (sitk.DICOMOrient(small(i, (2.0, 2.0, 2.0), (0, 0, 0)), stored) for i in (ct, label))
    study = PetCtStudy(ct, small(pet, (8.0, 8.0, 8.0), (3, 3, 3)))
    lesions = measure(label, study.pet, min_volume_ml=0)
    assert lesions[0].suv_max == 9
    assert all(view.label.any() for view in views(study, segmentation(label), lesions))


@pytest.mark.parametrize("suv_max, top", [(3.0, 5), (6.5, 7), (30.0, 15)])
def test_the_colours_end_at_the_hottest_lesion_within_bounds(marked, suv_max, top):
    study, label = marked
    heat = sitk.GetArrayFromImage(study.pet)
    heat[heat == 9], heat[0, 0, 0] = suv_max, 40  # and something hotter that is no lesion
    study = replace(study, pet=small(heat))
    figure = picture(study, segmentation(label), measure(label, study.pet, min_volume_ml=0))
    [bar] = [axes for axes in figure.axes if "SUVbw" in axes.get_title()]
    [mip] = [axes for axes in figure.axes if axes.get_title("left").startswith("Projection")]
    assert bar.get_ylim() == mip.images[0].get_clim() == (0, top)
    assert any(f"PET SUVbw 0 to {top} g/ml" in text.get_text() for text in figure.texts)


def test_bone_under_heat_is_no_more_than_white(marked, tmp_path, caplog):
    """matplotlib complains of colours above one on the terminal."""
    study, label = marked
    heat = np.linspace(0, 9, 20 * 30 * 20, dtype=np.float32).reshape(20, 30, 20)
    study = replace(study, ct=study.ct * 0 + 1500, pet=small(heat))
    write_preview(tmp_path / "preview.png", study, segmentation(label), measure(label, study.pet, min_volume_ml=0))
    assert not caplog.records


@pytest.mark.parametrize("size_mm", [(400, 40, 84), (400, 20, 16)])
def test_a_flat_body_has_a_picture(size_mm, tmp_path):
    """There is no room for a detail below a picture as flat as the row, nor for the usual colour bar."""
    shape = [mm // 2 for mm in size_mm[::-1]]
    ct, pet, label = np.full(shape, 50, np.int16), np.ones(shape, np.float32), np.zeros(shape, np.uint8)
    label[tuple(slice(n // 2, n // 2 + 3) for n in shape)] = 1
    pet[label > 0] = 8
    images = [small(voxels, (2.0, 2.0, 2.0)) for voxels in (ct, pet, label)]
    study = PetCtStudy(*images[:2])
    write_preview(tmp_path / "a.png", study, segmentation(images[2]), measure(images[2], study.pet, min_volume_ml=0))
    assert imread(tmp_path / "a.png").shape[1] == 1632


def test_ct_and_pet_alone_and_no_lesion_are_pictures_too(shared, tmp_path):
    study, mask = nifti_study(shared / "data" / "sts" / "STS_008")
    on_pet = on_grid(mask, study.pet)
    cases = {
        "both": (study, mask), "ct": (replace(study, pet=None), mask), "pet": (replace(study, ct=None), on_pet),
        "none": (study, mask * 0),
    }  # fmt: skip
    pictures = {}
    for name, (case, label) in cases.items():
        write_preview(tmp_path / f"{name}.png", case, segmentation(label), measure(label, case.pet))
        pictures[name] = imread(tmp_path / f"{name}.png")[..., :3]
    assert all(picture.shape[1] == 1632 and 500 < picture.shape[0] < 1400 for picture in pictures.values())
    cyan = [np.all(np.abs(pictures[name] - (0.21, 0.88, 1)) < 0.02, axis=2).sum() for name in ("both", "none")]
    assert cyan[0] > cyan[1] + 300  # the contour; the marks outside the planes are in both

"""nifti.py: a real case in place and in units, and what is refused or said of changed ones."""

import gzip
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.study import annotation, load, nifti
from PEMMASegmentLib.study.types import Typed


@pytest.fixture
def case(shared, tmp_path) -> Path:
    """A copy of STS_008 that may be changed."""
    for name in ("ct", "pet"):
        shutil.copy(shared / f"data/sts/STS_008/{name}.nii.gz", tmp_path)
    return tmp_path


def change(file: Path, how) -> None:
    """Rewrites an image with other voxels: how(array z, y, x) -> array."""
    image = sitk.ReadImage(str(file), sitk.sitkFloat32)
    sitk.WriteImage(like(how(array(image)), image), str(file))


def moved(file: Path, millimetres: float, axis: int = 2) -> None:
    """Shifts an image along an axis of LPS."""
    image = sitk.ReadImage(str(file))
    origin = list(image.GetOrigin())
    origin[axis] += millimetres
    image.SetOrigin(origin)
    sitk.WriteImage(image, str(file))


def patch(file: Path, *fields: tuple[str, int, tuple]) -> None:
    """Overwrites fields of a NIfTI file's header: (format, byte, values)."""
    content = bytearray(gzip.decompress(file.read_bytes()))
    for kind, at, values in fields:
        struct.pack_into(f"<{len(values)}{kind}", content, at, *values)
    file.write_bytes(gzip.compress(content, 1))


def test_real_case_has_its_units_and_its_place(case):
    assert nifti.is_nifti_study(case)
    study = nifti.load(case)
    assert (study.ct.GetPixelID(), study.pet.GetPixelID()) == (sitk.sitkInt16, sitk.sitkFloat32)
    assert (array(study.ct).min(), study.kind, study.warnings) == (-1000, "nifti", ())
    assert array(study.pet).max() == pytest.approx(6.502, abs=0.001)  # manifest.csv: suvmax_crop
    assert study.ct.GetOrigin() == pytest.approx((110.8396, -56.1524, -272.95), abs=1e-3)  # LPS: the file has RAS
    assert study.pet.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    assert study.ct.GetMetaDataKeys() == ()


def test_what_is_said_of_headers_is_not_taken_in_silence(case):
    study = load(case, ct_series="1.2.3", typed=Typed(weight_kg=70.0))
    [warning] = study.warnings
    assert warning.code == "nifti-unused" and "CT series, weight_kg" in warning.sentence


def test_key_depends_on_the_images_alone(case, tmp_path_factory):
    key = nifti.load(case).study_key
    other = tmp_path_factory.mktemp("another name")
    shutil.copytree(case, other, dirs_exist_ok=True)
    assert nifti.load(other).study_key == key
    moved(other / "pet.nii.gz", 1.0)
    assert nifti.load(other).study_key != key
    (other / "pet.nii.gz").unlink()
    assert nifti.load(other).study_key != key


@pytest.mark.parametrize("missing", ["ct", "pet"])
def test_one_image_is_a_study(case, missing):
    (case / f"{missing}.nii.gz").unlink()
    study = nifti.load(case)
    assert getattr(study, missing) is None and study.grid is not None


@pytest.mark.parametrize(
    "name, how, code",
    [
        ("pet", lambda v: v * np.nan, "image-not-finite"),
        ("pet", lambda v: v * 5000, "suv-implausible"),
        ("pet", lambda v: np.where(v > 0.5, v * 1000, 20), "suv-implausible"),  # Bq/ml, noise in the air
        ("ct", lambda v: v / 4000, "ct-not-hu"),
        ("ct", lambda v: np.where(v < -900, np.inf, v), "image-not-finite"),
    ],
)
def test_values_that_cannot_be_are_refused(case, name, how, code):
    change(case / f"{name}.nii.gz", how)
    with pytest.raises(PemmaError) as refusal:
        nifti.load(case)
    assert (refusal.value.code, refusal.value.place) == (code, f"{name}.nii.gz")


@pytest.mark.parametrize(
    "name, how, code",
    [
        ("pet", lambda v: v * 0, "pet-empty"),
        ("pet", lambda v: v - 1, "pet-negative"),
        ("pet", lambda v: np.where(v == v.max(), 650, v), "suv-implausible"),  # a syringe in view
        ("pet", lambda v: v * 5, "suv-doubtful"),  # kBq/ml
        ("ct", lambda v: np.clip((v + 160) * 255 / 400, 0, 255), "ct-hu-doubtful"),
    ],
)
def test_odd_values_are_said(case, name, how, code):
    change(case / f"{name}.nii.gz", how)
    assert [w.code for w in nifti.load(case).warnings] == [code]


def test_images_must_lie_in_one_place(case):
    moved(case / "pet.nii.gz", 60.0)
    assert "ct-pet-overlap" in [w.code for w in nifti.load(case).warnings]
    moved(case / "pet.nii.gz", 400.0)
    with pytest.raises(PemmaError, match="do not overlap"):
        nifti.load(case)


@pytest.mark.parametrize("axis, words", [(0, "along left and right"), (1, "along front and back")])
def test_a_pet_that_lies_centimetres_apart_is_told(case, axis, words):
    moved(case / "pet.nii.gz", 24.0, axis)
    [warning] = nifti.load(case).warnings
    assert warning.code == "ct-pet-shifted" and words in warning.sentence


def test_a_volume_of_few_thin_slices_is_read(case):
    for name in ("ct", "pet"):
        image = sitk.ReadImage(str(case / f"{name}.nii.gz"))[:, :, :4]
        image.SetSpacing((*image.GetSpacing()[:2], 1.0))
        sitk.WriteImage(image, str(case / f"{name}.nii.gz"))
    assert nifti.load(case).pet.GetSize()[2] == 4


def test_ct_of_any_number_type_is_the_same_study(case):
    expected = nifti.load(case)
    ct = sitk.Cast(expected.ct, sitk.sitkFloat64)
    for image in (ct + 0.3, sitk.Cast(ct, sitk.sitkInt32), sitk.JoinSeries(expected.ct)):
        sitk.WriteImage(image, str(case / "ct.nii.gz"))
        found = nifti.load(case)
        assert found.study_key == expected.study_key and found.ct.GetPixelID() == sitk.sitkInt16


@pytest.mark.parametrize(
    "image", [sitk.Image([8, 8, 8, 2], sitk.sitkFloat32), sitk.Image([8, 8], sitk.sitkFloat32)], ids=["4D", "2D"]
)
def test_only_volumes_are_read(case, image):
    sitk.WriteImage(image, str(case / "pet.nii.gz"))
    with pytest.raises(PemmaError, match="not one volume"):
        nifti.load(case)


@pytest.mark.parametrize("name, other, how", [("pet", "ct", lambda v: v * 5000), ("ct", "pet", lambda v: v / 4000)])
def test_an_image_that_is_not_needed_does_not_stop_the_other(case, name, other, how):
    change(case / f"{name}.nii.gz", how)
    with pytest.raises(PemmaError, match=f"--inputs {other}"):
        load(case)
    with pytest.raises(PemmaError):
        load(case, need=name)
    study = load(case, need=other)
    assert getattr(study, name) is None and getattr(study, other) is not None
    assert f"{name}-left-out" in [w.code for w in study.warnings]
    assert [c.chosen for c in study.candidates if c.description == f"{name}.nii.gz"] == [False]


@pytest.mark.parametrize("need, left", [("ct", "pet"), ("pet", "ct")])
def test_an_image_that_lies_elsewhere_does_not_stop_the_one_that_is_needed(case, need, left):
    moved(case / "pet.nii.gz", 400.0)
    study = load(case, need=need)
    assert getattr(study, left) is None and [w.code for w in study.warnings] == [f"{left}-left-out"]


def test_of_two_bad_images_the_needed_one_is_told(case):
    for name in ("ct", "pet"):
        change(case / f"{name}.nii.gz", lambda v: v * np.nan)
    for name in ("ct", "pet"):
        with pytest.raises(PemmaError) as refusal:
            load(case, need=name)
        assert refusal.value.place == f"{name}.nii.gz" and "--inputs" not in refusal.value.way_out


@pytest.mark.parametrize("content", [b"", b"no image", None, gzip.compress], ids=["empty", "text", "cut", "short"])
def test_damaged_files_are_named(case, content):
    file = case / "ct.nii.gz"
    whole = file.read_bytes()
    if content is gzip.compress:  # a sound archive of an image whose last voxels are not there
        content = gzip.compress(gzip.decompress(whole)[:-1000])
    file.write_bytes(whole[:20000] if content is None else content)
    with pytest.raises(PemmaError, match=r"can't be read \[ct.nii.gz\]"):
        nifti.load(case)


@pytest.mark.parametrize("start", [0.0, np.nan, np.inf, -1.0])
def test_a_start_of_the_voxels_that_cannot_be_is_refused(case, start):
    patch(case / "pet.nii.gz", ("f", 108, (start,)))
    with pytest.raises(PemmaError, match=r"can't be read \[pet.nii.gz\].*image-unreadable"):
        nifti.load(case)


@pytest.mark.parametrize("pixdim", [(0, 0, 0), (1, 1, 1), (3.9, 3.9, 3.2)])
def test_two_voxel_sizes_are_refused(case, pixdim):
    """ITK takes pixdim, 1 mm where there is none, though the sform alone says where the voxels are."""
    patch(case / "pet.nii.gz", ("f", 80, pixdim), ("h", 252, (0,)))
    with pytest.raises(PemmaError, match=r"two voxel sizes: .* \(sform\) \[pet.nii.gz\].*image-voxel-size"):
        nifti.load(case)


@pytest.mark.parametrize(
    "codes, used, only",
    [((1, 1), "sform", None), ((1, 2), "qform", None), ((0, 1), None, "sform"), ((1, 0), None, "qform")],
)  # fmt: skip
def test_two_places_are_told_and_which_is_used(case, shared, codes, used, only):
    """Of an image and of a mask. By the codes ITK takes the one or the other."""
    mask = Path(shutil.copy(shared / "data/sts/STS_008/mask.nii.gz", case))
    study = nifti.load(case)
    place = study.pet.GetOrigin()[0]
    for file in (case / "pet.nii.gz", mask):
        [x] = struct.unpack_from("<f", gzip.decompress(file.read_bytes()), 268)
        patch(file, ("h", 252, codes), ("f", 268, (x + 10,)))
    found = nifti.load(case)
    assert found.pet.GetOrigin()[0] == pytest.approx(place - 10 if "qform" in (used, only) else place, abs=1e-3)
    for told in (found.warnings, annotation.read(mask, study)[1]):
        doubts = [warning.sentence for warning in told if warning.code == "image-place-doubtful"]
        assert len(doubts) == (only is None) and all(f"10 mm apart, and the {used} is used" in words for words in doubts)


def test_voxel_sizes_that_place_voxels_elsewhere_than_the_only_form_are_told(case, capfd):
    """Each within a hundredth, which over many slices is centimetres."""
    image = sitk.ReadImage(str(case / "ct.nii.gz"))
    sitk.WriteImage(sitk.ConstantPad(image, (0, 0, 0), (0, 0, 200), -1000), str(case / "ct.nii.gz"))
    patch(case / "ct.nii.gz", ("h", 252, (0, 1)), ("f", 88, (image.GetSpacing()[2] * 1.008,)))
    [told] = [told for told in nifti.load(case).warnings if told.code == "image-place-doubtful"]
    assert "voxel sizes (pixdim, used) and its sform" in told.sentence and capfd.readouterr().err == ""


def test_a_pet_of_another_name_is_not_passed_over_in_silence(case):
    (case / "pet.nii.gz").rename(case / "SUV.nii.gz")
    [told] = nifti.load(case).warnings
    assert told.code == "nifti-names" and "has no pet.nii.gz; other NIfTI images in the folder are not used: 1" in told.sentence
    shutil.copy(case / "SUV.nii.gz", case / "pet.nii.gz")
    assert nifti.load(case).warnings == ()


@pytest.mark.parametrize("axes", ["LPS", "RAS", "PIR", "LPI"])
def test_a_turned_image_has_one_place(case, axes):
    """Oblique, and right- or left-handed: the qform says it with a quaternion, the sform with a matrix."""
    image = sitk.DICOMOrient(sitk.ReadImage(str(case / "pet.nii.gz")), axes)
    turn = np.reshape(sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 0.5).GetMatrix(), (3, 3))
    image.SetDirection((turn @ np.reshape(image.GetDirection(), (3, 3))).ravel().tolist())
    sitk.WriteImage(image, str(case / "pet.nii.gz"))
    assert nifti.read_volume(case / "pet.nii.gz", sitk.sitkFloat32)[1] == ()

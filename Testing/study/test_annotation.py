"""annotation: real contours against their published masks, spheres on turned grids, SEG there and back."""

import copy
import csv
import dataclasses
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, like, voxel_ml
from PEMMASegmentLib.core.metrics import dice
from PEMMASegmentLib.study import annotation
from PEMMASegmentLib.study.annotation.polygons import fill
from PEMMASegmentLib.study.annotation.stacks import even_odd
from PEMMASegmentLib.study.types import PetCtStudy

pytestmark = pytest.mark.filterwarnings("ignore:The value length")  # the public files' Study ID is too long


def dicom_study(folder: Path, modality: str) -> PetCtStudy:
    """All DICOM images of a folder with SimpleITK's own reader, headers in the order of the slices."""
    reader = sitk.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(folder))
    reader.SetFileNames(files)
    image = reader.Execute()
    headers = tuple(pydicom.dcmread(f, stop_before_pixels=True) for f in files[: None if len(files) < 100 else 1])
    return PetCtStudy(**{"ct": None, "pet": None, modality: image, f"{modality}_headers": headers})


@pytest.fixture(scope="module")
def real(unpack):
    """Folder of a patient's DICOM study, and the study of its CT."""
    return lambda name: (folder := unpack(f"sts/dicom/{name}.zip"), dicom_study(folder / name / "CT", "ct"))


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


# --- RTSTRUCT: real ones ---


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


# --- contours by formula ---


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


def sphere_contours(centre, radius, axes, step, start) -> list[np.ndarray]:
    """Circles (LPS mm) where planes across axes[:, 2], `step` apart and one of them through `start`, cut a sphere."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    depth = (centre - start) @ axes[:, 2]
    first, last = np.ceil((depth - radius) / step), np.floor((depth + radius) / step)
    circles = []
    for height in np.arange(first, last + 1) * step - depth:
        r = np.sqrt(max(radius**2 - height**2, 0))
        ring = np.outer(r * np.cos(angle), axes[:, 0]) + np.outer(r * np.sin(angle), axes[:, 1])
        circles.append(centre + height * axes[:, 2] + ring)
    return [c for c in circles if np.ptp(c, axis=0).max() > 1]


rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
spacings = st.tuples(*[st.floats(1.0, 4.0)] * 3)


@settings(max_examples=15, deadline=None)
@given(rotations, spacings, st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.permutations(range(3)))
def test_a_sphere_on_any_grid_lies_where_it_was_drawn(rotation, spacing, shift, order):
    """Also where the grid is stored with its axes in another order, so that the contours lie across its slices."""
    grid = oblique_grid(rotation, spacing)
    axes = rotation.as_matrix()
    centre = points_mm(grid)[15, 18, 20] + axes @ (np.array(shift) * spacing)
    radius = 11 * min(spacing)
    contours = sphere_contours(centre, radius, axes, spacing[2], np.array(grid.GetOrigin()))
    label, warnings = fill(contours, grid)
    truth = np.linalg.norm(points_mm(grid) - centre, axis=-1) <= radius
    assert dice(label, like(truth.astype(np.uint8), grid)) > 0.95
    assert np.abs(axes.T @ (centroid_mm(label) - centre)).max() < 0.1 * max(spacing)
    assert warnings == ()
    across, warnings = fill(contours, sitk.PermuteAxes(grid, order))
    assert dice(like(array(sitk.PermuteAxes(across, np.argsort(order).tolist())), grid), label) > 0.995
    assert codes(warnings) == (set() if order[2] == 2 else {"contour-planes"})


ELSEWHERE = {
    "twice as thick": (Rotation.identity(), 6.0, "contour-other-slices"),
    "three times as thick": (Rotation.identity(), 9.0, "contour-other-slices"),
    "finer": (Rotation.identity(), 1.1, "contour-other-slices"),
    "sagittal": (Rotation.from_euler("y", 90, degrees=True), 2.0, "contour-planes"),
    "coronal": (Rotation.from_euler("x", 90, degrees=True), 2.0, "contour-planes"),
    "tilted": (Rotation.from_euler("xyz", [20, 10, 30], degrees=True), 3.0, "contour-planes"),
}


@pytest.mark.parametrize("case", ELSEWHERE)
def test_contours_drawn_on_other_planes_keep_their_place(case):
    turn, step, code = ELSEWHERE[case]
    rotation = Rotation.from_euler("z", 15, degrees=True)
    grid = oblique_grid(rotation, (2.0, 2.0, 3.0))
    centre = points_mm(grid)[14, 18, 20] + [0.3, -0.4, 0.2]
    contours = sphere_contours(centre, 22.0, rotation.as_matrix() @ turn.as_matrix(), step, centre + 0.37)
    label, warnings = fill(contours, grid)
    truth = np.linalg.norm(points_mm(grid) - centre, axis=-1) <= 22.0
    assert dice(label, like(truth.astype(np.uint8), grid)) > (0.93 if step > 8 else 0.95)  # few slices: coarse
    assert np.abs(centroid_mm(label) - centre).max() < 0.6  # half a voxel would be 1 mm or more
    assert code in codes(warnings)


def upright_grid(step: float, slices: int) -> sitk.Image:
    grid = sitk.Image([64, 64, slices], sitk.sitkUInt8)
    grid.SetSpacing([2.0, 2.0, step])
    return grid


def circles(heights, radius=30.0, x=64.0, y=64.0) -> list[np.ndarray]:
    """Circles (LPS mm) across the slices at these heights."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return [np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(60, z)] for z in heights]


def read_ml(contours, step: float, slices: int = 60) -> tuple[float, np.ndarray, set[str]]:
    """Volume of the contours' label on slices `step` mm apart, which of these are marked, and the warnings' codes."""
    label, warnings = fill(contours, upright_grid(step, slices))
    return array(label).sum() * voxel_ml(label), array(label).any(axis=(1, 2)), codes(warnings)


def disc_ml(height: float, radius=30.0) -> float:
    return np.pi * radius**2 * height / 1000


@pytest.mark.parametrize("drawn, step", [(3.0, 2.0), (3.27, 2.5), (2.027, 1.5), (4.0, 3.0), (5.0, 4.0), (1.1, 1.0)])
def test_contours_on_somewhat_thicker_slices_leave_no_slice_out(drawn, step):
    count = int(45 / drawn)
    ml, marked, warned = read_ml(circles(20 + drawn * np.arange(count)), step, 80)
    assert ml == pytest.approx(disc_ml(count * drawn), rel=0.06)
    assert np.ptp(np.flatnonzero(marked)) + 1 == marked.sum()
    assert warned == {"contour-other-slices"}


@pytest.mark.parametrize("count, drawn", [(3, 2.5), (6, 2.5), (5, 1.6), (12, 1.6), (4, 3.3)])
def test_contours_on_finer_slices_are_on_average_as_thick_as_drawn(count, drawn):
    """On slices of 5 mm a lesion takes one more or less, by where it starts: one more each time would be its volume's error."""
    found = [read_ml(circles(50 + shift + drawn * np.arange(count)), 5.0, 30) for shift in np.arange(0, 5, 0.25)]
    assert np.mean([ml for ml, _, _ in found]) == pytest.approx(disc_ml(count * drawn), rel=0.03)
    assert all(warned == {"contour-other-slices"} for _, _, warned in found)


def test_a_lesion_thinner_than_a_slice_is_put_on_one():
    mass = circles(50 + 2 * np.arange(12), 12, x=30)
    for height in np.arange(60, 65, 0.5):
        node = circles([height], 9, x=90)
        assert read_ml(mass + node, 5.0)[0] - read_ml(mass, 5.0)[0] == pytest.approx(disc_ml(5, 9), rel=0.1)


@pytest.mark.parametrize("drawn", [0.2, 0.4, 0.5, 0.6])
def test_contours_on_very_fine_slices_do_not_cancel_each_other(drawn):
    """On slices of 5 mm equal outlines 0.4 mm apart passed for one plane, where two cancel each other."""
    ring = circles(50 + drawn * np.arange(int(30 / drawn)), 30) + circles(50 + drawn * np.arange(int(30 / drawn)), 10)
    ml, marked, warned = read_ml(ring, 5.0)
    assert ml == pytest.approx(disc_ml(30) - disc_ml(30, 10), rel=0.04) and marked.sum() == 6
    assert warned == {"contour-other-slices"}


@settings(max_examples=60, deadline=None)
@given(
    drawn=st.sampled_from([0.2, 1 / 3, 0.4, 0.5, 0.7, 1.0]),
    count=st.integers(1, 9),
    start=st.floats(12, 13),
    uneven=st.sampled_from([0, 0.02, 0.15]),
    missing=st.none() | st.integers(1, 7),
    beside=st.none() | st.sampled_from([0.2, 0.4, 0.5]),
    seed=st.integers(0, 9),
)
def test_a_lesion_on_finer_slices_stays_whole_or_tells_its_gap(drawn, count, start, uneven, missing, beside, seed):
    """All in slices of 5 mm; beside: the step of a mass drawn next to it. It is less than a slice too short or two too long."""
    moved = uneven * drawn * np.random.default_rng(seed).uniform(-1, 1, count)
    planes = (start + drawn * np.arange(count) + moved)[np.arange(count) != missing]
    mass = [] if beside is None else circles(5 * np.arange(8, 24, beside), 12, x=30)
    label, warnings = fill(mass + circles(5 * planes, 9, x=90), upright_grid(5.0, 40))
    marked = np.flatnonzero(array(label)[..., 30:].any(axis=(1, 2)))
    whole = np.ptp(marked) + 1  # fails where the lesion vanished
    assert whole == len(marked) or "contour-gap" in codes(warnings)
    assert -1 < whole - np.ptp(planes) < 2.01


def test_two_planes_tell_how_thick_their_slices_are_and_one_does_not():
    ml, _, warned = read_ml(circles([20, 24]), 2.0)
    assert ml == pytest.approx(disc_ml(8), rel=0.02) and warned == {"contour-other-slices"}
    ml, _, warned = read_ml(circles([20]), 2.0)
    assert ml == pytest.approx(disc_ml(2), rel=0.02) and warned == {"contour-thickness"}
    ml, _, warned = read_ml(circles([20], 9, x=30) + circles([24], 9, x=100), 2.0)  # two nodes, each on one slice
    assert ml == pytest.approx(disc_ml(4, 9), rel=0.1) and "contour-thickness" in warned


def test_parts_of_a_lesion_stay_apart_and_end_half_a_slice_out():
    ml, marked, warned = read_ml(circles([20, 23, 26, 50, 53]), 2.0)
    assert list(np.flatnonzero(marked)) == [10, 11, 12, 13, 25, 26, 27]  # 18.5 to 27.5 and 48.5 to 54.5 mm
    assert ml == pytest.approx(disc_ml(14), rel=0.02) and warned == {"contour-other-slices"}
    ml, marked, _ = read_ml(circles([20, 22, 30]), 2.0)  # drawn on the study's slices: the gap is no slice thickness
    assert ml == pytest.approx(disc_ml(6), rel=0.02) and list(np.flatnonzero(marked)) == [10, 11, 15]
    node = circles([29], 9, x=15, y=15)  # on one plane of the mass beside it, midway between two slices
    mass = circles(20 + 3 * np.arange(8), 20)
    assert read_ml(mass + node, 2.0)[0] - read_ml(mass, 2.0)[0] == pytest.approx(disc_ml(3, 9), rel=0.4)


def test_planes_midway_between_slices_fill_them_all_however_they_are_rounded():
    heights = 21 + 2 * np.arange(12) + np.tile([-0.01, 0.01, 0.01, -0.01], 3)
    ml, marked, _ = read_ml(circles(heights), 2.0)
    assert ml == pytest.approx(disc_ml(24), rel=0.02) and marked.sum() == 12


@pytest.mark.parametrize("first, second", [
    (20 + 2 * np.arange(12), 20.8 + 2 * np.arange(12)),
    (20 + 6 * np.arange(5), 22 + 6 * np.arange(5)),
    (20 + 6 * np.arange(5), 20 + 2 * np.arange(12)),
    (20 + 2 * np.arange(12), 21 + 5 * np.arange(6)),
])  # fmt: skip
def test_lesions_drawn_on_planes_of_their_own_keep_the_volume_that_each_has_alone(first, second):
    one, other = circles(first, 12, x=30, y=40), circles(second, 15, x=90)
    ml, _, warned = read_ml(one + other, 2.0)
    alone = [read_ml(lesion, 2.0) for lesion in (one, other)]
    assert ml == pytest.approx(alone[0][0] + alone[1][0]) and warned == alone[0][2] | alone[1][2]


def test_lesions_on_few_planes_are_as_thick_as_the_others_of_the_structure():
    mass = circles(20 + 6 * np.arange(5), 12, x=30)
    node = circles([32], 9, x=90)
    assert read_ml(mass + node, 2.0)[0] - read_ml(mass, 2.0)[0] == pytest.approx(disc_ml(6, 9), rel=0.1)
    mass = circles(20 + 2 * np.arange(12), 12, x=30)
    for heights in ([24, 32], [24, 30, 36]):
        nodes = circles(heights, 9, x=90)  # one above the other, each on one slice
        ml, _, warned = read_ml(mass + nodes, 2.0)
        assert ml - read_ml(mass, 2.0)[0] == pytest.approx(disc_ml(2 * len(heights), 9), rel=0.1)
        assert "contour-other-slices" not in warned


def outlines(pixels: np.ndarray) -> list[np.ndarray]:
    """Loops of pixel corners (n, 2; column, row) around the marked pixels and around their holes."""
    edges: dict[tuple, list[tuple]] = {}
    around = np.pad(pixels, 1)
    for row, column in np.argwhere(pixels):
        corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)]
        for n, beside in enumerate([(0, 1), (1, 2), (2, 1), (1, 0)]):
            if not around[row + beside[0], column + beside[1]]:
                edges.setdefault(corners[n], []).append(corners[(n + 1) % 4])
    loops = []
    while edges:
        loop = [next(iter(edges))]
        while len(loop) == 1 or loop[-1] != loop[0]:
            ends = edges[loop[-1]]
            loop.append(ends.pop())
            if not ends:
                del edges[loop[-2]]
        loops.append(np.array(loop[:-1]) - 0.5)
    return loops


@pytest.mark.parametrize("name, suv", [("STS_043", 2.5), ("STS_047", 4.0)])
def test_spots_of_a_real_pet_outlined_slice_by_slice_come_back_as_drawn(shared, name, suv):
    """Spots of one or two slices that lie above one another by chance tell nothing of the slices' thickness."""
    pet = sitk.ReadImage(str(shared / f"data/sts/{name}/pet.nii.gz"))
    hot = array(pet) > suv
    place = pet.TransformContinuousIndexToPhysicalPoint
    contours = [
        np.array([place([*map(float, point), float(k)]) for point in loop])
        for k, pixels in enumerate(hot)
        for loop in outlines(pixels)
    ]
    label, warnings = fill(contours, pet)
    assert (array(label) == hot).all() and codes(warnings) == {"contour-gap"}


polygons = st.lists(
    st.lists(st.tuples(*[st.integers(-8, 60).map(lambda n: n / 4)] * 2), min_size=3, max_size=12).map(np.array),
    min_size=1,
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(polygons)
def test_even_odd_equals_ray_casting_pixel_by_pixel(shapes):
    def inside(x, y):
        count = 0
        for shape in shapes:
            for (x0, y0), (x1, y1) in zip(shape, np.roll(shape, -1, axis=0), strict=True):
                if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
                    count += 1
        return count % 2 == 1

    expected = [[inside(x, y) for x in range(10)] for y in range(9)]
    assert (even_odd(shapes, 9, 10) == np.array(expected)).all()


def square(low: float, high: float) -> np.ndarray:
    return np.array([(low, low), (high, low), (high, high), (low, high)])


def test_ring_keeps_its_hole_as_two_polygons_and_as_a_keyhole():
    outer, inner = square(1.5, 10.5), square(4.5, 7.5)
    keyhole = np.concatenate([outer, outer[:1], inner[::-1], inner[-1:]])
    ring = even_odd([outer, inner], 12, 12)
    assert ring.sum() == 81 - 9 and not ring[5:8, 5:8].any()
    assert (even_odd([keyhole], 12, 12) == ring).all()


# --- SEG ---


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


@pytest.fixture(scope="module")
def sources(real):
    """CT study with highdicom's kind of sources, and two lesions in it (frames, rows, columns, 2)."""
    study = real("STS_008")[1]
    lesions = np.zeros((*study.ct.GetSize()[::-1], 2), np.uint8)
    lesions[10:14, 20:31, 50:77, 0] = 1
    lesions[40:43, 60:63, 30:34, 1] = 1
    return study, lesions


@pytest.mark.parametrize("order", [1, -1])
def test_binary_seg_comes_back_voxel_by_voxel(sources, tmp_path, order):
    study, lesions = sources
    file = write_seg(tmp_path / "a", study.ct_headers[::order], lesions[::order], ["Lesion 1", "Lesion 2"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesions.any(axis=-1)).all() and warnings == ()
    assert (array(annotation.read(file, study, roi_name="lesion 2")[0]) == lesions[..., 1]).all()
    reverse, warnings = annotation.read(file, dataclasses.replace(study, ct=turned(study.ct)))
    assert (array(reverse)[::-1] == lesions.any(axis=-1)).all() and warnings == ()


def test_seg_of_probabilities_and_of_labels(sources, tmp_path):
    study, lesions = sources
    steps = lesions[..., 0] * 0.7
    steps[11, 20:31, 50:77] = np.linspace(0, 1, 27)
    kind = hd.seg.SegmentationTypeValues.FRACTIONAL
    file = write_seg(tmp_path / "f", study.ct_headers, steps, ["GTV"], kind, max_fractional_value=200)
    assert (array(annotation.read(file, study)[0]) == (steps >= 0.5)).all()
    numbers = (lesions[..., 0] + 2 * lesions[..., 1]).astype(np.uint8)
    file = write_seg(tmp_path / "l", study.ct_headers, numbers, ["Bone", "GTV"], "LABELMAP")
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesions[..., 1]).all() and codes(warnings) == {"annotation-segments"}


def property_code(file: Path, category: str, kind: str) -> Path:
    """The file with another property category and type of all its segments."""
    dataset = pydicom.dcmread(file)
    for described in dataset.SegmentSequence:
        described.SegmentedPropertyCategoryCodeSequence[0].CodeValue = category
        described.SegmentedPropertyTypeCodeSequence[0].CodeValue = kind
    dataset.save_as(file)
    return file


TISSUE, ORGAN, ABNORMAL, LESION = "85756007", "123037004", "49755003", "52988006"


def test_segments_are_united_only_when_they_are_tumours(sources, tmp_path):
    study, lesions = sources

    def seg(labels, category=TISSUE, kind=TISSUE) -> Path:
        return property_code(write_seg(tmp_path / "u", study.ct_headers, lesions, labels), category, kind)

    with pytest.raises(PemmaError, match="--annotation-roi: liver, spleen"):
        annotation.read(seg(["liver", "spleen"]), study)
    assert (array(annotation.read(tmp_path / "u", study, roi_name="Spleen")[0]) == lesions[..., 1]).all()
    with pytest.raises(PemmaError, match="none is named or coded"):
        annotation.read(seg(["Rib 1", "Rib 2"], ORGAN), study)
    for file in (seg(["a", "b"], ABNORMAL, LESION), seg(["Segment_1", "Segment_2"])):
        label, warnings = annotation.read(file, study)
        assert (array(label) == lesions.any(axis=-1)).all() and warnings == ()


def test_seg_on_another_grid_is_as_thick_as_its_stated_slices_also_with_gaps(sources, tmp_path):
    study, lesions = sources
    sparse = np.zeros(lesions.shape[:3], np.uint8)
    sparse[[10, 14], 20:31, 50:77] = 1  # frames of these slices only
    file = write_seg(tmp_path / "g", study.ct_headers, sparse, ["GTV"])
    finer = sitk.Expand(study.ct, [1, 1, 2])  # the lesion's ends lie between its voxels' centres
    label, _ = annotation.read(file, dataclasses.replace(study, ct=finer))
    assert array(label).sum() * voxel_ml(label) == pytest.approx(sparse.sum() * voxel_ml(study.ct), rel=0.1)
    restated(
        file, SpacingBetweenSlices=5.0, SliceThickness=5.0
    )  # what doesn't fit gives way to the distance of the frames
    assert array(annotation.read(file, dataclasses.replace(study, ct=finer))[0]).sum() > 3 * array(label).sum()


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


def marked_planes(study, planes) -> np.ndarray:
    drawn = np.zeros(study.ct.GetSize()[::-1], np.uint8)
    drawn[planes, 20:31, 50:77] = 1
    return drawn


@pytest.mark.parametrize("planes", [slice(9, 21, 3), slice(12, 13), [9, 15]])
@pytest.mark.parametrize("sign", [1, -1, None])  # minus: slices from head to feet; None: only the thickness is stated
def test_seg_on_slices_three_times_as_thick_keeps_its_volume(sources, tmp_path, planes, sign):
    study, _ = sources
    drawn, thick = marked_planes(study, planes), 3 * study.ct.GetSpacing()[2]
    file = write_seg(tmp_path / "t", own_uids(study.ct_headers[::3], SliceThickness=thick), drawn[::3], ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=sign and sign * thick), study)
    assert array(label).sum() == 3 * drawn.sum() and codes(warnings) == {"annotation-resampled"}
    assert np.abs(centroid_mm(label) - centroid_mm(like(drawn, study.ct))).max() < 1e-3


@pytest.mark.parametrize("planes", [[10], [10, 14], [10, 12, 17], [10, 12, 14, 16]])
@pytest.mark.parametrize("thickness", [1.0, 3.27, 5.0, 6.54, None])  # the slices are 3.27 mm apart
def test_seg_without_distance_drawn_on_the_studys_slices_is_pasted(sources, tmp_path, planes, thickness):
    study, _ = sources
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "f", study.ct_headers, drawn, ["GTV"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == drawn).all() and warnings == ()
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=None, SliceThickness=thickness), study)
    assert (array(label) == drawn).all() and warnings == ()


@pytest.mark.parametrize("planes", [[10], [10, 14], [10, 12, 17]])
@pytest.mark.parametrize("thickness", [5.0, 6.54])
def test_seg_without_distance_of_a_series_as_thick_as_the_studys_is_pasted(sources, tmp_path, planes, thickness):
    """CT slices overlap: another series of the same scan has the study's thickness, not its distance."""
    study = dataclasses.replace(sources[0], ct_headers=tuple(own_uids(sources[0].ct_headers, SliceThickness=thickness)))
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "k", own_uids(study.ct_headers), drawn, ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=None), study)
    assert (array(label) == drawn).all() and warnings == ()


def test_seg_whose_distance_fits_none_of_its_frames_is_pasted(sources, tmp_path):
    study, _ = sources
    drawn = marked_planes(study, [10, 14])
    file = write_seg(tmp_path / "n", study.ct_headers, drawn, ["GTV"])
    label, warnings = annotation.read(restated(file, SpacingBetweenSlices=5.0), study)
    assert (array(label) == drawn).all() and warnings == ()


@pytest.mark.parametrize("planes, thickness", [(slice(8, 12), 1.09), (slice(8, 12), 5.0), ([10, 14], 3.27)])
def test_seg_on_another_grid_without_distance_is_as_thick_as_what_its_frames_keep(sources, tmp_path, planes, thickness):
    study, _ = sources
    drawn = marked_planes(study, planes)
    file = write_seg(tmp_path / "h", study.ct_headers, drawn, ["GTV"])
    finer = dataclasses.replace(study, ct=sitk.Expand(study.ct, [1, 1, 2]))
    label, _ = annotation.read(restated(file, SpacingBetweenSlices=None, SliceThickness=thickness), finer)
    assert array(label).sum() == pytest.approx(2 * drawn.sum(), rel=0.1)


def test_seg_on_the_pet_is_resampled_onto_the_ct_in_place(sources, real, tmp_path):
    study = sources[0]
    folder, _ = real("STS_008")
    pet = dicom_study(folder / "STS_008/PET", "pet")
    mask = np.zeros(pet.pet.GetSize()[::-1], np.uint8)
    mask[20:26, 10:16, 12:20] = 1
    file = write_seg(tmp_path / "p", pet.pet_headers, mask, ["GTV"])
    label, warnings = annotation.read(file, study)
    drawn = like(mask, pet.pet)
    assert codes(warnings) == {"annotation-resampled"}
    assert np.abs(centroid_mm(label) - centroid_mm(drawn)).max() < 0.5
    assert array(label).sum() * voxel_ml(label) == pytest.approx(mask.sum() * voxel_ml(drawn), rel=0.07)


def test_seg_of_another_frame_or_without_sense_is_refused(sources, tmp_path):
    study, lesions = sources
    file = write_seg(tmp_path / "s", study.ct_headers, lesions[..., 0], ["GTV"])

    def refusal(change) -> str:
        dataset = pydicom.dcmread(file)
        change(dataset)
        dataset.save_as(tmp_path / "changed")
        with pytest.raises(PemmaError) as error:
            annotation.read(tmp_path / "changed", study)
        assert error.value.place == "changed"
        return error.value.code

    def position(x):
        return lambda d: setattr(d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0], *x)

    assert refusal(lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3")) == "annotation-frame"
    assert refusal(lambda d: setattr(d, "PixelData", d.PixelData[:100])) == "annotation-seg"
    assert refusal(lambda d: setattr(d, "NumberOfFrames", 2)) == "annotation-seg"
    assert refusal(position(("ImagePositionPatient", ["nan", 0, 0]))) == "annotation-seg"
    assert refusal(position(("ImagePositionPatient", [9e5, 0, 0]))) == "annotation-seg"


def test_seg_reads_tilted_grids(tmp_path):
    study = oblique_study()
    lesion = np.zeros((20, 24, 28), np.uint8)
    lesion[4:9, 5:12, 6:20] = 1
    file = write_seg(tmp_path / "o", study.ct_headers, lesion, ["GTV"])
    label, warnings = annotation.read(file, study)
    assert (array(label) == lesion).all() and warnings == ()


def oblique_study() -> PetCtStudy:
    grid = oblique_grid(Rotation.from_euler("xyz", [25, -10, 40], degrees=True), (1.5, 2.0, 3.0), size=(28, 24, 20))
    direction = np.array(grid.GetDirection()).reshape(3, 3)
    headers = []
    for k in range(grid.GetSize()[2]):
        header = pydicom.Dataset()
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.update({key: pydicom.DataElement(key, *value) for key, value in COMMON.items()})
        header.SOPInstanceUID = f"1.2.3.4.{k + 1}"
        header.ImageOrientationPatient = [float(f"{x:.10f}") for x in direction[:, :2].T.ravel()]
        header.ImagePositionPatient = [float(f"{x:.8f}") for x in grid.TransformIndexToPhysicalPoint((0, 0, k))]
        header.PixelSpacing, header.SliceThickness = [2.0, 1.5], 3.0
        header.Rows, header.Columns = 24, 28
        headers.append(header)
    return PetCtStudy(ct=grid, pet=None, ct_headers=tuple(headers))


COMMON = {
    0x00080016: ("UI", "1.2.840.10008.5.1.4.1.1.2"),
    0x00080020: ("DA", "20200101"),
    0x00080030: ("TM", "120000"),
    0x00080050: ("SH", ""),
    0x00080060: ("CS", "CT"),
    0x00080090: ("PN", ""),
    0x00100010: ("PN", "A^B"),
    0x00100020: ("LO", "1"),
    0x00100030: ("DA", ""),
    0x00100040: ("CS", "O"),
    0x0020000D: ("UI", "1.2.3.1"),
    0x0020000E: ("UI", "1.2.3.2"),
    0x00200010: ("SH", "1"),
    0x00200011: ("IS", "1"),
    0x00200013: ("IS", "1"),
    0x00200052: ("UI", "1.2.3.3"),
}


# --- masks, and finding ---


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

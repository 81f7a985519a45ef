"""Contours lie where they were drawn: spheres on turned grids, on other planes, voxel by voxel."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from PEMMASegmentLib.core.images import array, like
from PEMMASegmentLib.core.metrics import dice
from PEMMASegmentLib.study.annotation.polygons import fill
from PEMMASegmentLib.study.annotation.stacks import even_odd

from .contours import sphere_contours
from .grids import centroid_mm, codes, oblique_grid, points_mm

rotations = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed))
spacings = st.tuples(*[st.floats(1.0, 4.0)] * 3)


@settings(max_examples=15)
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


@settings(max_examples=40)
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

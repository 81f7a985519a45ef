"""Contours on other slices than the study's: each plane is as thick as it was drawn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.core.images import array
from PEMMASegmentLib.study.annotation.polygons import fill

from .contours import circles, disc_ml, read_ml
from .grids import codes, upright_grid


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


@settings(max_examples=60)
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

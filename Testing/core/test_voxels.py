"""Lesions as a list of voxels: the same components, boxes and numbers as in an array of the whole grid."""

import tracemalloc
from unittest import mock

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from PEMMASegmentLib.core import voxels
from PEMMASegmentLib.core.components import components
from PEMMASegmentLib.core.voxels import Voxels, largest_first, union

sizes = st.tuples(*[st.integers(1, 7)] * 3)


def listed(numbers: np.ndarray) -> Voxels:
    return Voxels(numbers.shape, np.flatnonzero(numbers), numbers[numbers > 0].astype(np.uint16))


@settings(max_examples=300)
@given(arrays(np.uint8, sizes, elements=st.sampled_from([0, 0, 1])), st.integers(0, 3), st.sampled_from([0, 1]))
def test_components_and_their_boxes_are_those_of_the_array(marked, smallest, dense_above):
    numbers, boxes = components(sitk.GetImageFromArray(marked), smallest)
    with mock.patch.object(voxels, "DENSE", dense_above):  # both ways to find them
        found = largest_first(marked != 0, smallest)
        there = list(found.boxes())
    assert np.array_equal(found.array(), numbers) and found.highest == len(boxes) and len(found.lesions) == len(boxes)
    for (number, box, inside), expected in zip(there, boxes, strict=True):
        assert box == expected and np.array_equal(inside, numbers[box] == number)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("dense_above", [0, 1])
def test_components_of_larger_grids_are_the_same(share, dense_above, monkeypatch):
    monkeypatch.setattr(voxels, "DENSE", dense_above)
    marked = np.random.default_rng(3).random((20, 31, 27)) < share
    numbers, _ = components(sitk.GetImageFromArray(marked.astype(np.uint8)))
    assert np.array_equal(largest_first(marked).array(), numbers)


@pytest.mark.parametrize("dense_above", [0, 1])
def test_of_more_components_than_numbers_the_smallest_are_left_out(dense_above, monkeypatch):
    monkeypatch.setattr(voxels, "DENSE", dense_above)
    marked = np.zeros((2, 600, 600), bool)
    marked[0, ::2, ::2] = marked[1, -2, -2] = True  # 90000 specks, the last one of two voxels
    found = largest_first(marked)
    assert found.highest == len(found.lesions) == 65535 and found.array()[1, -2, -2] == 1


def test_a_body_of_lesions_fits_into_memory():
    marked = np.ones((32, 128, 128), bool)
    tracemalloc.start()
    assert [number for number, _, _ in largest_first(marked).boxes()] == [1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * marked.size  # bytes: an index of 64 bits, its lesion, and the array of all


@settings(max_examples=100)
@given(st.data(), sizes)
def test_lesions_over_others_take_their_voxels(data, size):
    below, above = (data.draw(arrays(np.uint16, size, elements=st.integers(0, 3))) for _ in range(2))
    expected = np.where(above > 0, above, below)
    assert np.array_equal(listed(below).below(listed(above)).array(), expected)
    assert np.array_equal(listed(below).with_lesion(9, (slice(0, 1),) * 3, np.ones((1, 1, 1), bool)).array()[0, 0, 0], 9)
    assert np.array_equal(listed(below).under(np.arange(below.size)), below.ravel())
    assert union(np.flatnonzero(below), np.flatnonzero(above)).tolist() == np.flatnonzero(expected).tolist()

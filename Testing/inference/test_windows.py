"""windows.py: held to MONAI's sliding_window_inference, and padding where the volume is smaller than a window."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.inference import windows


def _net(channels: int = 2) -> torch.nn.Module:
    torch.manual_seed(1)
    return torch.nn.Conv3d(1, channels, 5, padding=2).eval()


def _stitched(net, volume, box, window, batch=2, padding=0.0):
    plan = windows.plan(np.array(box), tuple(volume.shape[1:]), window)
    stitcher = windows.Stitcher(plan, torch.device("cpu"))
    for starts, tensors in windows.batches(plan, {"ct": windows.cut(volume, plan, padding)}, batch):
        logits = net(tensors["ct"])
        for start, difference in zip(starts, logits[:, 1] - logits[:, 0], strict=True):
            stitcher.add(start, difference)
    return plan, stitcher.probability()


@pytest.mark.parametrize("shape", [(20, 33, 27), (16, 16, 16), (40, 9, 31), (7, 8, 15)])
@torch.no_grad()
def test_equals_monai_on_the_same_grid(shape):
    from monai.inferers import sliding_window_inference

    volume, net, window = torch.randn(1, *shape), _net(), (16, 16, 16)
    plan, ours = _stitched(net, volume, [(0, n) for n in shape], window, padding=-0.5)
    theirs = sliding_window_inference(volume[None], window, 3, net, overlap=0.5, mode="gaussian", cval=-0.5)
    inside = tuple(slice(max(-low, 0), max(-low, 0) + n) for low, n in zip(plan.start, shape, strict=True))
    torch.testing.assert_close(ours[inside], theirs.softmax(1)[0, 1], atol=3e-6, rtol=0)


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 59), st.integers(1, 60), st.integers(4, 24)),
                min_size=3, max_size=3))
@settings(max_examples=200)
def test_windows_have_one_size_and_cover_the_box(axes):
    shape, window = tuple(a[0] for a in axes), tuple(a[3] for a in axes)
    box = [(min(low, n - 1), min(n, min(low, n - 1) + length)) for n, low, length, _ in axes]
    plan = windows.plan(np.array(box), shape, window)
    for axis in range(3):
        covered = {start[axis] + plan.start[axis] + i for start in plan.starts for i in range(window[axis])}
        assert covered >= set(range(*box[axis]))
        assert covered == set(range(plan.start[axis], plan.start[axis] + plan.size[axis]))
        if window[axis] <= shape[axis]:  # image is taken before padding is
            assert min(covered) >= 0 and max(covered) < shape[axis]
    assert windows.cut(torch.zeros(1, *shape), plan, -1.0).shape[1:] == plan.size


def test_padding_lies_where_the_grid_has_no_voxels():
    plan = windows.plan(np.array([(0, 2), (0, 6), (1, 3)]), (2, 6, 4), (5, 4, 3))
    part = windows.cut(torch.ones(1, 2, 6, 4), plan, -7.0)
    assert plan.start == (-1, 0, 0) and plan.size == (5, 6, 3)
    assert (part[0, 1:3] == 1).all() and (part[0, 0] == -7).all() and (part[0, 3:] == -7).all()

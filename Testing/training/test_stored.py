"""Stored cases: they come back bit for bit, and only what is used of them comes into memory."""

from pathlib import Path

import numpy as np
import torch

from PEMMASegmentLib.training.case import TrainingCase
from PEMMASegmentLib.training.stored import mapped, put


def test_stored_cases_come_back_in_order_and_stay_in_their_files(tmp_path):
    rng = np.random.default_rng(0)
    ct, pet, label = torch.from_numpy(rng.normal(size=(3, 4, 5, 6)).astype(np.float32))
    wanted = [TrainingCase("b", ct, None, label), TrainingCase("a \u00e9", ct + 1, pet, label)]
    for n, case in enumerate(wanted):
        put(tmp_path / f"{n}.safetensors", case, 100.1 + n)
    found, longest = mapped(tmp_path)
    assert [case.name for case in found] == ["b", "a \u00e9"] and found[0].pet is None and longest == 101.1
    for one, other in zip(found, wanted, strict=True):
        for name in ("ct", "pet", "label"):
            image = getattr(one, name)
            assert image is None or torch.equal(image, getattr(other, name))
    if Path("/proc/self/maps").exists():
        assert str(tmp_path / "1.safetensors") in Path("/proc/self/maps").read_text()

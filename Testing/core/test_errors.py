"""What the system refuses comes out as an error that the user can act on; bugs come out as they are."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib.core import PemmaError, system_told


def write_to_a_full_disk() -> None:
    with open("/dev/full", "w") as stream:
        stream.write("words")


@pytest.mark.parametrize("ask, code", [
    (lambda: np.zeros(2**50), "memory"),
    (lambda: torch.empty(2**50), "memory"),
    (lambda: sitk.Image([60_000] * 3, sitk.sitkFloat64), "memory"),
    (lambda: Path("a" * 300).stat(), "bad-path"),
    (write_to_a_full_disk, "cannot-write"),
])  # fmt: skip
def test_what_the_system_refuses_is_told_with_a_way_out(ask, code):
    with pytest.raises(PemmaError) as told, system_told():
        ask()
    assert told.value.code == code and told.value.way_out and told.value.__cause__ is not None


@pytest.mark.parametrize("ask", [lambda: Path("nowhere").stat(), lambda: torch.ones(2) @ torch.ones(3), lambda: 1 / 0])
def test_a_bug_stays_one(ask):
    with pytest.raises((FileNotFoundError, RuntimeError, ZeroDivisionError)), system_told():
        ask()

"""What the system refuses comes out as an error that the user can act on; bugs come out as they are."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from safetensors import SafetensorError

from PEMMASegmentLib.core import PemmaError, system_told

NO_SPACE = 112 if os.name == "nt" else errno.ENOSPC  # the system's own number, which Rust tells


def write_to_a_full_disk() -> None:
    with open("/dev/full", "w") as stream:
        stream.write("words")


def write_weights(number: int) -> None:
    raise SafetensorError(f"Error while serializing: I/O error: some words (os error {number})")


def write_to_a_disk_that_is_only_read() -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), "run")


@pytest.mark.parametrize("ask, code", [
    (lambda: np.zeros(2**50), "memory"),
    (lambda: torch.empty(2**50), "memory"),
    (lambda: sitk.Image([60_000] * 3, sitk.sitkFloat64), "memory"),
    (lambda: Path("a" * 300).stat(), "bad-path"),
    (write_to_a_full_disk, "cannot-write"),
    (lambda: write_weights(NO_SPACE), "cannot-write"),
    (lambda: write_weights(errno.EIO), "file-failed"),
    (lambda: write_weights(errno.EFBIG), "file-failed"),
    (write_to_a_disk_that_is_only_read, "no-permission"),
    (lambda: (Path(__file__) / "run").mkdir(), "bad-path"),
])  # fmt: skip
def test_what_the_system_refuses_is_told_with_a_way_out(ask, code):
    with pytest.raises(PemmaError) as told, system_told():
        ask()
    assert told.value.code == code and told.value.way_out and told.value.__cause__ is not None


def not_loaded(number: int) -> OSError:
    """As Windows tells torch, and Python, that a library is not there."""
    error = OSError(errno.EINVAL, "The specified module could not be found")
    error.winerror = number
    return error


@pytest.mark.parametrize("error", [
    not_loaded(126),
    ImportError("DLL load failed while importing _multiarray_umath: The specified module could not be found."),
])  # fmt: skip
def test_a_library_that_windows_lacks_is_named(error):
    with pytest.raises(PemmaError, match="Visual C") as told, system_told():
        raise error
    assert told.value.code == "library-failed"


def test_a_link_that_leads_to_itself_is_no_bug(tmp_path):
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for ask in (loop.resolve, loop.read_bytes):
        with pytest.raises(PemmaError, match="leads to itself") as told, system_told():
            ask()
        assert told.value.code == "bad-path"


def test_a_working_folder_that_is_gone_is_no_bug(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(PemmaError, match="was deleted") as told, system_told():
        Path("out").resolve()
    assert told.value.code == "bad-path"


def no_safetensors() -> None:
    raise SafetensorError("Error while deserializing header: header too small")


@pytest.mark.parametrize("ask", [lambda: Path("nowhere").stat(), lambda: torch.ones(2) @ torch.ones(3), lambda: 1 / 0,
                                 no_safetensors])
def test_a_bug_stays_one(ask):
    with pytest.raises((FileNotFoundError, RuntimeError, ZeroDivisionError, SafetensorError)), system_told():
        ask()

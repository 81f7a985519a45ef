"""Folders come into their place whole, also where a mounted one can't be renamed, or the disk refuses."""

import errno
import os
import resource
import shutil
import stat
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.files import place_folder, write_text
from PEMMASegmentLib.core.folders import can_replace, is_plain_name, recover_folder, replace_folder, unfinished_folder
from PEMMASegmentLib.network.library import import_model

DEVICES = ["CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))]


@pytest.mark.parametrize("name", ["a", "7", "site-A_2+b.c", "x" * 80, "none", "CONE", "com0", "lpt10", "a.CON"])
def test_plain_names(name):
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "-a", "_a", "+a", "a.", "a b", "a/b", "a\\b", "a:b", "ä", "a\n", "٣", "x" * 81, *DEVICES,
             "nul.txt", "Con.a.b", "com1.model"]
)  # fmt: skip
def test_names_that_some_system_refuses(name):
    assert not is_plain_name(name)


@given(st.text(max_size=90) | st.from_regex(r"[A-Za-z0-9._+-]{1,90}", fullmatch=True))
def test_a_plain_name_stays_one_in_any_case_and_is_one_part_of_a_path(name):
    plain = is_plain_name(name)
    assert plain in (False, name.isascii()) and plain == is_plain_name(name.swapcase() if name.isascii() else name)
    if plain:
        assert Path("folder", name).name == name and PureWindowsPath("C:/folder", name).name == name
        assert not name.endswith((".", " ")) and not PureWindowsPath(name).is_reserved()


def test_a_folder_is_replaced_where_paths_do_not_know_mounts(tmp_path, monkeypatch):
    def unknown(self):
        raise NotImplementedError  # Windows before Python 3.12

    monkeypatch.setattr(Path, "is_mount", unknown)
    out = tmp_path / "out"
    assert can_replace(out) and replace_folder(out, lambda new: (new / "a").write_text("1"), "a") == ["a"]
    recover_folder(out)
    assert unfinished_folder(out) == tmp_path / ".out.unfinished"


def test_a_mounted_folder_is_filled_and_what_is_unfinished_stays_in_it(tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    work = unfinished_folder(out)
    work.mkdir()
    for text in "12":
        replace_folder(out, lambda new, text=text: (new / text).write_text(text), "2")
    recover_folder(out)
    assert can_replace(out) and sorted(out.iterdir()) == [work, out / "2"] and list(tmp_path.iterdir()) == [out]


def test_the_folder_that_a_program_works_in_keeps_its_place(tmp_path, monkeypatch):
    """Renamed, it would take the program along and be deleted under it, and under the shell that it was started from."""
    out = tmp_path / "out"
    out.mkdir()
    monkeypatch.chdir(out)
    work = unfinished_folder(out)
    work.mkdir()
    for text in "12":
        replace_folder(out, lambda new, text=text: (new / text).write_text(text), "2")
        recover_folder(out)
        assert can_replace(out) and Path(text).read_text() == text
    assert sorted(out.iterdir()) == [work, out / "2"] and list(tmp_path.iterdir()) == [out]
    shutil.rmtree(out)
    assert unfinished_folder(tmp_path / "other").parent == tmp_path  # also from a folder that was deleted


def test_a_network_folder_without_permissions_and_flushing_takes_files_and_folders(tmp_path, monkeypatch):
    """GNOME's SMB knows no chmod; VirtualBox and older CIFS flush no folder."""
    flush = os.fsync

    def no_chmod(path, *_, **__):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported", str(path))

    def no_folder(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(descriptor)

    monkeypatch.setattr(os, "chmod", no_chmod)
    monkeypatch.setattr(os, "fsync", no_folder)
    write_text(tmp_path / "file", "text")
    place_folder(tmp_path / "placed", lambda folder: folder.mkdir())
    assert can_replace(tmp_path / "out") and sorted(os.listdir(tmp_path)) == ["file", "placed"]


def test_whether_a_folder_can_be_replaced_is_tried(tmp_path, monkeypatch):
    out = tmp_path / "out"
    replace_folder(out, lambda new: write_text(new / "a", "1"), "a")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))  # like a full disk
    try:
        assert not can_replace(out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert can_replace(out)
    hold_open(out, monkeypatch)
    assert not can_replace(out)
    assert (out / "a").read_text() == "1" and list(tmp_path.iterdir()) == [out]


def hold_open(out, monkeypatch):
    """As on Windows when another program has a file of the folder open."""
    rename = os.rename

    def refused(source, target):
        if Path(source) == out:
            raise PermissionError(errno.EACCES, "Access is denied", str(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", refused)


def test_where_nothing_can_be_placed_the_reason_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PemmaError, match="can't be copied"):
        place_folder(tmp_path / "file" / "name", lambda folder: folder.mkdir())


@pytest.mark.parametrize("put", [place_folder, lambda target, fill: replace_folder(target, fill, "a")])
def test_what_can_not_be_filled_leaves_no_folder_that_was_made_for_it(tmp_path, put):
    def full(folder):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises((PemmaError, OSError)):
        put(tmp_path / "new" / "newer" / "target", full)
    assert not any(tmp_path.iterdir())


def test_a_model_from_a_disc_that_can_only_be_read_is_taken_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    (tmp_path / "disc" / "reference").mkdir(parents=True)
    (tmp_path / "disc" / "model.json").write_text("{}")
    for path in (tmp_path / "disc" / "model.json", tmp_path / "disc" / "reference", tmp_path / "disc"):
        path.chmod(0o555)
    folder = import_model(tmp_path / "disc", "name")
    assert all(os.stat(path).st_mode & 0o200 for path in (folder, *folder.rglob("*")))
    shutil.rmtree(folder)

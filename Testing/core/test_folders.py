"""Folders come into their place whole, also where a mounted one can't be renamed, or the disk refuses."""

import os
import shutil
from pathlib import Path

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.files import place_folder
from PEMMASegmentLib.core.folders import can_replace, recover_folder, replace_folder, unfinished_folder
from PEMMASegmentLib.network.library import import_model


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


def test_where_nothing_can_be_placed_the_reason_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PemmaError, match="can't be copied"):
        place_folder(tmp_path / "file" / "name", lambda folder: folder.mkdir())


def test_a_model_from_a_disc_that_can_only_be_read_is_taken_in(tmp_path, monkeypatch):
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    (tmp_path / "disc" / "reference").mkdir(parents=True)
    (tmp_path / "disc" / "model.json").write_text("{}")
    for path in (tmp_path / "disc" / "model.json", tmp_path / "disc" / "reference", tmp_path / "disc"):
        path.chmod(0o555)
    folder = import_model(tmp_path / "disc", "name")
    assert all(os.stat(path).st_mode & 0o200 for path in (folder, *folder.rglob("*")))
    shutil.rmtree(folder)

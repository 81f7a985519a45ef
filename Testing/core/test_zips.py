"""Zips that do harm, are damaged, or packed in an unusual way are refused before anything is written."""

import shutil
import stat
import zipfile
from pathlib import Path

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.zips import opened, unpack


def written(file: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return file


def link() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    return entry


def encrypted(file: Path) -> Path:
    data = bytearray(written(file, ("a", b"text"), method=zipfile.ZIP_STORED).read_bytes())
    for start in (data.index(b"PK\3\4") + 6, data.index(b"PK\1\2") + 8):  # the flags, in both headers
        data[start] |= 1
    file.write_bytes(data)
    return file


def spoilt(file: Path) -> Path:
    data = written(file, ("a", bytes(range(256)))).read_bytes()
    file.write_bytes(data[:60] + b"\xff" * 40 + data[100:])
    return file


def understated(file: Path) -> Path:
    """Says that a member of 3000 bytes has 3."""
    data = written(file, ("a", bytes(3000))).read_bytes()
    file.write_bytes(data.replace((3000).to_bytes(4, "little"), (3).to_bytes(4, "little")))
    return file


def beheaded(file: Path) -> Path:
    """Without its first bytes, but with an index that counts from them."""
    file.write_bytes(written(file, ("a", b"text" * 9)).read_bytes()[30:])
    return file


def nameless(file: Path) -> Path:
    file.write_bytes(written(file, ("a", b"")).read_bytes().replace(b"a", b"\0"))
    return file


def refusal(why: str) -> PemmaError:
    return PemmaError("test-zip", why)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda f: written(f, ("a/../../evil", b"")), "outside"),
        (lambda f: written(f, ("/evil", b"")), "outside"),
        (lambda f: written(f, ("c:evil", b"")), "outside"),
        (lambda f: written(f, ("..\\evil", b"")), "outside"),
        (lambda f: written(f, (link(), b"../evil")), "links"),
        (lambda f: written(f, ("a", b""), ("A", b"")), "twice"),
        (lambda f: written(f, ("a/b", b""), ("a", b"")), "twice"),
        (lambda f: written(f, ("a", bytes(9 << 20))), "too large"),
        (lambda f: written(f, ("a.json", bytes(5 << 20))), "too large"),
        (lambda f: written(f, ("a", b"text"), method=zipfile.ZIP_LZMA), "unusual"),
        (encrypted, "encrypted"),
        (spoilt, "damaged"),
        (understated, "damaged"),
        (beheaded, "damaged"),
        (nameless, "without a name"),
        (lambda f: f.write_bytes(b"PK nothing") and f, "no zip"),
    ],
)
def test_what_can_do_harm_is_refused(make, words, tmp_path):
    (tmp_path / "into").mkdir()
    with pytest.raises(PemmaError, match=words):
        unpack(make(tmp_path / "bad.zip"), tmp_path / "into", 8 << 20, refusal)
    assert not list(tmp_path.rglob("evil*"))


def test_files_and_folders_come_out(tmp_path):
    (tmp_path / "into").mkdir()
    unpack(written(tmp_path / "good.zip", ("a/", b""), ("a/b", b"text"), ("c", b"")), tmp_path / "into", 4, refusal)
    assert (tmp_path / "into/a/b").read_bytes() == b"text" and (tmp_path / "into/c").is_file()


@pytest.mark.parametrize("outer", ["", "./", "outer/", "outer/inner/"])
def test_what_packing_again_adds_does_not_come_out(outer, tmp_path):
    """By the Finder and the Explorer, which open a zip as a folder and make a zip of that folder."""
    (tmp_path / "into").mkdir()
    names = ["__MACOSX/._outer", "__MACOSX/outer/a/._b", ".DS_Store"]
    names += [f"{outer}{name}" for name in ("a/", "a/Thumbs.db", "a/._b", "desktop.ini", "a/b", "c")]
    unpack(written(tmp_path / "good.zip", *((name, b"") for name in names)), tmp_path / "into", 0, refusal)
    found = {file.relative_to(tmp_path / "into").as_posix() for file in (tmp_path / "into").rglob("*") if file.is_file()}
    assert found == {"a/b", "c"}


def test_a_full_disk_is_not_the_fault_of_the_zip(tmp_path, monkeypatch):
    (tmp_path / "into").mkdir()
    file = written(tmp_path / "good.zip", ("a", b"text"))
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 6, 3))
    with pytest.raises(PemmaError, match="No space left .*free some space") as told:
        unpack(file, tmp_path / "into", 4, refusal)
    assert told.value.code == "zip-unpack" and not any((tmp_path / "into").iterdir())


def test_where_nothing_is_there_is_nothing_to_open(tmp_path):
    with pytest.raises(PemmaError, match="no such file or folder.*check the path"), \
            opened(tmp_path / "none", lambda folder: folder, 4, refusal):
        pass

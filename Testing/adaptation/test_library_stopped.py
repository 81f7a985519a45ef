"""Programs that are killed, or work on one library at once: nothing half, nothing lost."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from PEMMASegmentLib.adaptation import cards, keys, volumes
from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.core import PemmaError

from . import small
from .libraries import left_over, refused


def test_of_two_programs_that_make_a_key_the_first_ones_stands(library):
    small.add(library, 0)
    key = (library.folder / "private" / "key").read_bytes()
    keys.make(library.folder / "private")  # what the slower program does
    assert (library.folder / "private" / "key").read_bytes() == key and left_over(library) == []


@pytest.mark.parametrize("stop", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_first_case_that_can_not_be_written_leaves_no_library(library, monkeypatch, stop):
    def stopped(*_):
        raise stop

    monkeypatch.setattr(volumes, "write", stopped)
    with pytest.raises((PemmaError, KeyboardInterrupt)):
        small.add(library, 0, "Anna")
    assert not library.folder.exists()


def test_a_case_that_another_program_removes_meanwhile_is_not_called_damaged(library, monkeypatch):
    small.add(library, 0)
    kept, going = sorted(library.ids() + [small.add(library, 1).id])
    understand = cards.from_text

    def removing(text: bytes, id: str):
        if id == going:
            library.remove(id)
        return understand(text, id)

    monkeypatch.setattr(cards, "from_text", removing)
    assert library.damaged() == [] and library.ids() == [kept]


def test_several_programs_at_once_lose_nothing(library, tmp_path):
    """Four programs make the same new library and add to it; every study of 0 to 7 is given to two of them."""
    shares = [(0, 1, 2, 3, 4), (4, 3, 5, 6), (7, 0, 1, 5), (2, 6, 7, 8)]
    start = tmp_path / "start"
    command = [sys.executable, small.__file__, "add", str(library.folder), str(start)]
    programs = [subprocess.Popen([*command, *map(str, share)], stdout=subprocess.PIPE, text=True) for share in shares]
    assert [program.stdout.readline() for program in programs] == ["ready\n"] * 4
    start.touch()
    said = [program.communicate(timeout=120)[0].split() for program in programs]
    assert all(program.returncode == 0 for program in programs)
    refusals = [code for words in said for code in words[1::2]]
    assert set(refusals) == {"case-known"} and len(refusals) == sum(map(len, shares)) - 9
    assert len(library.ids()) == 9 and library.damaged() == [] and left_over(library) == []
    assert len({library.check(id).patient for id in library.ids()}) == 3  # one key for all


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
@pytest.mark.parametrize("action", ["import", "replace"])
def test_killed_at_any_moment_it_leaves_no_half_case(library, tmp_path, action):
    """A child dies at its n-th touch of a file, for every n; what is listed then is checked by hash."""
    source = CaseLibrary(tmp_path / "source")
    first, second = small.add(source, 0).id, small.add(source, 1).id
    source.export([first, second], tmp_path / "cases.zip")
    if action == "replace":
        small.add(library, 1)  # removed, and the first added
    done = subprocess.run([sys.executable, small.__file__, "kill", str(library.folder), action],
                          capture_output=True, text=True, timeout=300)  # fmt: skip
    assert done.returncode == 0, done.stderr
    *died, last = [(int(code), set(left)) for code, *left in map(str.split, done.stdout.splitlines())]
    assert len(died) > 20 and {code for code, _ in died} == {small.KILLED}
    seen = {frozenset(left) for _, left in died}
    if action == "import":
        assert frozenset() in seen and last == (0, {first, second})
    else:
        assert {frozenset(), frozenset([second])} <= seen <= {frozenset(), frozenset([second]), frozenset([first])}
        assert last == (0, {first})


def test_a_case_is_on_the_disk_when_it_is_told(library, tmp_path, monkeypatch):
    """Files before the rename that gives them their place, the place's own name after it."""
    done, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (done.append(os.readlink(f"/proc/self/fd/{handle}")), fsync(handle)))
    card = small.add(library, 0)
    assert done[-1] == str(library.folder / "cases") and str(library.folder) in done
    library.export([card.id], tmp_path / "cases.zip")
    done.clear()
    CaseLibrary(tmp_path / "other").import_(tmp_path / "cases.zip")
    assert done[-1] == str(tmp_path / "other" / "cases")
    assert {"case.json", "ct.nii.gz", "mask.nii.gz"} <= {Path(name).name for name in done}


def test_what_a_killed_program_left_goes_with_time(library):
    small.add(library, 0)
    old, new = library.folder / ".writing-old", library.folder / ".writing-new"
    for folder in (old, new, library.folder / ".removed-x"):
        folder.mkdir()
    os.utime(old, (0, 0))
    small.add(library, 1)
    assert left_over(library) == [new.name]


def test_a_case_is_removed_although_another_program_sweeps_meanwhile(library, monkeypatch):
    card, real, swept = small.add(library, 0), os.rename, []

    def rename(source, target):
        if not swept:  # the other program finds our folder before the case is in it
            swept.append(shutil.rmtree(Path(target).parent))
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    library.remove(card.id)
    assert library.ids() == [] and left_over(library) == [] and swept
    refused("case-unknown", library.remove, card.id)

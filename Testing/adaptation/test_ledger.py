"""The ledger of tries: what was looked at is counted once, told when it is lost, and goes with the cases."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.adaptation.ledger import Tries, WithOwn, open_scores
from PEMMASegmentLib.adaptation.library import CaseLibrary

from . import small
from .libraries import refused


def test_a_users_folder_that_can_not_be_written_is_named_by_its_variable(tmp_path):
    (tmp_path / "file").write_text("")
    ledger = CaseLibrary(tmp_path / "file" / "tries")
    assert "PEMMA_SEGMENT_HOME" in refused("cannot-write", ledger.pseudonym, "Anna").way_out


def test_the_ledger_of_tries_keeps_what_was_deleted(library):
    assert library.tries() == []
    made = looked_at("P-" + "0" * 12, 0, 1, 2)
    for about in (*made, made[1]):  # the same once more
        library.record_try(about)
    assert library.tries() == made
    first, second, _ = sorted((library.folder / "tries").iterdir())
    first.unlink()
    second.write_text("{")
    lost = [{"lost": hashlib.sha256(file.stem.encode()).hexdigest()} for file in (first, second)]
    assert library.tries() == [*lost, made[2]]
    shutil.rmtree(library.folder / "tries")
    assert len(library.tries()) == 3


def looked_at(patient: str, *numbers: int) -> list[dict]:
    return [{"try": f"{number:064x}", "procedure": "salt", "seed": number, "held_out": [patient]} for number in numbers]


_json = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda one: st.lists(one, max_size=3)
                     | st.dictionaries(st.sampled_from(["try", "lost", "held_out", "images", "x"]), one))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=_json | st.fixed_dictionaries({"about": _json, "number": _json}))
@example(entry={"about": {}, "number": 1})
@example(entry={"about": {"try": "x", "held_out": None}, "number": 1})
@example(entry={"about": looked_at("P-" + "0" * 12, 0)[0], "number": 1e999})
@example(entry={"about": looked_at("P-" + "0" * 12, 0)[0], "number": 10**30})
def test_an_entry_that_is_none_of_ours_is_told_as_lost(tmp_path_factory, entry):
    library, [ours, later] = CaseLibrary(tmp_path_factory.mktemp("one")), looked_at("P-" + "0" * 12, 0, 1)
    library.record_try(ours)
    next((library.folder / "tries").iterdir()).write_text(json.dumps(entry))
    told = open_scores(library, later)
    assert len(library.tries()) == 2
    sound = isinstance(entry, dict) and isinstance(entry.get("about"), dict) and {"try", "held_out"} <= entry["about"].keys()
    assert told == Tries(2, lost=1) or sound and told.count in (1, 2)


def test_a_try_deleted_with_its_name_is_told_by_the_numbers_of_later_ones(library):
    for about in looked_at("P-" + "0" * 12, 0, 1, 2, 3):
        library.record_try(about)
    first, second, *_ = sorted((library.folder / "tries").iterdir())
    for entry in (first, second):
        entry.unlink()
        (library.folder / "private" / f"try-{entry.stem}").unlink()
    found = library.tries()
    assert found == library.tries() and [one.get("seed") for one in found] == [2, 3, None, None]
    assert len({one["lost"] for one in found[2:]}) == 2
    library.record_try(looked_at("P-" + "0" * 12, 4)[0])
    assert sum("lost" in one for one in library.tries()) == 2


def test_tries_go_with_the_cases_and_nothing_of_identity_with_them(library, tmp_path):
    anna, other = small.add(library, 0, "Anna"), small.add(library, 1, "Berta")
    for about in (*looked_at(anna.patient, 1, 2, 3), *looked_at(other.patient, 4)):
        library.record_try(about | {"words": "SALT on the weights 'Anna'"})
    entries = sorted((library.folder / "tries").iterdir())
    entries[0].unlink()
    library.export([anna.id], tmp_path / "cases.zip")
    told = zipfile.ZipFile(tmp_path / "cases.zip").read("tries.json")
    assert b"Anna" not in told and entries[0].stem.encode() not in told  # the name has a date
    new = CaseLibrary(tmp_path / "new")
    small.add(new, 2)
    for _ in range(2):  # once more: nothing new
        new.import_(tmp_path / "cases.zip")
        kept = [{"try": about["try"], "held_out": [anna.patient]} for about in looked_at(anna.patient, 2, 3)]
        assert [one for one in new.tries() if "try" in one] == kept and len(new.tries()) == 3
    mine = looked_at(anna.patient, 5)[0]
    assert open_scores(new, mine) == Tries(4, lost=1) == open_scores(new, mine)  # the fourth look, as it would be at home
    library.import_(tmp_path / "cases.zip")
    assert len(library.tries()) == 4


def test_a_try_on_images_goes_with_them_whatever_the_patient_is_called(library, tmp_path):
    """A study that was taken out and added again under another name is of the same patient, also for another library."""
    case = small.add(library, 0, "Anna")
    images = sorted(volume.content[:12] for name, volume in case.volumes.items() if name != "mask")
    [first, foreign] = looked_at(case.patient, 1, 2)
    library.record_try(first | {"images": images})
    library.record_try(foreign | {"held_out": ["P-" + "0" * 12], "images": ["0" * 12]})
    library.remove(case.id)
    again = small.add(library, 0, "Berta")
    assert again.patient != case.patient
    library.export([again.id], tmp_path / "cases.zip")
    new = CaseLibrary(tmp_path / "new")
    new.import_(tmp_path / "cases.zip")
    assert new.tries() == [{"try": first["try"], "held_out": [case.patient], "images": images}]
    for book, tries in ((library, 2), (new, 2)):
        entry = looked_at(again.patient, 5)[0]
        assert open_scores(book, entry | {"images": images}).count == tries
    assert open_scores(library, looked_at(again.patient, 6)[0]).count == 2  # by an earlier version, without images


@pytest.fixture
def with_own(library, tmp_path) -> WithOwn:
    return WithOwn(library, CaseLibrary(tmp_path / "own"))


def on_images(case, *numbers: int) -> list[dict]:
    images = sorted(volume.content[:12] for name, volume in case.volumes.items() if name != "mask")
    return [about | {"words": "Anna", "images": images} for about in looked_at(case.patient, *numbers)]


@pytest.mark.parametrize("lost_in", ["library", "own", "both"])
@pytest.mark.parametrize("lose", [Path.unlink, lambda file: file.write_text("{")], ids=["deleted", "damaged"])
def test_a_try_that_one_of_two_ledgers_lost_counts_once(library, with_own, lost_in, lose):
    first, second = on_images(small.add(library, 0), 1, 2)
    assert open_scores(with_own, first) == Tries(1)
    for book in (library, with_own.own):
        if lost_in == "both" or (book is library) == (lost_in == "library"):
            lose(next((book.folder / "tries").iterdir()))
    assert open_scores(with_own, second) == Tries(2, lost=lost_in == "both")


def test_the_users_ledger_learns_what_only_the_library_knew_and_an_export_tells_both(library, with_own, tmp_path):
    case = small.add(library, 0)
    imported, ours, elsewhere, foreign = on_images(case, 1, 2, 3, 4)
    library.record_try(imported)  # or by an earlier version
    library.record_try(looked_at(case.patient, 5)[0])  # a try before there were images
    with_own.record_try(ours)
    assert with_own.own.tries() == [{"try": one["try"], "held_out": [], "images": ours["images"]} for one in (imported, ours)]
    with_own.own.record_try(elsewhere | {"held_out": ["P-" + "1" * 12]})
    with_own.own.record_try(foreign | {"images": ["0" * 12]})
    library.export([case.id], tmp_path / "cases.zip", with_own.own)
    told = json.loads(zipfile.ZipFile(tmp_path / "cases.zip").read("tries.json"))
    assert {one["try"][-1]: one["held_out"] for one in told} == dict.fromkeys("125", [case.patient]) | {"3": []}
    assert len(told) == 4 and all(one.keys() <= {"try", "held_out", "images"} for one in told)


def test_a_new_key_does_not_make_old_tries_those_of_strangers(library):
    patient = library.pseudonym("Anna")
    library.record_try(looked_at(patient, 1)[0])
    (library.folder / "private" / "key").unlink()
    assert "cases add" in refused("library-key", library.pseudonym, "Anna").way_out


def test_of_two_programs_at_once_the_later_one_counts_both(library):
    """The other program opens its scores between our looking into the ledger and our writing."""
    library.pseudonym("Anna")
    ours, others = looked_at("P-" + "0" * 12, 1, 2)

    class Slow:
        tries = library.tries

        def record_try(self, about: dict) -> None:
            assert open_scores(library, others).count == 1
            library.record_try(about)

    assert open_scores(Slow(), ours).count == 2

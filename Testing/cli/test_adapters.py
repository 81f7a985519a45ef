"""`adapters`: taken in from folder and zip, listed by hash, used by name, given away, taken out; bad zips are refused."""

import json
import os
import shutil
import warnings
import zipfile
from dataclasses import replace

import pytest

from PEMMASegmentLib.adaptation import installed
from PEMMASegmentLib.adaptation.installed import (
    check_adapter,
    export_adapter,
    find_adapter,
    note_adapter,
    rename_adapter,
)
from PEMMASegmentLib.adapters import AdapterCard, read_card, save, write_card
from PEMMASegmentLib.cli import main
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.network.files import load_model

SCORES = {"sentence": "shown to help on 5 patients", "mean_gain": 0.0312, "interval_95": [0.01, 0.0525], "tries": 2,
          "cases": [{"case": "case 1", "before": 0.5, "after": 0.625}],
          "reference": {"cases": [], "sentence": "nothing forgotten"}}
DOUBLE = {"pet": [[0.0, 1.0, 1000.0], [0.0, 2.0, 2000.0]]}


@pytest.fixture
def adapter(even, tmp_path):
    """A folder with a map and two numbers for the model `even`, and a file that belongs to nobody."""
    card = AdapterCard("site-a", "1", None, "", (), load_model(even).identity, "ct+pet", threshold=0.45,
                       min_volume_ml=0.0, intensity=DOUBLE, verdict="accepted", origin={"tracer": ["FDG"]},
                       training={"case_ids": ["0123456789ab"]}, scores=SCORES)  # fmt: skip
    save(tmp_path / "made", {}, card)
    (tmp_path / "made" / "private.txt").write_text("nothing for others")
    return tmp_path / "made"


def ask(capsys, *arguments: str) -> dict:
    assert main(["adapters", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *arguments: str) -> str:
    assert main(["adapters", *map(str, arguments)]) == 1
    return capsys.readouterr().err


def test_the_life_of_an_adapter(adapter, even, own_home, tmp_path, capsys):
    taken = ask(capsys, "import", adapter)
    place = own_home / "adapters" / "site-a"
    assert [file.name for file in place.iterdir()] == ["adapter.json"]
    assert ask(capsys, "list")["adapters"] == [{**taken, "check": "ok"}] and taken["verdict"] == "accepted"
    assert ask(capsys, "show", "site-a")["card"]["intensity"] == DOUBLE
    assert main(["adapters", "show", "site-a"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for words in ("PET, 3 points", "verdict accepted", "mean gain +0.031 (95 % +0.010 to +0.052)", "case 1 Dice 0.500 -> 0.625",
                  "reference nothing forgotten", "library cases 0123456789ab"):
        assert words in shown
    assert "[adapter-exists]" in refused(capsys, "import", adapter)
    for out in (tmp_path / "given", tmp_path / "given.zip"):
        ask(capsys, "export", "site-a", out)
        assert "[adapter-exists]" in refused(capsys, "export", "site-a", out)
        ask(capsys, "remove", "site-a")
        assert list((own_home / "adapters").iterdir()) == []
        assert ask(capsys, "import", out) == taken
    assert (place / "adapter.json").read_bytes() == (adapter / "adapter.json").read_bytes()
    with zipfile.ZipFile(tmp_path / "given.zip") as archive:
        assert archive.namelist() == ["site-a/adapter.json"]
    assert "[adapter-foreign]" in refused(capsys, "remove", adapter) and adapter.is_dir()
    unknown = refused(capsys, "show", "site-b")
    assert "installed are: site-a" in unknown and "--adapter" not in unknown


def test_an_adapter_made_anew_is_not_passed_over_for_the_installed_one_of_its_name(adapter, tmp_path, monkeypatch, capsys):
    ask(capsys, "import", adapter)
    adapter.rename(tmp_path / "site-a")
    monkeypatch.chdir(tmp_path)
    assert ask(capsys, "show", "site-a")["card"]["threshold"] == 0.45
    write_card(tmp_path / "site-a", replace(read_card(tmp_path / "site-a"), threshold=0.3))
    said = refused(capsys, "show", "site-a")
    assert "[adapter-ambiguous" in said and "write ./site-a for the folder" in said
    assert ask(capsys, "show", "./site-a")["card"]["threshold"] == 0.3
    ask(capsys, "remove", "site-a")  # the installed one
    assert ask(capsys, "show", "site-a")["card"]["threshold"] == 0.3


def test_what_a_killed_import_left_goes_with_time(adapter, own_home, capsys):
    folder = own_home / "adapters"
    old, new = folder / ".pemma-importing-old", folder / ".pemma-importing-new"
    for left in (old, new):
        (left / "site-a").mkdir(parents=True)
    os.utime(old, (0, 0))
    ask(capsys, "import", adapter)
    assert {left.name for left in folder.iterdir()} == {new.name, "site-a"}


def test_an_adapter_is_removed_whole_or_not_at_all_and_what_is_left_of_one_too(adapter, own_home, monkeypatch, capsys):
    folder = own_home / "adapters"
    ask(capsys, "import", adapter)
    (folder / "site-a" / "adapter.json").unlink()  # as an interrupted removal left it
    assert ask(capsys, "list")["adapters"] == []
    assert "pemma-segment adapters remove site-a" in refused(capsys, "import", adapter)
    ask(capsys, "remove", "site-a")
    ask(capsys, "import", adapter)
    with monkeypatch.context() as patched:  # a file that another program holds: Windows refuses to rename its folder
        patched.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
        assert "[cannot-write]" in refused(capsys, "remove", "site-a")
    assert [one.name for one in folder.iterdir()] == ["site-a"] and ask(capsys, "list")["adapters"]
    with monkeypatch.context() as patched:  # killed before anything is deleted
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        ask(capsys, "remove", "site-a")
    ask(capsys, "import", adapter)
    assert [one["check"] for one in ask(capsys, "list")["adapters"]] == ["ok"]
    assert "[adapter-missing]" in refused(capsys, "remove", "../adapters")


def test_a_folder_around_an_adapter_is_told_as_one_without_a_card(adapter, capsys):
    said = refused(capsys, "import", adapter.parent)
    assert "[adapter-missing]" in said and "holds no adapter.json" in said and "adapters list" not in said


@pytest.mark.parametrize("act", [lambda place, out: note_adapter(place, "thigh"), lambda place, out: rename_adapter(place, "new"),
                                 lambda place, out: check_adapter(place), export_adapter,
                                 lambda place, out: export_adapter(place, out.with_suffix(".zip"))])  # fmt: skip
def test_an_adapter_that_another_program_removes_meanwhile_is_told_as_missing(act, adapter, tmp_path, monkeypatch, capsys):
    """At each reading of its card, the first, the second ..., until nothing is read after it."""
    real, left = installed.read_card, []

    def removed_then(folder):
        card = real(folder)
        left.pop()
        if not left:
            ask(capsys, "remove", place.name if place.is_dir() else "new")
        return card

    ask(capsys, "import", adapter)
    place = find_adapter("site-a")
    monkeypatch.setattr(installed, "read_card", removed_then)
    for reads in range(1, 9):
        left[:] = [None] * reads
        try:
            act(place, tmp_path / f"out{reads}")
        except PemmaError as error:
            assert error.code == "adapter-missing" and not list(tmp_path.glob("out*"))
            monkeypatch.setattr(installed, "read_card", real)
            ask(capsys, "import", adapter)
            monkeypatch.setattr(installed, "read_card", removed_then)
        else:
            break
    assert reads > 1


def test_of_two_programs_that_give_one_name_the_first_one_has_it(adapter, own_home, monkeypatch, capsys):
    ask(capsys, "import", adapter)
    place, real = find_adapter("site-a"), os.rename
    monkeypatch.setattr(os, "rename", lambda *names: (shutil.copytree(*names), real(*names)))
    with pytest.raises(PemmaError, match="adapter-exists"):
        rename_adapter(place, "new")


def test_an_adapter_whose_renaming_was_killed_has_the_name_of_its_folder(adapter, tmp_path, monkeypatch, capsys):
    ask(capsys, "import", adapter)
    with monkeypatch.context() as patched:
        patched.setattr(installed, "write_card", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            rename_adapter(find_adapter("site-a"), "new")
    [row] = ask(capsys, "list")["adapters"]
    assert row["name"] == "new" == ask(capsys, "show", row["name"])["name"]
    for out in (tmp_path / "given", tmp_path / "given.zip"):
        ask(capsys, "export", "new", out)
        ask(capsys, "remove", "new")
        assert ask(capsys, "import", out)["name"] == "new"


@pytest.mark.parametrize("text", ["[" * 200_000, '{"schema": 2, "name": "a", "x": ' + "9" * 5000 + "}"])
def test_a_card_that_no_json_reader_takes_is_told_in_the_list(adapter, own_home, text, capsys):
    ask(capsys, "import", adapter)
    (own_home / "adapters" / "site-a" / "adapter.json").write_text(text)
    assert main(["adapters", "list"]) == 1
    assert "[adapter-damaged]" in capsys.readouterr().out


@pytest.mark.parametrize(("note", "code"), [("seen 2004-05-19", "identity"), ("1.2.840.113619.2.55", "identity"),
                                            ("x" * 201, "text"), ("two\nlines", "text")])  # fmt: skip
def test_a_note_that_tells_a_patient_is_refused(adapter, capsys, note, code):
    ask(capsys, "import", adapter)
    place = find_adapter("site-a")
    with pytest.raises(PemmaError, match=f"(?s)(one line, not longer|identity).*adapter-{code}"):
        note_adapter(place, note)
    note_adapter(place, "thigh, 4 mm slices")
    assert read_card(place).note == "thigh, 4 mm slices"


@pytest.mark.parametrize("scores", [{"mean_gain": "much"}, {**SCORES, "cases": 3}, {**SCORES, "interval_95": [1]}])
def test_figures_that_make_no_sense_are_told(adapter, capsys, scores):
    write_card(adapter, replace(read_card(adapter), scores=scores))
    assert main(["adapters", "show", str(adapter)]) == 0
    assert "its figures can't be read" in capsys.readouterr().out


def test_an_export_that_fails_leaves_nothing(adapter, tmp_path, monkeypatch):
    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(PemmaError, match="No space left"):
        export_adapter(adapter, tmp_path / "exported" / "one")
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    "names",
    [["../adapter.json"], ["/adapter.json"], ["..\\adapter.json"], ["a/b/adapter.json", "a/adapter.safetensors"],
     ["adapter.json", "evil.py"], ["a/adapter.json", "b/adapter.json"], ["adapter.json", "adapter.json"],
     ["../../x/adapter.safetensors"], []],
)  # fmt: skip
def test_a_zip_that_holds_anything_else_is_refused_and_writes_nothing(names, adapter, own_home, tmp_path, capsys):
    file = tmp_path / "inner" / "deep" / "evil.zip"
    file.parent.mkdir(parents=True)
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, of a name that comes twice
        for name in names:
            archive.writestr(name, (adapter / "adapter.json").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    assert "[adapter-zip]" in refused(capsys, "import", file)
    assert sorted(tmp_path.rglob("*")) == before and not any(own_home.rglob("adapter*"))


def test_a_zip_that_was_packed_again_is_taken(adapter, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "again.zip", "w") as archive:
        archive.write(adapter / "adapter.json", "given/site-a/adapter.json")
        for name in ("given/.DS_Store", "given/site-a/desktop.ini", "__MACOSX/given/site-a/._adapter.json"):
            archive.writestr(name, "x")
    assert ask(capsys, "import", tmp_path / "again.zip")["name"] == "site-a"


@pytest.mark.parametrize("damage", ["no zip", "cut", "name", "card"])
def test_damaged_ones_are_refused_and_told_in_the_list(damage, adapter, own_home, tmp_path, capsys):
    file, card = tmp_path / "file.zip", adapter / "adapter.json"
    if damage == "name":
        card.write_text(json.dumps(json.loads(card.read_text()) | {"name": "../../escaped"}))
    elif damage == "card":
        card.write_text(json.dumps(json.loads(card.read_text()) | {"threshold": 7}))
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(card, "adapter.json")
    if damage in ("no zip", "cut"):
        file.write_bytes(b"PK nothing" if damage == "no zip" else file.read_bytes()[:-30])
    code = {"name": "adapter-name", "card": "adapter-damaged"}.get(damage, "adapter-zip")
    assert f"[{code}]" in refused(capsys, "import", file)
    shutil.copytree(adapter, own_home / "adapters" / "site-a")
    assert main(["adapters", "list"]) == (1 if damage == "card" else 0)
    assert ("[adapter-damaged]" in capsys.readouterr().out) == (damage == "card")


def test_used_by_name_it_changes_the_label_and_no_suv(adapter, even, patient, tmp_path, capsys):
    """The network says 0.5 everywhere, so that the contour is the same and the figures must be, too."""
    ask(capsys, "import", adapter)
    plain, adapted = (segmented(even, patient, tmp_path / name, name) for name in ("none", "site-a"))
    assert plain["adapter"] is None and plain["adapter_parts"] == [] and plain["threshold"] == 0.4
    assert adapted["adapter"]["name"] == "site-a" and len(adapted["adapter"]["sha256"]) == 64
    assert adapted["adapter_parts"] == ["intensity map of the PET", "threshold 0.45", "smallest volume 0 ml"]
    assert "check-suv-calibration" in {warning["code"] for warning in adapted["warnings"]}
    assert plain["totals"] == adapted["totals"] and plain["suv"] == adapted["suv"]
    keys = ("suv_max", "suv_mean", "suv_peak", "mtv_ml", "tlg")
    assert [[x[k] for k in keys] for x in plain["lesions"]] == [[x[k] for k in keys] for x in adapted["lesions"]]
    empty = segmented(even, patient, tmp_path / "typed", "site-a", "--threshold", "0.6", "--min-volume", "2")
    assert empty["lesions"] == [] and empty["adapter_parts"] == ["intensity map of the PET"]


def segmented(model, study, out, adapter: str, *options: str) -> dict:
    command = ["segment", study, "--out", out, "--model", model, "--adapter", adapter, "--quiet", *options]
    assert main(list(map(str, command))) == 0
    return json.loads((out / "result.json").read_text("utf-8"))

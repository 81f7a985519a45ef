"""config.py: what can't be trained is refused with a reason when it is read, not hours later."""

import json
from math import nan

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.resources import resources
from PEMMASegmentLib.network.files import read_card
from PEMMASegmentLib.training.config import read_config

from .tiny import ARCHITECTURE, LABEL, write_config


def refusal(folder, **changes) -> str:
    with pytest.raises(PemmaError, match="can't be used") as refused:
        read_config(write_config(folder, **changes))
    assert refused.value.code == "config-invalid" and refused.value.way_out
    return refused.value.sentence


def test_bad_configurations_are_refused(tmp_path):
    stages = [{"name": name, "steps": 1} for name in ("pet", "ct", "PET")]
    for change in ({"architecture": {"patch": 5}}, {"stages": [{"name": "ct", "steps": 0}]}, {"region": None, "labels": 1},
                   {"architecture": ARCHITECTURE | {"classes": 3}}, {"labels": [LABEL | {"type_code": "372087000"}]},
                   {"stages": stages[:1]}, {"stages": stages[1:]}, {"stages": []}):
        refusal(tmp_path, **change)


@pytest.mark.parametrize(("change", "words"), [
    ({"steps": 1e4}, "stage 'ct': steps is 10000.0, it must be a whole number above 0"), ({"batch": 2.0}, "batch"),
    ({"rate": nan}, "rate is nan"), ({"warm_up": -1}, "warm_up"), ({"average": 1.5}, "average"), ({"batch": "2"}, "batch"),
    ({"together": 0}, "together"), ({"weight_decay": -1}, "weight_decay"), ({"gate_rate": float("inf")}, "gate_rate")])
def test_a_number_of_a_stage_that_would_fail_later_is_refused_by_name(tmp_path, change, words):
    assert words in refusal(tmp_path, stages=[{"name": "ct", "steps": 1} | change])


@pytest.mark.parametrize(("change", "words"), [
    ({"window": [16, 16]}, "window is (16, 16), it must be a list of 3, each a whole number above 0"),
    ({"window": [16.0, 16, 16]}, "window"), ({"window": 16}, "window"), ({"rank": 4.0}, "rank"), ({"feature": 0}, "feature"),
    ({"fused_decoder": ["decoderX"]}, "names others than decoder2, decoder3, decoder4, out"),
    ({"fused_decoder": ["decoder5"]}, "decoder4"), ({"patch": 4}, "of at least 8"),
    ({"embedding": "patch", "taps": [0, 1.0]}, "taps")])
def test_an_architecture_that_would_fail_later_is_refused_by_name(tmp_path, change, words):
    assert words in refusal(tmp_path, architecture=ARCHITECTURE | change)


@pytest.mark.parametrize(("change", "words"), [
    ({"seed": -1}, "seed"), ({"seed": 1.5}, "seed"), ({"foreground": 2}, "foreground"), ({"labels": []}, "0 labels"),
    ({"labels": [LABEL, LABEL]}, "2 labels"), ({"preprocessing": {"spacing_mm": [4, 4]}}, "spacing_mm"),
    ({"preprocessing": {"ct_hu": [240, -160]}}, "ct_hu")])
def test_what_else_would_fail_later_is_refused_by_name(tmp_path, change, words):
    assert words in refusal(tmp_path, **change)


def test_a_split_holds_lists_of_names(tmp_path):
    config = write_config(tmp_path)
    for split in ({"train": "a"}, {"train": [7]}, {"train": ["a"], "demo": "c"}):
        (tmp_path / "split.json").write_text(json.dumps(split))
        with pytest.raises(PemmaError, match=f"'{list(split)[-1]}' of the split is no list of patients' names"):
            read_config(config)


def test_a_patient_is_in_one_group_of_the_split(tmp_path):
    config = write_config(tmp_path)
    for split in ({"train": ["a"], "site": ["a"]}, {"train": ["a"], "select": ["b"], "demo": ["b"]},
                  {"train": ["a"], "site": ["c"], "demo": ["c"]}):
        (tmp_path / "split.json").write_text(json.dumps(split))
        one, other = list(split)[-2:]
        with pytest.raises(PemmaError, match=f"is among both {one} and {other} of the split"):
            read_config(config)


def test_misspelt_keys_are_refused_and_notes_on_the_split_are_not(tmp_path):
    assert "unknown keys ['foregound', 'seeds']" in refusal(tmp_path, foregound=0.1, seeds=5)
    config = write_config(tmp_path)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a"], "selct": ["c"]}))
    with pytest.raises(PemmaError, match="unknown groups .'selct'. in the split, which may have train, select, site, demo"):
        read_config(config)
    (tmp_path / "split.json").write_text(json.dumps({"train": ["a"], "rule": "the first"}))
    assert read_config(config).split["rule"] == "the first"
    assert read_config(resources() / "Models/sts-starter/train.json").name == "sts-starter"


@pytest.mark.parametrize("name", ["Mein Modell", "", "a/b", "..", "con", None])
def test_a_name_that_no_model_can_be_imported_under_is_refused(tmp_path, name):
    assert "can't name a model" in refusal(tmp_path, name=name)


def test_files_saved_with_a_byte_order_mark_are_read(tmp_path):
    config = write_config(tmp_path)
    plain = read_config(config)
    for file in (config, tmp_path / "split.json"):
        file.write_text(file.read_text("utf-8"), "utf-8-sig")
    assert read_config(config) == plain


def test_of_a_missing_key_is_said_that_it_is_missing(tmp_path):
    config = write_config(tmp_path)
    raw = json.loads(config.read_text())
    config.write_text(json.dumps({key: value for key, value in raw.items() if key != "split"}))
    with pytest.raises(PemmaError, match="can't be used: 'split' is missing"):
        read_config(config)
    (write_config(tmp_path).parent / "split.json").write_text(json.dumps({"training": ["a"]}))
    with pytest.raises(PemmaError, match="under 'split' names no patients to 'train' with"):
        read_config(config)
    (tmp_path / "model.json").write_text(json.dumps({"schema": 1}))
    with pytest.raises(PemmaError, match="model.json can't be used: 'threshold' is missing"):
        read_card(tmp_path)

"""`models`: taken in, listed with a checked hash, shown, taken out; damaged ones are told and not taken in."""

import json
import shutil

from PEMMASegmentLib.cli import main
from PEMMASegmentLib.network.files import find_model


def ask(capsys, *arguments: str) -> dict:
    assert main(["models", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_life_of_a_model(even, own_home, capsys):
    taken = ask(capsys, "import", str(even))
    assert (own_home / "models" / "even" / "model.safetensors").is_file()
    rows = {row["name"]: row for row in ask(capsys, "list")["models"]}
    assert rows["even"] == {**taken, "check": "ok"}
    assert ask(capsys, "show", "even")["card"]["region"]["words"] == "anything"
    assert main(["models", "import", str(even)]) == 1
    assert "[model-exists]" in capsys.readouterr().err
    ask(capsys, "remove", "even")
    assert list((own_home / "models").iterdir()) == []


def test_a_readme_of_another_code_page_is_shown(even, own_home, capsys):
    ask(capsys, "import", str(even))
    (own_home / "models" / "even" / "README.md").write_bytes("Modell für Köln".encode("latin-1"))
    assert main(["models", "show", "even"]) == 0
    assert "Modell f\N{REPLACEMENT CHARACTER}r K" in capsys.readouterr().out


def test_no_model_takes_the_name_of_a_bundled_one(own_home, capsys):
    """The name would always find the bundled one."""
    assert main(["models", "import", str(find_model())]) == 1
    assert "[model-name]" in capsys.readouterr().err
    assert not (own_home / "models").exists() or not list((own_home / "models").iterdir())


def test_a_path_where_nothing_is_has_a_way_out_that_there_is(own_home, tmp_path, capsys):
    assert main(["models", "import", str(tmp_path / "none")]) == 1
    assert "check the path" in (said := capsys.readouterr().err) and "--model" not in said


def test_a_changed_weight_is_seen(even, own_home, tmp_path, capsys):
    broken = tmp_path / "even"
    shutil.copytree(even, broken)
    weights = broken / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert main(["models", "import", str(broken)]) == 1
    assert "[model-hash]" in capsys.readouterr().err
    assert not (own_home / "models" / "even").exists()
    shutil.copytree(broken, own_home / "models" / "even")
    assert main(["models", "list"]) == 1
    assert "[model-hash]" in capsys.readouterr().out


def test_what_lies_outside_the_own_models_is_never_removed(even, capsys):
    assert main(["models", "remove", str(even)]) == 1
    assert "[model-bundled]" in capsys.readouterr().err
    assert even.is_dir()


def test_a_model_can_not_name_itself_out_of_the_folder(even, tmp_path, own_home, capsys):
    folder = tmp_path / "model"
    shutil.copytree(even, folder)
    card = json.loads((folder / "model.json").read_text())
    for name in ("../../escaped", "CON"):  # Windows has no folder of the second name
        (folder / "model.json").write_text(json.dumps({**card, "name": name}))
        assert main(["models", "import", str(folder)]) == 1
        assert "[model-name]" in capsys.readouterr().err

"""Models taken in from folders and zips, and the check of the system against the stored figures."""

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from PEMMASegmentLib.core import PemmaError, no_progress
from PEMMASegmentLib.worker import checkup
from PEMMASegmentLib.worker.models import models
from PEMMASegmentLib.worker.warm import WarmModel


def zipped(folder: Path, file: Path, inside: str = "") -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for one in folder.rglob("*"):
            archive.write(one, inside + one.relative_to(folder).as_posix())
    return file


def test_a_model_comes_from_folder_or_zip_is_checked_and_removed(model, home, tmp_path):
    for source in (model, zipped(model, tmp_path / "flat.zip"), zipped(model, tmp_path / "deep.zip", "some/folder/")):
        taken = models({"action": "import", "source": str(source)}, no_progress)
        folder = home / "models" / taken["name"]
        assert models({"action": "check", "source": str(folder)}, no_progress) == taken
        models({"action": "remove", "source": str(folder)}, no_progress)
        assert not folder.exists()
    with pytest.raises(PemmaError, match="model-bundled"):
        models({"action": "remove", "source": str(model)}, no_progress)


@pytest.mark.parametrize("name", ["../outside/model.json", "/outside/model.json", "c:\\outside\\model.json"])
def test_a_zip_that_reaches_outside_is_refused(home, tmp_path, name):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr(name, "{}")
    with pytest.raises(PemmaError, match="model-zip"):
        models({"action": "import", "source": str(tmp_path / "bad.zip")}, no_progress)
    assert not home.exists()


def test_what_is_no_model_is_refused(home, tmp_path, model):
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    changed = shutil.copytree(model, tmp_path / "changed")
    (changed / "model.safetensors").write_bytes(b"others")
    zipped(changed, tmp_path / "changed.zip")
    spoilt = tmp_path / "spoilt.zip"
    with zipfile.ZipFile(spoilt, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(model / "model.json", "model.json")
    spoilt.write_bytes(spoilt.read_bytes()[:60] + b"\xff" * 40 + spoilt.read_bytes()[100:])
    for source, code in (("text.zip", "model-zip"), ("spoilt.zip", "model-zip"), ("empty", "model-missing"),
                         ("changed.zip", "model-hash"), ("nothing", "no-model")):  # fmt: skip
        with pytest.raises(PemmaError, match=code):
            models({"action": "import", "source": str(tmp_path / source)}, no_progress)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme.txt", "no model")
    with pytest.raises(PemmaError, match="model-missing") as refused:
        models({"action": "import", "source": str(tmp_path / "other.zip")}, no_progress)
    assert refused.value.place == "other.zip"  # not the folder that it was unpacked into
    assert not home.exists()


def test_a_model_imported_anew_with_the_same_weights_is_read_again(model, tmp_path):
    folder, warm = shutil.copytree(model, tmp_path / "even"), WarmModel()
    first = warm.get(str(folder))
    assert warm.get(str(folder)) is first
    card = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**card, "threshold": {**card["threshold"], "ct": 0.9}}))
    assert warm.get(str(folder)).card.threshold["ct"] == 0.9


def test_the_bundled_patient_gives_the_stored_figures():
    """Fails when the bundled model changed and `Testing/evidence/expected.py` was not run."""
    found = checkup.check_system({"device": "cpu"}, no_progress, WarmModel())
    assert found["expected"] is not None and found["agrees"]
    told = json.dumps(found["report"])
    assert "torch" in told and "STS" not in told and str(Path.home()) not in told and str(Path.cwd()) not in told


def test_other_figures_do_not_agree():
    stored = dict.fromkeys(checkup.FIGURES, 1.0)
    assert checkup.agree(stored | {"tlg": 1.01}, stored)
    assert not checkup.agree(stored | {"tlg": 1.03}, stored) and not checkup.agree(stored | {"number": 2.0}, stored)

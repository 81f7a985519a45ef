"""Setup and models, the choice of model and region, and the words of errors: with clicks and the real background process."""

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from PEMMASegmentLib.core import PemmaError

from .conftest import choosing, click, left_behind, wait

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


@pytest.fixture(scope="module")
def short(tmp_path_factory, save_even_model) -> Path:
    """A model that knows 10 cm of a body, and says 0.5 everywhere there."""
    folder = tmp_path_factory.mktemp("models") / "short"
    save_even_model(folder, 12.0)
    card = json.loads((folder / "model.json").read_text())
    card["region"]["longest_mm"], card["name"] = 100.0, "short"
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def ui(home, module, monkeypatch):
    import slicer

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *words, **more: True)
    return module.panel.ui


def unfold(app, *sections) -> None:
    for section in sections:
        section.collapsed = False
    app.processEvents()


def titles(box) -> list[str]:
    return [box.itemText(n) for n in range(box.count)]


def test_a_model_is_imported_verified_chosen_and_deleted(app, ui, module, short, tmp_path):
    archive = shutil.make_archive(str(tmp_path / "given"), "zip", short)
    unfold(app, ui.setupSection, ui.libraryGroupBox)
    assert len(titles(ui.libraryComboBox)) == 1 and "research" in ui.cardText.toPlainText()
    assert not ui.deleteModelButton.enabled  # bundled
    choosing(archive)
    click(ui.importButton)
    wait(app, lambda: "Imported" in ui.messageLabel.text)
    assert titles(ui.libraryComboBox)[1] == titles(ui.modelComboBox)[1] == "short 1"
    ui.libraryComboBox.setCurrentIndex(1)
    click(ui.verifyButton)
    wait(app, lambda: "weights are those" in ui.messageLabel.text)
    choosing(short / "model.json")  # its folder
    click(ui.importButton)
    wait(app, lambda: "already" in ui.messageLabel.text)
    assert "remove it first" in ui.messageLabel.text and "pemma-segment" not in ui.messageLabel.text
    ui.modelComboBox.activated.emit(1)
    assert module.panel.chosen.model.endswith("short")
    click(ui.deleteModelButton)
    wait(app, lambda: "Removed" in ui.messageLabel.text)
    assert len(titles(ui.libraryComboBox)) == 1
    assert module.panel.chosen.model == "" and ui.modelComboBox.currentText.startswith("sts-starter")


def test_check_my_system_reports_without_a_patient_and_agrees(app, ui):
    import slicer

    unfold(app, ui.setupSection)
    ui.deviceComboBox.currentText = "cpu"
    click(ui.checkButton)
    assert not ui.checkButton.enabled
    wait(app, lambda: ui.checkButton.enabled)
    report = ui.reportText.toPlainText()
    assert "Everything works" in ui.messageLabel.text and "Everything works" in report
    assert "torch" in report and "expected" in report and "STS" not in report
    assert slicer.app.temporaryPath not in report and str(Path.home()) not in report
    click(ui.copyReportButton)


def test_a_missing_package_is_named_with_what_to_do(app, ui, tmp_path, monkeypatch):
    """A torch that the background process can't import stands in for none, wherever the library is installed."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"), prepend=os.pathsep)
    unfold(app, ui.setupSection)
    click(ui.checkButton)
    wait(app, lambda: ui.checkButton.enabled)
    assert "Torch can't be loaded" in ui.messageLabel.text and "Install what is missing" in ui.messageLabel.text
    assert "package-missing" in ui.reportText.toPlainText() and ui.copyReportButton.enabled


def test_a_study_outside_the_known_region_asks_for_a_box(app, ui, module, short):
    panel = module.panel
    panel.chosen.model = str(short)
    ui.deviceComboBox.currentText = "cpu"
    panel.use(panel.chosen)
    assert ui.modelComboBox.currentText == "short 1"
    click(ui.segmentButton)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert "body is" in ui.messageLabel.text and "move the box" in ui.messageLabel.text
    assert panel.run is None and not ui.optionsGroupBox.collapsed
    roi = panel.chosen.roi
    assert max(roi.GetSize()) == pytest.approx(100.0) and roi.GetDisplayNode().GetHandlesInteractive()
    click(ui.segmentButton)
    wait(app, lambda: ui.segmentButton.text == "Segment")
    assert panel.run is not None, ui.messageLabel.text
    assert panel.run.segmentation.roi_mm == pytest.approx(tuple(box_of(roi)))
    assert "Segmented inside the region alone." in ui.messageLabel.text
    assert left_behind(module) == []


def box_of(roi):
    from PEMMASegmentLib.panel.regions import box_of

    return box_of(roi)


def test_only_adapters_of_the_chosen_model_are_offered(home, ui, module):
    library = importlib.import_module("PEMMASegmentLib.panel.library")
    sha256 = library.models()[0].sha256
    for name, base in (("ours", sha256), ("others", "00" * 32)):
        (home / "adapters" / name).mkdir(parents=True)
        card = {"name": name, "version": "1", "base": {"name": "m", "version": "1", "sha256": base}}
        (home / "adapters" / name / "adapter.json").write_text(json.dumps(card))
    (home / "adapters" / "broken").mkdir()
    (home / "adapters" / "broken" / "adapter.json").write_text("{")
    module.panel.use(module.panel.chosen)
    assert titles(ui.adapterComboBox) == ["none", "ours 1: no proof"]
    ui.adapterComboBox.activated.emit(1)
    assert module.panel.chosen.adapter == str(home / "adapters" / "ours")
    ui.adapterComboBox.activated.emit(0)
    assert module.panel.chosen.adapter == ""


def test_a_model_whose_card_is_broken_is_listed_with_the_reason(home):
    library = importlib.import_module("PEMMASegmentLib.panel.library")
    (home / "models" / "old").mkdir(parents=True)
    (home / "models" / "old" / "model.json").write_text("{}")
    [broken] = [model for model in library.models() if model.own]
    assert "can't be read" in broken.title and "KeyError" in broken.words


class Pip:
    """Slicer's packaging, noting what it is asked for; `there` are the packages that are installed."""

    def __init__(self, *there):
        self.there, self.asked, self.environment = set(there), [], {}

    def load_pyproject_dependencies(self, path):
        from packaging.requirements import Requirement

        return [Requirement("torch>=2.10"), Requirement("monai>=1.6"), Requirement("numpy>=1.26")]

    def pip_check(self, requirement):
        return requirement.name in self.there

    def pip_install(self, wanted, constraints=None, requester=None):
        self._note(wanted, constraints)
        self.there |= {"torch", "monai"}

    def pip_ensure(self, wanted, constraints=None, requester=None):
        self._note([str(one) for one in wanted], constraints)
        self.there |= {one.name for one in wanted}

    def _note(self, wanted, constraints):
        import os

        self.asked.append(wanted)
        self.environment = {name: os.environ.get(name) for name in ("HTTPS_PROXY", "PIP_CERT")}
        assert "SimpleITK==" in Path(constraints).read_text() and "torch" not in Path(constraints).read_text()


@pytest.fixture
def pip(monkeypatch):
    import slicer.packaging

    one = Pip("numpy")
    for name in ("load_pyproject_dependencies", "pip_check", "pip_install", "pip_ensure"):
        monkeypatch.setattr(slicer.packaging, name, getattr(one, name), raising=False)
    return one


def test_without_slicers_packaging_it_opens_and_says_that_it_can_not_tell(app, monkeypatch):
    import sys

    from PEMMASegmentLib.panel import packages

    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    assert packages.missing() == [] and "can't tell" in packages.in_words([])


def test_what_is_missing_is_installed_from_a_folder_of_wheels(app, pip, ui, module, tmp_path):
    assert not ui.setupSection.collapsed and ui.packagesLabel.text == "Missing: torch, monai."
    ui.wheelsPathEdit.currentPath = str(tmp_path)
    click(ui.installButton)
    assert "no file .whl" in ui.messageLabel.text and pip.asked == []
    (tmp_path / "torch-2.13.0-cp312-none-any.whl").touch()
    click(ui.installButton)
    [wanted] = pip.asked
    assert wanted[:3] == ["--no-index", "--find-links", str(tmp_path)] and "torch>=2.10" in wanted
    assert ui.packagesLabel.text == "All packages are there." and not ui.installButton.enabled


def test_from_the_internet_torch_comes_through_its_extension_and_a_proxy_is_heard_of(app, pip, ui, monkeypatch):
    for name in ("HTTPS_PROXY", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    click(ui.installButton)
    assert "extension PyTorch" in ui.messageLabel.text and pip.asked == []
    asked = []

    def install(askConfirmation, torchVersionRequirement):
        asked.append(torchVersionRequirement)
        pip.there.add("torch")
        return True

    logic = SimpleNamespace(installTorch=install)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=lambda: logic))
    ui.proxyEdit.text = "http://proxy:3128"
    click(ui.installButton)
    assert asked == [">=2.10"] and pip.asked == [["monai>=1.6"]]
    assert pip.environment == {"HTTPS_PROXY": "http://proxy:3128", "PIP_CERT": None}
    import os

    assert "HTTPS_PROXY" not in os.environ and ui.packagesLabel.text == "All packages are there."


def test_a_failed_installation_of_torch_is_told(app, pip, ui, monkeypatch):
    def failing(askConfirmation, torchVersionRequirement):
        raise subprocess.CalledProcessError(1, "light-the-torch")

    logic = SimpleNamespace(installTorch=failing)
    monkeypatch.setitem(sys.modules, "PyTorchUtils", SimpleNamespace(PyTorchUtilsLogic=lambda: logic))
    click(ui.installButton)
    assert "not installed" in ui.messageLabel.text and "proxy" in ui.messageLabel.text


def test_each_button_beside_a_path_opens_what_fits(app, ui, tmp_path):
    """A dialog for a folder, or for a file."""
    from PyQt5 import QtWidgets

    unfold(app, ui.setupSection, ui.sourceGroupBox)
    for folder in ("out", "wheels"):
        (tmp_path / folder).mkdir()
    (tmp_path / "ca.pem").touch()
    for edit, chosen in ((ui.exportPathEdit, "out"), (ui.wheelsPathEdit, "wheels"), (ui.certificatePathEdit, "ca.pem")):
        choosing(tmp_path / chosen)
        edit.findChildren(QtWidgets.QToolButton)[0].click()
        assert edit.currentPath == str(tmp_path / chosen)


def test_a_declined_installation_says_so_and_segments_nothing(app, pip, ui, module, monkeypatch):
    import slicer.packaging

    def declined(*_, **__):
        raise RuntimeError("User declined package installation")

    pip.there.add("torch")
    monkeypatch.setattr(slicer.packaging, "pip_ensure", declined)
    click(ui.segmentButton)
    assert "not installed" in ui.messageLabel.text and ui.segmentButton.text == "Segment"
    assert not module.panel.worker.running


def test_ways_out_are_those_of_the_panel():
    words = importlib.import_module("PEMMASegmentLib.panel.words")
    assert words.way_out("weight-missing", "give it with --weight-kg, or use --inputs ct") == (
        "give it with Weight, or use Inputs ct"
    )
    assert "--" not in words.way_out("outside-region", "choose a region with --roi")


def test_remaining_time_is_that_of_the_windows():
    from PEMMASegmentLib.panel.remaining import Remaining

    now = [0.0]
    remaining = Remaining(lambda: now[0])
    assert remaining.seconds(0.1) is None
    now[0] = 30.0  # torch was imported
    assert remaining.seconds(0.2) is None
    now[0] = 34.0
    assert remaining.seconds(0.4) == pytest.approx(12.0)


def test_what_a_pet_lacks_is_asked_for_in_its_field(app, ui, module, monkeypatch):
    studies = importlib.import_module("PEMMASegmentLib.panel.studies")

    def lacking(*_, **__):
        raise PemmaError("weight-missing", "Patient's Weight (0010,1030) is missing or 0", "give it with --weight-kg")

    monkeypatch.setattr(studies, "read_study", lacking)
    assert ui.typedGroupBox.collapsed
    click(ui.studyButton)
    assert "Weight" in ui.messageLabel.text and not ui.typedGroupBox.collapsed

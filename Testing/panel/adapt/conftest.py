"""The section Adapt, opened, with a tiny model and a library of three patients of one site."""

import json
import shutil
from pathlib import Path

import pytest

from ..conftest import wait
from .clicks import MINUTES

SITE = ("STS_001", "STS_016", "STS_025")  # of the adapting hospital of data.md


@pytest.fixture(scope="session")
def three(shared, tmp_path_factory) -> Path:
    """A library with three patients of the site; their contours count."""
    from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin
    from PEMMASegmentLib.study import annotation, nifti

    library = CaseLibrary(tmp_path_factory.mktemp("site") / "three")
    for name in SITE:
        folder = shared / "data" / "sts" / name
        study = nifti.load(folder)
        label, _ = annotation.read(folder / nifti.MASK_FILE, study)
        library.add(study, label, patient=name, origin=Origin("scratch"), blind_left_out="of a test")
    return library.folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    """A network of a few thousand numbers that knows everything, with two small reference cases."""
    from ...adaptation import hospital

    folder = tmp_path_factory.mktemp("models") / "tiny"
    hospital.model(folder)
    card = json.loads((folder / "model.json").read_text())
    card["region"]["longest_mm"] = 2000.0
    (folder / "model.json").write_text(json.dumps(card))
    return folder


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Questions, all of them answered with OK."""
    import slicer

    questions = []
    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", lambda words, *_, **more: not questions.append(words))
    return questions


@pytest.fixture
def inside(app, home, asked, module, tiny):
    """The section, opened for the first time, with the tiny model."""
    panel = module.panel
    panel.chosen.model, panel.chosen.device = str(tiny), "cpu"
    panel.use(panel.chosen)
    panel.ui.adaptSection.collapsed = False
    app.processEvents()
    inside = panel._adapt_section.inside
    assert inside.ui.caseList.count == 0 and "No case yet" in inside.ui.casesLabel.text
    assert not inside.training.worker.running and not panel.worker.running and not inside.ui.adaptButton.enabled
    return inside


@pytest.fixture
def site(app, inside, three, tmp_path) -> Path:
    """A library with three cases, opened."""
    library = Path(shutil.copytree(three, tmp_path / "library"))
    inside.ui.caseLibraryPathEdit.currentPath = str(library)
    wait(app, lambda: inside.ui.caseList.count == 3)
    inside.ui.effortComboBox.setCurrentIndex(3)
    inside.ui.minutesSpinBox.value = MINUTES
    return library

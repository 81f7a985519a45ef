"""A model small enough to run in every test: its answer is one probability everywhere, so `--threshold` decides."""

from pathlib import Path

import pytest

from PEMMASegmentLib.core.resources import unpack


@pytest.fixture(scope="session")
def even(tmp_path_factory, save_even_model) -> Path:
    """A model folder whose network says 0.5 for each voxel of every study: all is lesion below that, nothing above."""
    return save_even_model(tmp_path_factory.mktemp("models") / "even", 12.0)


@pytest.fixture(scope="session")
def patient(tmp_path_factory) -> Path:
    """The bundled study as DICOM files: CT, PET, RTSTRUCT."""
    folder = tmp_path_factory.mktemp("patient") / "STS_008"
    unpack(folder)
    return folder


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory, monkeypatch) -> Path:
    """No test sees the models of who runs it."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(home))
    return home

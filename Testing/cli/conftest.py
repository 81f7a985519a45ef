"""A model small enough to run in every test: its answer is one probability everywhere, so `--threshold` decides."""

from pathlib import Path

import pytest

from PEMMASegmentLib.cli.demo import unpack
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Label, ModelCard, Region, save_model
from PEMMASegmentLib.network.pemma import Pemma


@pytest.fixture(scope="session")
def even(tmp_path_factory) -> Path:
    """A model folder whose network says 0.5 for each voxel of every study: all is lesion below that, nothing above."""
    shape = Architecture(
        window=(16, 16, 16), patch=8, hidden=16, depth=2, heads=2, mlp=16, feature=8, taps=(0, 1), modalities=("pet",)
    )
    net = Pemma(shape)
    for name, parameter in net.named_parameters():
        if name.startswith("out") or ".out." in name:
            parameter.data.zero_()
    label = Label(1, "lesion", "49755003", "108369006")
    threshold = {"ct+pet": 0.4, "ct": 0.4, "pet": 0.4}
    coarse = Preprocessing(spacing_mm=(12.0, 12.0, 12.0))
    card = ModelCard("even", "1", shape, coarse, (label,), Region("anything", 2000.0), threshold)
    folder = tmp_path_factory.mktemp("models") / "even"
    save_model(folder, net, card, "# even\n")
    return folder


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

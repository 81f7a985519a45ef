"""What all tests share: where the reference data lie, studies unpacked once a run."""

import os
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"

if "PYTEST_XDIST_WORKER" in os.environ:  # one core for each process of tests: threads that wait for each other's cores spin
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# the same examples in each run, and no time limit on one: a busy machine makes no test fail
settings.register_profile("project", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("project")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout: patients, SUV reference objects, phantom."""
    if not (SHARED / "data").is_dir():
        pytest.skip("needs the folder `shared` (reference data) beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def unpack(shared, tmp_path_factory):
    """unpack("sts/dicom/STS_008.zip") -> folder with the archive's files, unpacked once a run."""
    done: dict[str, Path] = {}

    def unpacked(name: str) -> Path:
        if name not in done:
            done[name] = tmp_path_factory.mktemp(Path(name).stem)
            with zipfile.ZipFile(shared / "data" / name) as archive:
                archive.extractall(done[name])
        return done[name]

    return unpacked


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """The user's folder, empty; the background processes have it too."""
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="session")
def save_even_model():
    """save_even_model(folder, spacing_mm): a tiny model that says 0.5 for each voxel, so that `--threshold` decides."""

    def save(folder: Path, spacing_mm: float) -> Path:
        from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
        from PEMMASegmentLib.network.files import Label, ModelCard, Region, save_model
        from PEMMASegmentLib.network.pemma import Pemma

        shape = Architecture(
            window=(16, 16, 16), patch=8, hidden=16, depth=2, heads=2, mlp=16, feature=8, taps=(0, 1), modalities=("pet",)
        )
        net = Pemma(shape)
        for name, parameter in net.named_parameters():
            if name.startswith("out") or ".out." in name:
                parameter.data.zero_()
        label = Label(1, "lesion", "49755003", "108369006")
        threshold = dict.fromkeys(("ct+pet", "ct", "pet"), 0.4)
        card = ModelCard("even", "1", shape, Preprocessing(spacing_mm=(spacing_mm,) * 3), (label,),
                         Region("anything", 2000.0), threshold)
        save_model(folder, net, card, "# even\n")
        return folder

    return save

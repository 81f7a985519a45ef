"""What all tests share: where the reference data lie, studies unpacked once a run."""

import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
SHARED = CHECKOUT.parent / "shared"


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

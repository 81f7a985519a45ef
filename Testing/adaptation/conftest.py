"""The small hospital's model and its first patients, and an empty case library."""

import pytest

from PEMMASegmentLib.adaptation.library import CaseLibrary

from . import hospital


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return hospital.model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def cases():
    return [hospital.case(seed) for seed in range(3)]


@pytest.fixture(scope="module")
def five():
    return [hospital.case(seed) for seed in range(5)]


@pytest.fixture
def library(tmp_path) -> CaseLibrary:
    return CaseLibrary(tmp_path / "Fälle")

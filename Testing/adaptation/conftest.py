"""The small hospital's model and its first patients."""

import pytest

from . import hospital


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return hospital.model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def cases():
    return [hospital.case(seed) for seed in range(3)]

"""Three synthetic patients to train on."""

import pytest

from .tiny import write_case


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for seed, name in enumerate(("a", "b", "c")):
        write_case(folder / name, seed)
    return folder

"""An answer of three lesions, as a run in the scene and in the panel."""

import numpy as np
import pytest
import SimpleITK as sitk

from ..conftest import FIELDS
from .places import BLADDER, METASTASIS


@pytest.fixture(scope="session")
def three(expert) -> sitk.Image:
    """A probability of three lesions, from the largest down: the tumour, the bladder at 0.7, a metastasis at 0.95."""
    values = sitk.GetArrayFromImage(expert[1]) * np.float32(0.99)
    grid, step = np.indices(values.shape), expert[1].GetSpacing()[::-1]
    for centre, radius, value in ((BLADDER, 12, 0.7), (METASTASIS, 10, 0.95)):
        away = sum(((axis - c) * mm) ** 2 for axis, c, mm in zip(grid, centre, step, strict=True))
        values[away < radius**2] = value
    image = sitk.GetImageFromArray(values)
    image.CopyInformation(expert[1])
    return image


@pytest.fixture
def run(case, three):
    """That answer as a run in the scene."""
    from PEMMASegmentLib.panel import runs

    return runs.create(case.study, FIELDS, three, case.ct, case.pet)


@pytest.fixture
def panel(module, three):
    """The panel with that answer in it."""
    from PEMMASegmentLib.panel import runs

    chosen = module.panel.chosen
    assert module.panel._results.add(runs.create(module.panel._study(), FIELDS, three, chosen.ct, chosen.pet))
    return module.panel

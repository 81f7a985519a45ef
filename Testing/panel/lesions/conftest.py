"""An answer that holds more than the expert's contour, as a run in the scene and in the panel."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from .acts import SEEN, new_run


@pytest.fixture(scope="session")
def generous(command_line, expert):
    """The command line's answer with another probability: the expert's contour with a rim, and a faint spot beside it."""
    found = command_line.found
    outside = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(expert[0] != 0, squaredDistance=False, useImageSpacing=True))
    grid = np.indices(outside.shape) - np.reshape(SEEN, (3, 1, 1, 1))
    away = sum((step * mm) ** 2 for step, mm in zip(grid, found.probability.GetSpacing()[::-1], strict=True))
    values = np.maximum(1 / (1 + np.exp((outside - 8) / 2)), 0.27 * np.exp(-away / 72)).astype(np.float32)
    values[values < 0.01] = 0
    probability = sitk.GetImageFromArray(values)
    probability.CopyInformation(found.probability)
    label = sitk.BinaryThreshold(probability, 0.8, 2.0, 1, 0)
    return SimpleNamespace(found=replace(found, probability=probability, label=label, threshold=0.8))


@pytest.fixture
def run(case, generous):
    """That answer as a run in the scene."""
    return new_run(case.study, generous, case.ct, case.pet)


@pytest.fixture
def panel(module, generous):
    """The panel with that answer in it."""
    chosen = module.panel.chosen
    run = new_run(module.panel._study(), generous, chosen.ct, chosen.pet)
    assert module.panel._results.add(run)
    return module.panel

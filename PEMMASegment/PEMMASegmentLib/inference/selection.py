"""The threshold of a model, chosen on its selection patients, and how well it does there."""

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from ..core import Progress, no_progress
from ..core.metrics import dice_of
from ..network.files import Model
from ..study.types import PetCtStudy
from .segment import segment

CANDIDATES = tuple(round(0.2 + 0.05 * n, 2) for n in range(13))


def best_threshold(table: Sequence[Sequence[float]]) -> tuple[float, list[float]]:
    """The candidate with the best mean Dice over the cases (the one nearer to 0.5 on a tie), and the Dice of each case.

    table: what `dice_by_threshold` gave for each.
    """
    means = np.mean(table, axis=0)
    best = max(range(len(CANDIDATES)), key=lambda k: (round(float(means[k]), 4), -abs(CANDIDATES[k] - 0.5)))
    return CANDIDATES[best], [float(row[best]) for row in table]


def dice_by_threshold(model: Model, study: PetCtStudy, label: sitk.Image, inputs: str,
                      progress: Progress = no_progress) -> list[float]:
    """The Dice of one case, with the expert's label on the study's grid, at each of CANDIDATES; 1 where nothing is marked and
    nothing found. Raises what `segment` raises.
    """
    found = segment(study, model, inputs=inputs, threshold=0.5, whole_study=True, progress=progress)
    probability, truth = sitk.GetArrayViewFromImage(found.probability), sitk.GetArrayViewFromImage(label) > 0
    return [dice_of(probability >= threshold, truth) for threshold in CANDIDATES]

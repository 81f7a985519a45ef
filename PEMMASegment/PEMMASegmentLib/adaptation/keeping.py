"""How much of a few-shot training is kept: the less the base misses on the cases, the less.

Weights between the base's and the trained ones forget less of the first site and do as well at the new one (Wortsman et
al. 2022, arXiv 2109.01903). Where the base is good already, few cases can teach little and all of it makes forget more.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from ..training.case import TrainingCase
from ..training.config import Config, Stage
from ..training.windows import batch, draw

#: The share that is kept, as a multiple of what the base misses. Chosen on patients of the base's training who play a
#: hospital: Testing/evidence/recipe.py.
PER_MISS = 1.5
_WINDOWS = 20  # over all cases, at least one of each: seconds, however large the studies are


def missed(net: nn.Module, cases: Sequence[TrainingCase], config: Config, stage: Stage, inputs: tuple[str, ...],
           threshold: float) -> float:
    """What a network misses on the cases: 1 - Dice, 0..1, the mean over them.

    Each case is judged on the same few windows of the uncut study, all of which hold a part of its contour.
    """
    config, stage = replace(config, foreground=1.0), replace(stage, whole=1.0, anywhere=0.0)
    device, scores = next(net.parameters()).device, []
    with torch.inference_mode():
        for n, case in enumerate(cases):
            common = total = 0.0
            for k in range(max(1, _WINDOWS // len(cases))):
                rng = np.random.default_rng([config.seed, 2, n, k])
                images, label = batch([draw([case], config, stage, inputs, None, rng)])
                probability = net({name: image.to(device) for name, image in images.items()}).softmax(1)[:, 1:]
                found, wanted = (probability >= threshold).cpu(), label > 0.5
                common += float((found & wanted).sum())
                total += float(found.sum() + wanted.sum())
            scores.append(2 * common / total)
    return 1.0 - float(np.mean(scores))


def strength(missing: float) -> float:
    """The share of an update to keep, 0..1, where the base misses so much (`missed`)."""
    return min(1.0, PER_MISS * missing)

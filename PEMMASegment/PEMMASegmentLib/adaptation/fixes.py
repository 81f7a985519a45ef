"""Procedures that train nothing: threshold and smallest volume refitted, mirrored inputs; and one upon another."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core import Progress, no_progress
from ..core.images import voxel_ml
from ..core.progress import part
from ..core.types import SMALLEST_ML
from ..inference import segment
from ..network.files import Model
from .fewshot import digest
from .maps import mapped_case
from .types import Fitted, Procedure, SiteCase, fix

THRESHOLDS = tuple(round(0.1 + 0.05 * n, 2) for n in range(18))
VOLUMES_ML = (SMALLEST_ML, 1.0, 2.0, 5.0, 10.0)  # the first is in force where an adapter states none
#: A pair of numbers is left where it is unless another one does better by this much Dice: a few cases tell no more.
WORTH = 0.005


@dataclass(frozen=True)
class Threshold:
    """A `Procedure`: the two numbers with the best mean Dice over the cases; of equals those next to the model's."""

    device: str = "auto"
    name: str = "threshold"
    words: str = "refits the threshold and the smallest volume of a lesion"
    _known: dict = field(default_factory=dict, init=False, repr=False, compare=False)  # one proof asks often for a case

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        """Segments every case once with the base."""
        tables = []
        for n, case in enumerate(cases):
            tables.append(self._table(model, case, inputs, part(progress, n / len(cases), (n + 1) / len(cases))))
        threshold, volume = choose(np.mean(tables, axis=0), model.card.threshold.get(inputs, 0.5))
        training = {"cases": len(cases), "seed": seed}
        smallest = None if volume == SMALLEST_ML else volume
        return fix(self, model, inputs, threshold=threshold, min_volume_ml=smallest, training=training)

    def _table(self, model: Model, case: SiteCase, inputs: str, progress: Progress) -> np.ndarray:
        key = (id(model.net), digest(case), inputs)
        if key not in self._known:
            found = segment(case.study, model, inputs=inputs, device=self.device, threshold=0.5, whole_study=True,
                            progress=progress)
            probability, label = (sitk.GetArrayViewFromImage(image) for image in (found.probability, case.label))
            # the network is kept, so that no other one gets its id
            self._known[key] = model.net, dice_table(probability, label > 0, voxel_ml(case.label))
        return self._known[key][1]


@dataclass(frozen=True)
class Flips:
    """A `Procedure`: the mean over mirrored inputs; there is nothing to fit, and it takes four times as long to use."""

    name: str = "flips"
    words: str = "takes the mean over mirrored inputs, which takes four times as long"

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        progress(1.0, "mirrored inputs")
        return fix(self, model, inputs, flips=True)


@dataclass(frozen=True)
class Stack:
    """A `Procedure` made of others, each fitted on what the ones before it have made of the model and of the images.

    Mirrored inputs come last: what is fitted after them would not see them. At most one part trains weights.
    """

    parts: tuple[Procedure, ...]

    @property
    def name(self) -> str:
        return "+".join(one.name for one in self.parts)

    @property
    def words(self) -> str:
        return ", then ".join(one.words for one in self.parts)

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        fitted = None
        for n, one in enumerate(self.parts):
            span = part(progress, n / len(self.parts), (n + 1) / len(self.parts))
            new = one.fit(model, cases, inputs, seed, span)
            cases = [mapped_case(case, new.card.intensity) for case in cases]
            model = replace(model, net=new.merged(model.net))
            fitted = new if fitted is None else joined(fitted, new)
        return replace(fitted, card=replace(fitted.card, name=self.name))


def joined(first: Fitted, second: Fitted) -> Fitted:
    """One adapter with the parts of two; what both have is the second's. Raises ValueError when both train weights."""
    if first.card.trains and second.card.trains:
        raise ValueError("two updates of weights can't be joined")
    weights = first if first.card.trains else second
    fixes = first.card.fixes | second.card.fixes
    training = first.card.training | second.card.training
    return Fitted(replace(weights.card, **fixes, training=training), weights.tensors)


def dice_table(probability: np.ndarray, truth: np.ndarray, ml: float) -> np.ndarray:
    """Dice for every threshold (rows) and smallest volume (columns); ml: volume of a voxel."""
    table = np.empty((len(THRESHOLDS), len(VOLUMES_ML)))
    for row, threshold in enumerate(THRESHOLDS):
        numbers, _ = ndimage.label(probability >= threshold, structure=np.ones((3, 3, 3)))
        sizes = np.bincount(numbers.ravel())[1:]
        inside = np.bincount(numbers[truth], minlength=len(sizes) + 1)[1:]
        for column, volume in enumerate(VOLUMES_ML):
            keep = sizes * ml >= volume - 1e-9
            total = sizes[keep].sum() + truth.sum()
            table[row, column] = 2 * inside[keep].sum() / total if total else 1.0
    return table


def choose(table: np.ndarray, own: float) -> tuple[float, float]:
    """Threshold and smallest volume next to the model's among those within `WORTH` of the best mean Dice."""
    good = np.argwhere(table >= table.max() - WORTH)
    row, column = min(good.tolist(), key=lambda at: (at[1], abs(THRESHOLDS[at[0]] - own), -table[at[0], at[1]]))
    return THRESHOLDS[row], VOLUMES_ML[column]

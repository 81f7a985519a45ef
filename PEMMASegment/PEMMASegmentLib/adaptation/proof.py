"""The proof: what a procedure does for patients that it was not given, and what the adapted model forgets.

Every patient is held out once, with all of the patient's cases. What is proved is the procedure: the adapter that is
delivered is trained on all cases. Scores are opened once, at the end, after the try stands in the ledger.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage, sparse, spatial

from ..adapters.files import keep_merged
from ..core import Progress, no_progress
from ..core.images import array, voxels_in
from ..core.metrics import dice, extra_ml, missed_ml, surface_dice
from ..core.progress import named, part
from ..core.types import SMALLEST_ML
from ..inference import segment
from ..network.files import Model
from ..study import annotation, nifti
from .types import Fitted, Procedure, SiteCase, label_of_lesions
from .verdict import ONE_FINDING_MM, ONE_LESION_MM, Verdict, verdict
from .volumes import contents_of

#: Up to this many patients each is a fold of its own; more are dealt into five.
ONE_OUT, FOLDS = 6, 5
#: A segmentation takes about this share of the time of a training; for the progress only.
_SEGMENTING = 0.03

#: seen(case, label of the base, label of the adapter): for those who want to look at a held-out case.
Seen = Callable[[SiteCase, sitk.Image, sitk.Image], None]


@dataclass(frozen=True)
class Scores:
    """How well a label agrees with the contour; surface Dice at 5 mm, volumes in ml."""

    dice: float
    surface_dice_5mm: float
    missed_ml: float
    extra_ml: float


@dataclass(frozen=True)
class Pair:
    """A case with the base's scores and the adapter's.

    missed_before, missed_after: numbers of the `lesions` that the base's label does not touch, and the adapter's.
    """

    case: str
    patient: str
    before: Scores
    after: Scores
    missed_before: frozenset[int]
    missed_after: frozenset[int]

    @property
    def newly_missed(self) -> int:
        """How many lesions only the base's label touches."""
        return len(self.missed_after - self.missed_before)


@dataclass(frozen=True)
class Proof:
    """The pairs of all held-out cases; folds: how many parts the patients were dealt into."""

    pairs: tuple[Pair, ...]
    folds: int

    def by_patient(self) -> tuple[list[float], list[float]]:
        """Dice before and after, one a patient: the mean of the patient's cases."""
        mean = lambda when, own: float(np.mean([getattr(pair, when).dice for pair in own]))  # noqa: E731
        return [mean("before", own) for own in self._of_each()], [mean("after", own) for own in self._of_each()]

    def judged(self, tries: int) -> Verdict:
        """The verdict at the `tries`-th try: on the patients' means, and nobody worse in any case."""
        worst = [min(pair.after.dice - pair.before.dice for pair in own) for own in self._of_each()]
        return verdict(*self.by_patient(), tries, self.newly_missed, worst)

    @property
    def newly_missed(self) -> int:
        return sum(pair.newly_missed for pair in self.pairs)

    def _of_each(self) -> list[list[Pair]]:
        """The pairs of each patient."""
        patients = sorted({pair.patient for pair in self.pairs})
        return [[pair for pair in self.pairs if pair.patient == patient] for patient in patients]


def prove(procedure: Procedure, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
          progress: Progress = no_progress, folds: int | None = None, *, opening: Callable[[], None] = lambda: None,
          seen: Seen = lambda *_: None, device: str = "auto", whole_study: bool = False) -> Proof:
    """Runs `procedure` once a fold, without the fold's patients, and scores it on their independent cases.

    folds: None for one a patient (up to six patients) or five. opening: called once, after all segmentations and before
    the first score; it writes the ledger. seen: given what was segmented, once the scores are open. Raises what
    `procedure.fit`, `inference.segment` and `progress` raise.
    """
    parts, model = dealt(cases, folds), _blinded(model, cases, inputs)
    found = []
    for n, held_out in enumerate(parts):
        span = named(part(progress, n / len(parts), (n + 1) / len(parts)), f"fold {n + 1} of {len(parts)}")
        train, test = _split(cases, held_out)
        fitting = part(span, 0.0, 1 - 2 * _SEGMENTING)
        fitted = procedure.fit(model, train, inputs, seed, fitting)
        scoring = part(span, 1 - 2 * _SEGMENTING, 1.0)
        found += labels(model, fitted, test, inputs, scoring, device, whole_study)
    opening()
    found.sort(key=lambda one: one[0].id)
    for one in found:
        seen(*one)
    return Proof(tuple(pair(*one) for one in found), len(parts))


def dealt(cases: Sequence[SiteCase], folds: int | None = None) -> list[tuple[str, ...]]:
    """The patients who have an independent case, dealt into folds; the same cases give the same folds."""
    patients = sorted({case.patient for case in cases if case.independent})
    count = min(folds or (len(patients) if len(patients) <= ONE_OUT else FOLDS), len(patients))
    return [tuple(patients[n::count]) for n in range(count)]


def untrained(own: Sequence[SiteCase], cases: Sequence[SiteCase]) -> list[SiteCase]:
    """The reference cases that are not among the cases: no image of theirs is one of the cases'."""
    known = {content for case in cases for content in contents_of(case.study)}
    return [case for case in own if known.isdisjoint(contents_of(case.study))]


def references(model: Model, inputs: str) -> list[SiteCase]:
    """The model's reference cases that have these inputs: patients of its own site that it was not trained on."""
    folder = Path(model.folder) / "reference"
    out = []
    for one in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (one / nifti.MASK_FILE).is_file() and one.name not in model.left_out:
            study = nifti.load(one)
            label, _ = annotation.read(one / nifti.MASK_FILE, study)
            out.append(SiteCase(one.name, one.name, study, label))
    return [case for case in out if all(getattr(case.study, name) is not None for name in inputs.split("+"))]


def _blinded(model: Model, cases: Sequence[SiteCase], inputs: str) -> Model:
    """The model without the reference cases that are among the cases: in the fold that holds one out, it would be what the
    others are fitted to."""
    known = references(model, inputs)
    return replace(model, left_out=frozenset({one.id for one in known} - {one.id for one in untrained(known, cases)}))


def labels(model: Model, fitted: Fitted, cases: Sequence[SiteCase], inputs: str, progress: Progress = no_progress,
           device: str = "auto", whole_study: bool = False) -> list[tuple[SiteCase, sitk.Image, sitk.Image]]:
    """Each case with the base's label and the adapter's, lesions only, not compared with the contour yet."""
    adapter = keep_merged(fitted, model.net)
    out = []
    for n, case in enumerate(cases):
        two = []
        for half, one in enumerate((None, adapter)):
            span = part(progress, (n + half / 2) / len(cases), (n + (half + 1) / 2) / len(cases))
            found = segment(case.study, model, adapter=one, inputs=inputs, device=device, whole_study=whole_study,
                            progress=span)
            two.append(label_of_lesions(found))
        out.append((case, *two))
    return out


def pair(case: SiteCase, before: sitk.Image, after: sitk.Image) -> Pair:
    """Both labels compared with the contour."""
    numbers = lesions(case.label, before)
    missed = (_missed(numbers, found) for found in (before, after))
    return Pair(case.id, case.patient, scores(before, case.label), scores(after, case.label), *missed)


def scores(found: sitk.Image, truth: sitk.Image) -> Scores:
    """All figures of one label; both on the study's grid."""
    return Scores(dice(found, truth), surface_dice(found, truth, 5.0), missed_ml(found, truth), extra_ml(found, truth))


def lesions(truth: sitk.Image, base: sitk.Image) -> np.ndarray:
    """Numbers of the contour's lesions, int (z, y, x), 0 elsewhere; base: the base's label on the same grid.

    Its 26-connected parts of at least 0.5 ml; as one lesion those less than 10 mm apart (from voxel centre to voxel
    centre), and those less than 30 mm apart that one connected part of the base's label touches. A contour by uptake breaks
    a necrotic tumour into parts, which are no lesions of their own.
    """
    parts = array(sitk.RelabelComponent(_connected(truth), voxels_in(SMALLEST_ML, truth)))
    found = array(_connected(base))
    boxes = ndimage.find_objects(parts)  # each looked at in its box: a whole body has millions of voxels and many lesions
    each = [(parts[box] == n + 1, box) for n, box in enumerate(boxes)]
    edges = [_edge(part_, box, truth.GetSpacing()[::-1]) for part_, box in each]
    findings = [set(np.unique(found[box][part_])) - {0} for part_, box in each]
    one = np.eye(len(each), dtype=bool)
    for i, j in combinations(range(len(each)), 2):
        one[i, j] = _apart(edges[i], edges[j]) < (ONE_FINDING_MM if findings[i] & findings[j] else ONE_LESION_MM)
    return np.append(0, sparse.csgraph.connected_components(one, directed=False)[1] + 1).astype(np.int32)[parts]


def _missed(numbers: np.ndarray, found: sitk.Image) -> frozenset[int]:
    touched = np.unique(numbers[sitk.GetArrayViewFromImage(found) > 0])
    return frozenset(range(1, int(numbers.max()) + 1)) - frozenset(touched.tolist())


def _connected(label: sitk.Image) -> sitk.Image:
    return sitk.ConnectedComponent(sitk.Cast(label > 0, sitk.sitkUInt8), True)


def _edge(part_: np.ndarray, box: tuple[slice, ...], spacing: Sequence[float]) -> spatial.KDTree:
    """The voxels at the surface of a part that fills its box, in mm from the image's corner (z, y, x)."""
    surface = np.argwhere(part_ & ~ndimage.binary_erosion(part_))
    return spatial.KDTree((surface + [along.start for along in box]) * spacing)


def _apart(one: spatial.KDTree, other: spatial.KDTree) -> float:
    """Smallest distance in mm, infinite from 30 mm on."""
    if (np.maximum(one.mins - other.maxes, other.mins - one.maxes) >= ONE_FINDING_MM).any():
        return np.inf
    return float(one.query(other.data, distance_upper_bound=ONE_FINDING_MM)[0].min())


def _split(cases: Sequence[SiteCase], held_out: tuple[str, ...]) -> tuple[list[SiteCase], list[SiteCase]]:
    """Cases of the other patients, and the independent cases of those held out."""
    return ([case for case in cases if case.patient not in held_out],
            [case for case in cases if case.patient in held_out and case.independent])

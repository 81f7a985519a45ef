"""The main job: a study and a model in, probability and label on the study's grid out."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk
import torch

from ..core import PemmaError, PemmaWarning, Progress, Segmentation, Step, no_progress
from ..core.images import like
from ..core.progress import part
from ..core.types import INPUTS
from ..network.preprocess import padding, prepare
from . import region, windows
from .acting import acting, parts, passes, without_small
from .device import Way, choose, ladder, run_down
from .intensity import mapped

if TYPE_CHECKING:
    from ..adapters import Adapter, AdapterCard
    from ..network.files import Model
    from ..study.types import PetCtStudy

#: Windows reach this far beyond the body: skin is seen with air around it, as in training.
MARGIN_MM = 16.0
#: Shares of the progress: up to here the preparation, up to here the windows.
PREPARED, SEARCHED = 0.05, 0.95


def segment(study: PetCtStudy, model: Model, *, adapter: Adapter | None = None, inputs: str = "auto",
            device: str = "auto", threshold: float | None = None, min_volume_ml: float | None = None,
            roi_mm: region.Roi | None = None, whole_study: bool = False,
            progress: Progress = no_progress) -> Segmentation:
    """Segments a study.

    inputs: "auto" (all that the study has and the model knows), "ct+pet", "ct" or "pet". device: "auto", "cuda", "cpu".
    adapter: its weights are merged into a copy, its intensity map acts on what the network is given; with other inputs
    than it was made for it is off, and a warning says so. threshold: on the probability, None for the adapter's, else the
    model's own with these inputs. min_volume_ml: in the place of the adapter's smallest volume; without an adapter
    nothing is taken out here. roi_mm: (x0, x1, y0, y1, z0, z1), LPS; outside it the probability is 0.
    whole_study: run although the body is longer than the region the model knows.
    Raises PemmaError for what the user can put right, and what `progress` raises, `Cancelled` first of all.
    """
    clock = _Clock()
    region.check_roi(roi_mm)
    used, warnings = choose_inputs(study, model.card.modalities, inputs)
    adapter, told = acting(adapter, used, study)
    warnings += told
    acted = parts(adapter, threshold, min_volume_ml)
    card = None if adapter is None else adapter.card
    threshold = _threshold(threshold, card, model, used)
    if card is not None and min_volume_ml is None:
        min_volume_ml = card.min_volume_ml
    images = {name: getattr(study, name) for name in used.split("+")}
    searched = "ct" if "ct" in images else "pet"
    body = region.find_body(images[searched], searched, roi_mm)
    warnings += region.check_length(body.longest_mm, model.card.region.longest_mm, whole_study) + _dull(images)
    progress(0.0, "preparing")
    given = mapped(images, card and card.intensity)
    prepared = prepare(given.get("ct"), given.get("pet"), model.card.preprocessing)
    box = _box(body, images[searched], study.grid, prepared.grid, roi_mm)
    plan = windows.plan(box[::-1], prepared.grid.GetSize()[::-1], model.card.architecture.window)
    empty = padding(model.card.preprocessing)
    tensors = {name: windows.cut(tensor, plan, empty[name]) for name, tensor in prepared.tensors.items()}
    clock.step("prepare")
    first = choose(device)
    if first.passed_over:
        sentence = f"computed on the CPU, since the GPU can't be used: {first.passed_over}"
        warnings += (PemmaWarning("cuda-unusable", sentence),)
    probability, way, fallen = run_down(ladder(first), lambda way: _search(
        _net(model, adapter, way), tensors, plan, way, passes(adapter), part(progress, PREPARED, SEARCHED)))
    if fallen:
        warnings += (PemmaWarning("out-of-memory", f"the memory of the GPU did not suffice: {fallen}"),)
    clock.step(f"{len(plan.starts)} window{'s' * (len(plan.starts) > 1)}")
    progress(SEARCHED, "writing onto the study's grid")
    probability = _onto(study.grid, _placed(probability, prepared.grid, plan), roi_mm)
    label = without_small(sitk.BinaryThreshold(probability, threshold, 2.0, 1, 0), card and min_volume_ml)
    clock.step("resample")
    progress(1.0, "segmented")
    return Segmentation(probability, label, threshold, model.identity, adapter.identity if adapter else None, used,
                        way.words, way.precision, roi_mm, tuple(clock.steps), warnings, acted, card and min_volume_ml)


def choose_inputs(study: PetCtStudy, known: tuple[str, ...], inputs: str) -> tuple[str, tuple[PemmaWarning, ...]]:
    """The modalities to use ("ct+pet", "ct", "pet") and warnings. Refuses what the study lacks or the model can't use."""
    there = [name for name in ("ct", "pet") if getattr(study, name) is not None]
    usable = [name for name in there if name in known]
    if not usable:
        raise PemmaError("inputs", f"the study has {_words(there)}, the model knows {_words(known)}",
                         "choose another model or study")
    if inputs == "auto":
        left = [name for name in there if name not in known]
        sentence = f"the {_words(left)} is not used: the model knows only {_words(known)}"
        return "+".join(usable), (PemmaWarning("not-used", sentence),) if left else ()
    if inputs not in INPUTS:
        raise PemmaError("inputs", f"inputs '{inputs}' are not known", "choose auto, ct+pet, ct or pet")
    for owner, has in (("study", there), ("model", known)):
        missing = [name for name in inputs.split("+") if name not in has]
        if missing:
            raise PemmaError("inputs", f"the {owner} has no {_words(missing)}", f"choose --inputs {'+'.join(usable)}")
    return inputs, ()


def _words(names) -> str:
    return " and ".join(name.upper() for name in names)


def _threshold(typed: float | None, adapter: AdapterCard | None, model: Model, inputs: str) -> float:
    own = adapter.threshold if adapter is not None else None
    value = next((v for v in (typed, own, model.card.threshold.get(inputs)) if v is not None), None)
    if value is None:
        raise PemmaError("threshold", f"the model states no threshold for {inputs}", "give one with --threshold")
    if not 0.0 < value <= 1.0:
        raise PemmaError("threshold", f"a threshold of {value:g} is no probability", "choose one above 0, up to 1")
    return float(value)


def _dull(images: dict[str, sitk.Image]) -> tuple[PemmaWarning, ...]:
    """A warning when the PET holds one value everywhere."""
    if "pet" not in images:
        return ()
    voxels = sitk.GetArrayViewFromImage(images["pet"])
    low, high = float(voxels.min()), float(voxels.max())
    if low < high:
        return ()
    return (PemmaWarning("pet-constant", f"the PET holds nothing but SUV {low:g}: it tells nothing about lesions"),)


def _box(body: region.Body, searched: sitk.Image, result: sitk.Image, grid: sitk.Image, roi_mm) -> np.ndarray:
    """Voxels of the network's grid to search (3, 2; x, y, z): the body, inside the result's grid and the region."""
    box = region.index_box(region.box_corners(searched, body.box), grid, MARGIN_MM)
    limits = [region.index_box(region.box_corners(result, region.whole_box(result)), grid)]
    if roi_mm is not None:
        limits.append(region.index_box(region.roi_corners(roi_mm), grid, MARGIN_MM))
    for limit in limits:
        box = np.stack([np.maximum(box[:, 0], limit[:, 0]), np.minimum(box[:, 1], limit[:, 1])], axis=1)
    if (box[:, 0] >= box[:, 1]).any():
        raise PemmaError("no-overlap", "CT and PET of the study show different places",
                         "choose the series that belong together (--ct-series, --pet-series)")
    return box


def _net(model: Model, adapter: Adapter | None, way: Way) -> torch.nn.Module:
    """The network where it computes. An adapter's weights are merged there: that takes memory as well."""
    net = model.net.to(way.device)
    return net if adapter is None else adapter.merged(net)


def _search(net, tensors: dict[str, torch.Tensor], plan: windows.Plan, way: Way, mirrored: tuple[tuple[int, ...], ...],
            progress: Progress) -> np.ndarray:
    """All windows of the plan through the network, once for each of the `mirrored` axes: probability, float32 (z, y, x)."""
    net = net.to(way.device).eval()
    stitcher = windows.Stitcher(plan, way.stitch_on)
    total = len(plan.starts)
    done = 0
    with torch.inference_mode(), way.autocast():
        for starts, batch in windows.batches(plan, tensors, way.batch):
            batch = {name: tensor.to(way.device) for name, tensor in batch.items()}
            for n, axes in enumerate(mirrored):
                progress((done + len(starts) * n / len(mirrored)) / total, f"window {done + 1} of {total}")
                for start, window in zip(starts, _difference(net, batch, axes), strict=True):
                    stitcher.add(start, window)
            done += len(starts)
        probability = stitcher.probability().cpu().numpy()
    if not np.isfinite(probability).all():
        raise PemmaError("not-finite", f"the network's answer in {way.precision} on {way.words} is not a number",
                         "try --device cpu, or without the adapter")
    progress(1.0, f"window {total} of {total}")
    return probability


def _difference(net, batch: dict[str, torch.Tensor], axes: tuple[int, ...]) -> torch.Tensor:
    """Logit of object minus background, float32 (n, z, y, x), of inputs mirrored along `axes`, mirrored back."""
    logits = net({name: tensor.flip(axes) if axes else tensor for name, tensor in batch.items()})
    difference = logits[:, 1].float() - logits[:, 0].float()
    return difference.flip([axis - 1 for axis in axes]) if axes else difference


def _placed(voxels: np.ndarray, grid: sitk.Image, plan: windows.Plan) -> sitk.Image:
    """The stitched part (z, y, x) as an image where it lies in space; it may reach beyond the grid."""
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(grid.GetSpacing())
    image.SetDirection(grid.GetDirection())
    image.SetOrigin(grid.TransformContinuousIndexToPhysicalPoint([float(n) for n in reversed(plan.start)]))
    return image


def _onto(grid: sitk.Image, found: sitk.Image, roi_mm) -> sitk.Image:
    """`found` at the voxel centres of `grid` (linear), 0 outside it and outside the region. Holds one full volume.

    Only the part of the grid that `found` or the region covers is resampled, then pasted into zeros.
    """
    whole = sitk.Image(grid.GetSize(), sitk.sitkFloat32)
    whole.CopyInformation(grid)
    points = region.box_corners(found, region.whole_box(found))
    box = region.index_box(points, grid)
    if roi_mm is not None:
        inside = region.index_box(region.roi_corners(roi_mm), grid)
        box = np.stack([np.maximum(box[:, 0], inside[:, 0]), np.minimum(box[:, 1], inside[:, 1])], axis=1)
    start, size = box[:, 0].tolist(), (box[:, 1] - box[:, 0]).tolist()
    if min(size) <= 0:
        return whole
    resampled = sitk.Resample(found, size, sitk.Transform(), sitk.sitkLinear,
                              grid.TransformIndexToPhysicalPoint(start), grid.GetSpacing(), grid.GetDirection(), 0.0)
    if roi_mm is not None:
        resampled = like(sitk.GetArrayViewFromImage(resampled) * region.voxels_inside(resampled, roi_mm), resampled)
    return sitk.Paste(whole, resampled, size, [0, 0, 0], start)


class _Clock:
    """Seconds of the steps, each counted from the end of the one before."""

    def __init__(self):
        self.steps: list[Step] = []
        self._last = time.perf_counter()

    def step(self, name: str) -> None:
        now = time.perf_counter()
        self.steps.append(Step(name, now - self._last))
        self._last = now

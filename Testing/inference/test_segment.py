"""segment.py: a study and a network that knows nothing but "hot is lesion", so that every place and number is known."""

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib.adapters import Adapter, AdapterCard, method
from PEMMASegmentLib.core import Cancelled, PemmaError
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.inference.device import Way
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Model, ModelCard, Region
from PEMMASegmentLib.study.types import PetCtStudy

SPHERE_MM, RADIUS_MM, SUV = np.array([12.0, -35.0, 420.0]), 22.0, 12.0


class Hot(torch.nn.Module):
    """Logits of "PET above SUV 4" (without a PET: CT above 50 HU); counts windows, runs out of memory on demand."""

    def __init__(self, failures: int = 0):
        super().__init__()
        self.windows, self.failures, self.steps = 0, failures, []

    def forward(self, images: dict[str, torch.Tensor]) -> torch.Tensor:
        if self.failures:
            self.failures -= 1
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        [first, *_] = images.values()
        assert first.shape[2:] == (16, 16, 24)
        self.windows += len(first)
        difference = 8.0 * (images["pet"] - 0.72) if "pet" in images else 40.0 * (images["ct"] - 0.05)
        return torch.cat([-difference / 2, difference / 2], dim=1)


def model(net: torch.nn.Module | None = None, longest_mm: float = 320.0, added: tuple[str, ...] = ("pet",)) -> Model:
    card = ModelCard("hot", "1", Architecture(window=(16, 16, 24), patch=8, taps=(1, 2), modalities=added),
                     Preprocessing(spacing_mm=(4.0, 4.0, 4.0)), (), Region("a box", longest_mm),
                     {"ct+pet": 0.5, "ct": 0.4, "pet": 0.6}, sha256="0" * 64)
    return Model(card, net or Hot(), Path())


def study(turn: float = 0.0, flip: bool = False, ct: bool = True, pet: bool = True, suv: float = SUV) -> PetCtStudy:
    """A box of muscle in air with one hot sphere; CT and PET turned about x and y, flipped slices on demand."""
    return PetCtStudy(_painted(turn, flip, (2.0, 2.0, 3.0), (110, 100, 70), -1000.0, 40.0, 60.0, sitk.sitkInt16) if ct
                      else None,
                      _painted(turn, flip, (4.5, 4.5, 3.27), (48, 44, 64), 0.0, 0.6, suv, sitk.sitkFloat32) if pet
                      else None)


def _painted(turn, flip, spacing, size, air, muscle, hot, kind) -> sitk.Image:
    image = sitk.Image(size, kind)
    matrix = np.array(sitk.Euler3DTransform((0, 0, 0), turn, turn / 2, 0).GetMatrix()).reshape(3, 3)
    matrix = matrix @ np.diag([1, 1, -1 if flip else 1])
    image.SetSpacing(spacing)
    image.SetDirection(matrix.flatten().tolist())
    middle = matrix @ (np.array(spacing) * (np.array(size) - 1) / 2)
    image.SetOrigin((SPHERE_MM + (15, -10, 12) - middle).tolist())  # the sphere is not in the middle
    distance = _distance(image)
    index = np.meshgrid(*[np.arange(n) * s for n, s in zip(size, spacing, strict=True)], indexing="ij", sparse=True)
    body = [(i > 20) & (i < n * s - 20) for i, n, s in zip(index, size, spacing, strict=True)]
    voxels = np.where((body[0] & body[1] & body[2]).transpose(2, 1, 0), muscle, air)
    voxels[distance <= RADIUS_MM] = hot
    return like(voxels.astype(np.int16 if kind == sitk.sitkInt16 else np.float32), image)


def _points(image: sitk.Image) -> np.ndarray:
    """Voxel centres in mm, LPS: (3, z, y, x)."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in image.GetSize()], indexing="ij")).transpose(0, 3, 2, 1)
    to_mm = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    return np.tensordot(to_mm, index, 1) + np.array(image.GetOrigin())[:, None, None, None]


def _distance(image: sitk.Image) -> np.ndarray:
    return np.linalg.norm(_points(image) - SPHERE_MM[:, None, None, None], axis=0)


def _voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize("turn, flip", [(0.0, False), (0.0, True), (0.4, False), (-0.7, True)])
@pytest.mark.parametrize("inputs, ct", [("ct+pet", True), ("ct", True), ("pet", True), ("pet", False)])
def test_the_lesion_lies_where_it_lies_in_space(turn, flip, inputs, ct):
    case = study(turn, flip, ct=ct)
    found = segment(case, model(), inputs=inputs)
    for image in (found.label, found.probability):
        assert image.GetSize() == case.grid.GetSize()
        assert np.allclose(image.GetDirection(), case.grid.GetDirection())
        assert np.allclose(image.GetOrigin(), case.grid.GetOrigin())
    label, points = _voxels(found.label) > 0, _points(case.grid)
    assert np.abs(points[:, label].mean(axis=1) - SPHERE_MM).max() < 0.8
    volume = label.sum() * np.prod(case.grid.GetSpacing())
    assert 0.8 < volume / (4 / 3 * np.pi * RADIUS_MM**3) < 1.25
    assert _distance(case.grid)[label].max() < RADIUS_MM + 5
    assert np.array_equal(label, _voxels(found.probability) >= np.float32(found.threshold))


def test_same_study_same_answer():
    first, second = (segment(study(), model()) for _ in range(2))
    assert np.array_equal(_voxels(first.probability), _voxels(second.probability))
    assert (first.inputs, first.threshold, first.precision, first.warnings) == ("ct+pet", 0.5, second.precision, ())
    assert first.device.startswith("CPU, ") and all(step.seconds >= 0 for step in first.steps)


def test_outside_the_region_of_interest_there_is_nothing():
    for turn in (0.0, 0.5):
        case = study(turn)
        roi = tuple(np.stack([SPHERE_MM - (40, 8, 40), SPHERE_MM + (3, 40, 40)], axis=1).flatten())
        whole, part = segment(case, model()), segment(case, model(net := Hot()), roi_mm=roi)
        points = _points(case.grid)
        low, high = np.array(roi[0::2]) - 1e-3, np.array(roi[1::2]) + 1e-3
        inside = np.all([(points[a] > low[a]) & (points[a] < high[a]) for a in range(3)], axis=0)
        assert not _voxels(part.probability)[~inside].any() and part.roi_mm == roi
        agree = (_voxels(part.label) == _voxels(whole.label))[inside].mean()
        assert agree > 0.995 and _voxels(part.label).any()
        assert net.windows < 60  # only where the region is


def test_progress_is_the_share_of_windows_and_can_stop_the_work():
    told, net = [], Hot()
    segment(study(), model(net), device="cpu", progress=lambda fraction, words: told.append((fraction, words)))
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    assert sum("window" in words for _, words in told) == -(-net.windows // 2) + 1

    def stop(fraction, words):
        if words.startswith("window 5 "):
            raise Cancelled

    stopped = Hot()
    with pytest.raises(Cancelled):
        segment(study(), model(stopped), device="cpu", progress=stop)
    assert stopped.windows == 4


def test_typed_threshold_and_its_limits():
    strict, usual = (_voxels(segment(study(), model(), threshold=value).label).sum() for value in (0.9, None))
    assert 0 < strict < usual
    for bad in (0.0, 1.5, float("nan")):
        with pytest.raises(PemmaError, match="threshold"):
            segment(study(), model(), threshold=bad)


@pytest.mark.parametrize("case, added, inputs, word", [
    (dict(pet=False), ("pet",), "pet", "the study has no PET"), (dict(ct=False), ("pet",), "ct+pet", "study has no CT"),
    (dict(), (), "ct+pet", "the model has no PET"), (dict(ct=False), (), "auto", "has PET, the model knows CT"),
    (dict(), ("pet",), "mr", "not known")])
def test_inputs_that_cannot_be_had_are_refused(case, added, inputs, word):
    with pytest.raises(PemmaError, match=word):
        segment(study(**case), model(added=added), inputs=inputs)


def test_auto_never_leaves_out_an_image_without_a_word():
    found = segment(study(), model(added=()))
    assert found.inputs == "ct" and [told.code for told in found.warnings] == ["not-used"]


def test_a_constant_pet_is_told():
    case = study()
    empty = PetCtStudy(case.ct, case.pet * 0)
    found = segment(empty, model())
    assert [told.code for told in found.warnings] == ["pet-constant"] and not _voxels(found.label).any()
    with pytest.raises(PemmaError, match="no-body"):
        segment(empty, model(), inputs="pet")


def test_a_longer_body_is_refused_or_marked():
    with pytest.raises(PemmaError, match="outside-region"):
        segment(study(), model(longest_mm=100.0))
    found = segment(study(), model(longest_mm=100.0), whole_study=True)
    assert [told.code for told in found.warnings] == ["outside-region"]


def test_out_of_memory_is_told_once_and_changes_nothing(monkeypatch):
    """CUDA can't be had here: three ways on the CPU stand for the ladder, the network raises CUDA's own error."""
    cpu = torch.device("cpu")
    ways = [(Way(cpu, "float32", 4, cpu), ""), (Way(cpu, "float32", 4, cpu), "stitched elsewhere"),
            (Way(cpu, "float32", 1, cpu), "one window at a time")]
    monkeypatch.setattr(sys.modules["PEMMASegmentLib.inference.segment"], "ladder", lambda first: iter(ways))
    found = segment(study(), model(Hot(failures=2)))
    assert [told.code for told in found.warnings] == ["out-of-memory"] and "one window at a time" in found.warnings[0].sentence
    assert np.allclose(_voxels(found.probability), _voxels(segment(study(), model()).probability), atol=1e-6)


def test_an_adapter_whose_merging_runs_out_of_memory_goes_down_the_ladder_too(monkeypatch):
    class Large(Adapter):
        tries = []

        def merged(self, net):
            self.tries.append(net)
            if len(self.tries) == 1:
                raise torch.cuda.OutOfMemoryError("CUDA out of memory")
            return net

    card = AdapterCard("site", "1", method("lora", rank=1), "all", ("weight",), model().identity, "ct+pet")
    cpu = torch.device("cpu")
    ways = [(Way(cpu, "float32", 4, cpu), ""), (Way(cpu, "float32", 4, cpu), "computed on the CPU")]
    monkeypatch.setattr(sys.modules["PEMMASegmentLib.inference.segment"], "ladder", lambda first: iter(ways))
    found = segment(study(), model(), adapter=Large(card, {}))
    assert "out-of-memory" in [told.code for told in found.warnings] and len(Large.tries) == 2


def test_a_gpu_that_is_passed_over_is_told(monkeypatch):
    cpu = torch.device("cpu")
    way = Way(cpu, "float32", 4, cpu, "no kernel image is available for execution on the device")
    monkeypatch.setattr(sys.modules["PEMMASegmentLib.inference.segment"], "choose", lambda device: way)
    [told] = segment(study(), model()).warnings
    assert told.code == "cuda-unusable" and "on the CPU" in told.sentence and "no kernel image" in told.sentence


def test_an_answer_that_is_no_number_is_refused():
    class Broken(Hot):
        def forward(self, images):
            return super().forward(images) * float("nan")

    with pytest.raises(PemmaError, match="not-finite"):
        segment(study(), model(Broken()))

"""What an adapter does beside its weights: on the network's input alone, said in the result, and nothing when it is off."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib.adapters import Adapter, AdapterCard
from PEMMASegmentLib.core.images import like
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.inference.acting import without_small
from PEMMASegmentLib.inference.intensity import mapped, pet_scale
from PEMMASegmentLib.study import scanner
from PEMMASegmentLib.study.types import PetCtStudy

from .test_segment import Hot, _voxels, model, study

HALF = {"pet": [[0.0, 100.0, 1000.0], [0.0, 50.0, 500.0]]}


def adapter(**parts) -> Adapter:
    """A fix of the model of test_segment, for CT+PET unless told otherwise."""
    told = {"inputs": "ct+pet", "threshold": 0.5, "verdict": "accepted", **parts}
    return Adapter(AdapterCard("site", "1", None, "", (), model().identity, **told), {})


class Leaning(Hot):
    """Answers differently for mirrored inputs: higher where x is large."""

    def forward(self, images):
        ramp = torch.linspace(-1, 1, images["pet"].shape[-1])
        return super().forward(images) + torch.stack([-ramp, ramp])[None, :, None, None, :]


def test_off_is_the_base_bit_for_bit_and_every_part_is_off():
    everything = adapter(inputs="pet", intensity=HALF, flips=True, threshold=0.9, min_volume_ml=1e3)
    plain, off = segment(study(), model()), segment(study(), model(), adapter=everything)
    assert np.array_equal(_voxels(plain.probability), _voxels(off.probability))
    assert np.array_equal(_voxels(plain.label), _voxels(off.label))
    assert (off.adapter, off.adapter_parts, off.threshold, off.min_volume_ml) == (None, (), plain.threshold, None)
    [told] = off.warnings
    assert told.code == "adapter-off"
    assert "made for PET, this run uses CT and PET" in told.sentence and "proved" not in told.sentence
    assert (plain.adapter_parts, plain.warnings) == ((), ())


def test_a_map_acts_on_the_networks_input_and_not_on_the_study():
    case = study(suv=6.0)
    before = _voxels(case.pet).copy()
    plain, halved = segment(case, model()), segment(case, model(), adapter=adapter(intensity=HALF))
    half = replace(case, pet=like(_voxels(case.pet) / 2, case.pet))
    assert np.abs(_voxels(segment(half, model()).probability) - _voxels(halved.probability)).max() < 1e-5
    assert _voxels(plain.label).sum() > 0 and _voxels(halved.label).sum() == 0  # SUV 3 is cold for this network
    assert np.array_equal(_voxels(case.pet), before)
    assert halved.adapter_parts == ("intensity map of the PET", "threshold 0.5")
    [told] = halved.warnings
    assert told.code == "check-suv-calibration" and "by 0.50" in told.sentence


def test_the_body_is_looked_for_in_the_images_as_they_are():
    nothing = {"ct": [[-1024.0, 3071.0], [-1000.0, -1000.0]]}  # with this there would be no body; the network asks the PET
    found = segment(study(), model(), adapter=adapter(intensity=nothing))
    assert _voxels(found.label).sum() == _voxels(segment(study(), model()).label).sum() > 0


def test_a_map_is_linear_between_its_points_and_constant_beyond():
    ct = like(np.array([[[-1024, -100, 0]], [[50, 100, 3000]]], np.int16), study().ct[:3, :1, :2])
    out = mapped({"ct": ct}, {"ct": [[-1000.0, 0.0, 100.0], [-1000.0, 50.0, 100.0]]})["ct"]
    assert _voxels(out).ravel().tolist() == [-1000, -55, 50, 75, 100, 100] and _voxels(out).dtype == np.int16
    assert mapped({"ct": ct}, None)["ct"] is ct and mapped({"ct": ct}, HALF)["ct"] is ct
    assert pet_scale(HALF) == pytest.approx(0.5) and pet_scale(None) is None


def test_mirrored_passes_cost_four_times_the_windows_and_take_out_what_leans():
    plain, mirrored = Leaning(), Leaning()
    leaning = segment(study(), model(plain))
    even = segment(study(), model(mirrored), adapter=adapter(flips=True))
    symmetric = _voxels(segment(study(), model()).probability)
    assert mirrored.windows == 4 * plain.windows and "mean over mirrored inputs" in even.adapter_parts
    assert np.abs(_voxels(even.probability) - symmetric).max() < 0.6 * np.abs(_voxels(leaning.probability) - symmetric).max()
    cheap = Leaning()
    segment(study(), model(cheap), adapter=adapter(threshold=0.4))
    assert cheap.windows == plain.windows  # without flips it costs nothing


def test_a_network_that_does_not_lean_answers_the_same_mirrored():
    one, four = segment(study(), model()), segment(study(), model(), adapter=adapter(flips=True))
    assert np.abs(_voxels(one.probability) - _voxels(four.probability)).max() < 1e-5


def test_threshold_and_smallest_volume_are_the_adapters_unless_typed():
    spotted = with_a_spot()
    both = segment(spotted, model(), adapter=adapter(threshold=0.6, min_volume_ml=5.0))
    assert both.threshold == 0.6 and both.min_volume_ml == 5.0
    assert both.adapter_parts == ("threshold 0.6", "smallest volume 5 ml")
    typed = segment(spotted, model(), adapter=adapter(threshold=0.6, min_volume_ml=5.0), threshold=0.5, min_volume_ml=0.0)
    assert (typed.threshold, typed.adapter_parts) == (0.5, ())
    plain = segment(spotted, model(), threshold=0.6)
    assert 0 < _voxels(both.label).sum() < _voxels(plain.label).sum()  # the spot is gone
    assert np.array_equal(_voxels(typed.label), _voxels(segment(spotted, model()).label))
    assert np.array_equal(_voxels(both.probability), _voxels(plain.probability))


def test_small_parts_are_taken_out_without_copies_of_a_whole_body():
    voxels = np.zeros((160, 160, 160), np.uint8)
    voxels[:30, :30, :30] = voxels[80:82, 80:82, 80:82] = 1
    label = like(voxels, sitk.Image(160, 160, 160, sitk.sitkUInt8))
    without_small(label, 0.008)  # imports what is imported late
    tracemalloc.start()
    kept = without_small(label, 0.009)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert _voxels(kept).dtype == np.uint8 and np.array_equal(np.argwhere(_voxels(kept)).max(0), (29, 29, 29))
    assert peak < 8 * voxels.size  # bytes: one array of 32 bits, and masks


def with_a_spot() -> PetCtStudy:
    """The sphere, and a spot of a few voxels far from it."""
    case = study()
    voxels = _voxels(case.pet)
    voxels[10:12, 12:14, 10:12] = 40.0
    return replace(case, pet=like(voxels, case.pet))


@pytest.mark.parametrize(
    ("verdict", "words"),
    [("", "nothing was proved"), ("not shown", "not shown to help"), ("harm seen", "did harm"), ("too few cases", "too few")],
)
def test_an_adapter_that_is_not_accepted_is_told_with_its_verdict(verdict, words):
    found = segment(study(), model(), adapter=adapter(verdict=verdict))
    [told] = found.warnings
    assert told.code == "adapter-not-accepted" and words in told.sentence and found.adapter is not None
    assert segment(study(), model(), adapter=adapter()).warnings == ()


def test_a_study_of_another_kind_is_told(unpack):
    from PEMMASegmentLib.study import load

    here, there = (load(unpack(f"sts/dicom/{name}.zip")) for name in ("STS_042", "STS_008"))
    origin = scanner.gathered([scanner.facts(there)])
    for case, inputs, told in ((here, "ct+pet", ["adapter-origin"]), (here, "ct", ["adapter-origin"]), (there, "ct+pet", [])):
        middle = case.ct.TransformContinuousIndexToPhysicalPoint([n / 2 for n in case.ct.GetSize()])
        roi = [m + edge for m in middle for edge in (-20, 20)]
        made = adapter(origin=origin, inputs=inputs)
        found = segment(case, model(longest_mm=1e3), adapter=made, inputs=inputs, roi_mm=tuple(roi))
        assert [one.code for one in found.warnings] == told
        assert not told or "CT kernel STANDARD (there SOFT)" in found.warnings[0].sentence
        assert not told or ("PET voxels" in found.warnings[0].sentence) == (inputs == "ct+pet")  # else nobody uses the PET

"""The bundled patient through `segment`: every set of inputs, a network as it is used, CPU and CUDA."""

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from PEMMASegmentLib import study
from PEMMASegmentLib.core.metrics import dice
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Model, ModelCard, Region, find_model, load_model
from PEMMASegmentLib.network.pemma import Pemma


@pytest.fixture(scope="module")
def case(unpack):
    return study.load(unpack("sts/dicom/STS_008.zip"))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory) -> Model:
    torch.manual_seed(0)
    shape = Architecture(window=(32, 32, 32), patch=8, hidden=32, depth=2, heads=2, mlp=64, feature=8, taps=(0, 1),
                         modalities=("pet",))
    card = ModelCard("untrained", "0", shape, Preprocessing(), (), Region("limbs", 317.0),
                     dict.fromkeys(("ct+pet", "ct", "pet"), 0.5))
    return Model(card, Pemma(shape).eval(), tmp_path_factory.getbasetemp())


def _voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def test_every_set_of_inputs_gives_a_label_on_the_ct(case, untrained):
    answers = {inputs: segment(case, untrained, inputs=inputs) for inputs in ("auto", "ct+pet", "ct", "pet")}
    for found in answers.values():
        assert found.label.IsSameImageGeometryAs(case.ct) and found.warnings == ()
        probability = _voxels(found.probability)
        assert probability.dtype == np.float32 and 0 <= probability.min() and probability.max() <= 1
    assert answers["auto"].inputs == "ct+pet"
    assert np.array_equal(_voxels(answers["auto"].probability), _voxels(answers["ct+pet"].probability))


def test_ct_alone_is_the_same_with_and_without_a_pet_in_the_study(case, untrained):
    alone = study.PetCtStudy(case.ct, None)
    first, second = segment(case, untrained, inputs="ct"), segment(alone, untrained)
    assert np.array_equal(_voxels(first.probability), _voxels(second.probability))


@pytest.mark.parametrize("stored", ["RAI", "PSR", "LSA"])
def test_the_order_in_which_voxels_are_stored_does_not_matter(case, untrained, stored):
    """Coronal and sagittal series, NIfTI of any kind: the network sees the body as in training, the label keeps their grid."""
    turned = study.PetCtStudy(sitk.DICOMOrient(case.ct, stored), case.pet)
    first, second = segment(case, untrained).probability, segment(turned, untrained).probability
    assert second.IsSameImageGeometryAs(turned.ct)
    assert np.abs(_voxels(first) - _voxels(sitk.DICOMOrient(second, "LPS"))).max() < 1e-4 < np.ptp(_voxels(first)) / 100


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_marks_what_the_cpu_marks(case):
    model = load_model(find_model())
    for inputs in ("ct+pet", "ct", "pet"):
        cpu, cuda = (segment(case, model, inputs=inputs, device=device) for device in ("cpu", "cuda"))
        assert dice(cpu.label, cuda.label) >= 0.995

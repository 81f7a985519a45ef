"""Options out of the fields of a request: what the command line takes is taken, and what is unknown or wrong is one sentence."""

from dataclasses import asdict

import pytest

from PEMMASegmentLib.adaptation.choices import UPDATES
from PEMMASegmentLib.adapters.methods import METHODS
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.jobs.options import Adapting, Segmenting, read


def test_numbers_come_as_numbers_or_texts_and_none_is_not_given():
    box = [-10, 20.5, -3, 4, -800, -600]
    given = {"min_volume": "0.5", "threshold": 0.45, "roi": box, "whole_study": True, "model": None, "weight_kg": 70}
    expected = {"min_volume": 0.5, "threshold": 0.45, "roi": tuple(box), "whole_study": True, "weight_kg": 70.0}
    assert asdict(read(Segmenting, given)) == asdict(Segmenting()) | expected
    assert read(Segmenting, {"roi": "-10,20.5,-3,4,-800,-600"}).roi == tuple(box)
    assert read(Adapting, {"library": "cases", "seed": "7"}).seed == 7


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshhold": 0.5}, {"threshold": True}, {"threshold": [0.5]}, {"threshold": "high"}, {"threshold": 2},
        {"min_volume": -1}, {"weight_kg": 10**400}, {"whole_study": "true"}, {"whole_study": 1}, {"model": 7}, {"inputs": "mr"},
        {"device": ["cpu"]}, {"roi": [0, 1, 0, 1, 0]}, {"roi": [0, 1, 0, 1, 0, True]}, {"roi": {"x": 0}},
        {"injection_time": 101500},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_unknown_or_wrong_is_refused(wrong):
    with pytest.raises(PemmaError) as refused:
        read(Segmenting, wrong)
    [name] = wrong
    assert refused.value.code == "option" and "--" + name.replace("_", "-") in refused.value.sentence


@pytest.mark.parametrize(
    "wrong",
    [
        {}, {"studies": ["a"], "library": "b"}, {"studies": "a"}, {"library": "a", "seed": True}, {"library": "a", "seed": -1},
        {"library": "a", "weight_kg": 70}, {"library": "a", "method": "maps", "minutes": 3},
        {"library": "a", "effort": "quick", "minutes": 3},
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_go_together_is_refused(wrong):
    with pytest.raises(PemmaError, match="option"):
        read(Adapting, wrong)


def test_the_updates_to_choose_from_are_those_that_there_are():
    assert UPDATES == tuple(METHODS)

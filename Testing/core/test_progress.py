"""Progress: words for people, and beside them what programs need as data."""

import json

import pytest

from PEMMASegmentLib.core import Cancelled
from PEMMASegmentLib.core.progress import Reached, Words, named, part, reached

STEP = Words("step 2 of 4, loss 0.500", Reached(step=2, loss=0.5))


def test_pieces_of_pieces_give_fraction_words_and_where_it_is():
    told = []
    proof = named(lambda *report: told.append(report), "the adapter is there; its proof", Reached("its proof", there=True))
    fold = named(part(proof, 0.5, 1.0), "fold 2 of 2")
    fold(0.5, STEP)
    fold(1.0, "segmented")
    assert told == [(0.75, "the adapter is there; its proof: fold 2 of 2: step 2 of 4, loss 0.500"),
                    (1.0, "the adapter is there; its proof: fold 2 of 2: segmented")]
    assert reached(told[0][1]) == Reached("its proof: fold 2 of 2", 2, 0.5, there=True)
    assert reached(told[1][1]) == Reached("its proof: fold 2 of 2", there=True)


def test_who_only_shows_words_sees_a_text():
    assert reached("window 1 of 3") == Reached() and reached(STEP).step == 2
    assert f"{STEP}" == STEP == "step 2 of 4, loss 0.500" and json.dumps(STEP) == f'"{STEP}"'


def test_the_callback_can_stop_the_work_from_inside_a_named_piece():
    def stop(fraction, words):
        raise Cancelled

    with pytest.raises(Cancelled):
        named(stop, "fold 1 of 2")(0.5, STEP)

"""What is drawn at a threshold follows from the user's acts alone, whatever way the slider took: laws, without Slicer."""

from dataclasses import fields

import numpy as np
import SimpleITK as sitk
from hypothesis import example, given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.panel import drawing, looks

from .conftest import lesions_in

LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95)
levels, which = st.sampled_from(LEVELS), st.integers(0, 9)
slides = st.tuples(st.just("slide"), levels, st.integers(1, 3))
acts = st.tuples(st.sampled_from(["tick", "tick", "delete", "trim", "paint", "merge"]), which, which)
rows = st.lists(st.tuples(st.sampled_from((0.0, *LEVELS)), st.integers(1, 4)), min_size=4, max_size=14)


def image_of(row) -> sitk.Image:
    values = np.concatenate([[0], *([value] * length for value, length in row), [0]]).astype(np.float32)
    return sitk.GetImageFromArray(values[None, None])


def lesions(one) -> dict[int, frozenset[int]]:
    """Lesion -> its voxels."""
    flat = one.numbers.ravel()
    return {n: frozenset(np.flatnonzero(flat == n).tolist()) for n in np.unique(flat[flat > 0]).tolist()}


def changed_by(act: str, one: drawing.Drawing, chosen: list[int], where: int):
    """A deleted lesion, the half of one, a stroke of one, two that are merged."""
    numbers = one.numbers.copy()
    flat, first = numbers.ravel(), chosen[0]
    at = np.flatnonzero(flat == first)
    if act == "delete":
        flat[at] = 0
    elif act == "trim":
        flat[at[len(at) // 2 :]] = 0
    elif act == "paint":
        flat[where * len(flat) // 10 :][:2] = first
    else:
        flat[np.isin(flat, chosen)] = first
    return drawing.drawn(one, lesions_in(numbers), {}, one.dropped)


def same(one: drawing.Drawing, other: drawing.Drawing) -> bool:
    members = ["numbers", *(member.name for member in fields(one) if member.name != "voxels")]
    pairs = [(getattr(one, name), getattr(other, name)) for name in members]
    return all(np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b for a, b in pairs)


class History:
    """Acts and slides on one answer. unticked: voxels of which the user said so last."""

    def __init__(self, image):
        self.image, self.now = image, drawing.at_threshold(None, image, 0.5, 1)
        self.unticked: frozenset[int] = frozenset()

    def slid(self, threshold: float, smallest: int) -> drawing.Drawing:
        return drawing.at_threshold(self.now, self.image, threshold, smallest)

    def do(self, step) -> None:
        act, first, second = step
        there = lesions(self.now)
        if act == "slide":
            self.now = self.slid(first, second)
        elif there:
            chosen = [sorted(there)[n % len(there)] for n in (first, second)]
            if act == "tick":
                self.tick(chosen[0], there[chosen[0]])
            else:
                self.now = changed_by(act, self.now, chosen, second)

    def tick(self, number: int, voxels: frozenset[int]) -> None:
        kept = number in self.now.dropped
        self.unticked = self.unticked - voxels if kept else self.unticked | voxels
        self.now = drawing.decided(self.now, number, kept)


@settings(max_examples=150)
@given(rows, st.lists(slides | acts, max_size=8), st.lists(slides, max_size=4), slides)
def test_the_way_of_the_sliders_leaves_no_trace(row, before, way, target):
    history = History(image_of(row))
    for step in before:
        history.do(step)
    straight = history.slid(*target[1:])
    for step in way:
        history.do(step)
    history.now = history.slid(*target[1:])
    assert same(history.now, straight)
    places = looks.seen((), {}, straight, {n: looks.Look(f"Lesion {n}") for n in lesions(straight)})
    assert {n: places[i].number for n, i in looks.placed(places, straight).items()} == {n: n for n in lesions(straight)}
    seen = drawing.settled(straight)  # as by a tick: it moves no border and no number
    assert np.array_equal(drawing.at_threshold(seen, history.image, *target[1:]).numbers, straight.numbers)


@settings(max_examples=150)
@given(rows, st.lists(slides | st.tuples(st.just("tick"), which, which), max_size=10))
@example(  # a part of an unticked lesion that is not there while another part is ticked
    [(0.8, 2), (0.65, 1), (0.2, 1), (0.95, 2), (0.35, 2), (0.5, 2)],
    [("slide", 0.2, 1), ("tick", 0, 0), ("slide", 0.8, 1), ("tick", 1, 0), ("slide", 0.5, 1)],
)
def test_what_was_unticked_stays_so_and_nothing_else_is(row, steps):
    history = History(image_of(row))
    for step in steps:
        history.do(step)
        for number, voxels in lesions(history.now).items():
            if voxels <= history.unticked:
                assert number in history.now.dropped
            if not voxels & history.unticked:
                assert number not in history.now.dropped
        held = {n for n, voxels in lesions(history.now).items() if voxels & history.unticked} - history.now.dropped
        assert drawing.holding(history.now) == sorted(held)


@settings(max_examples=150)
@given(rows, st.lists(slides | acts, max_size=8), slides)
def test_erased_voxels_stay_away_and_the_users_lesions_stay_and_share_no_number(row, steps, target):
    history = History(image_of(row))
    for step in steps:
        history.do(step)
    after = history.slid(*target[1:])
    assert not after.numbers.ravel()[after.erased].any()
    for number in history.now.touched:
        assert lesions(after)[number] == lesions(history.now)[number]
    if after.edited:
        known = set((after.known >> drawing.MARK).tolist())
        assert not known & after.touched and all(n > after.highest or n in known for n in set(lesions(after)) - after.touched)

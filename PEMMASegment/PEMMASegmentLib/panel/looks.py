"""Name, colour and terminology that the user gave to a lesion: they go on with it, also after it was gone for a while.

They are no act: an undo leaves them as they are. No Slicer in here.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .drawing import Drawing, packed, unpacked


class Look(NamedTuple):
    """What the user gave to a segment: name, colour (RGB in 0..1), terminology; None for what is ours."""

    name: str | None
    colour: tuple[float, float, float] | None
    terminology: str | None


class Gone(NamedTuple):
    """The look of a lesion that is gone, and the voxels (flat indices, rising) that it had at last."""

    look: Look
    voxels: np.ndarray


def carried(before: Drawing, after: Drawing, looks: Mapping[int, Look],
            gone: Iterable[Gone]) -> tuple[dict[int, Look], tuple[Gone, ...]]:  # fmt: skip
    """Lesion of `after` -> its look, and the looks that no lesion has then.

    looks: of the lesions of `before`. A lesion that goes on from none of these takes a look that is gone, by its voxels.
    """
    if not looks and not gone:
        return {}, ()
    former, were, there = continued(before, after), _lesions(before), _lesions(after)
    found = {new: looks[former[new]] for new in there if former.get(new) in looks}
    lost = looks.keys() - {former.get(new) for new in there}
    gone = (*gone, *(Gone(looks[old], np.flatnonzero(before.numbers == old)) for old in sorted(lost)))
    free = {new for new in there - found.keys() if former.get(new) not in were}
    left = []
    # where several ran into one it has the look of the largest
    for one in sorted(gone, key=lambda one: -len(one.voxels)):
        shared = np.bincount(after.numbers.ravel()[one.voxels], minlength=2**16)
        new = max(free, key=lambda number: shared[number], default=0)
        if new and shared[new]:
            found[new] = one.look
            free.remove(new)
        else:
            left.append(one)
    return found, tuple(left)


def continued(before: Drawing, after: Drawing) -> dict[int, int]:
    """Lesion -> the one of `before` that it goes on from, if any: the user's by number, the others by most shared voxels."""
    found = {number: number for number in before.touched | after.touched}
    both = (before.numbers > 0) & (after.numbers > 0)
    pairs, shared = np.unique(after.numbers[both].astype(np.int64) << 16 | before.numbers[both], return_counts=True)
    for pair in pairs[np.argsort(-shared, kind="stable")].tolist():
        new, old = divmod(pair, 1 << 16)
        if new not in found and old not in found.values():
            found[new] = old
    return found


def as_text(gone: Iterable[Gone]) -> list[dict[str, Any]]:
    """For the scene (JSON); back with `of_text`."""
    return [one.look._asdict() | {"voxels": packed(one.voxels)} for one in gone]


def of_text(kept: Iterable[Mapping[str, Any]]) -> tuple[Gone, ...]:
    """What was kept with `as_text`."""
    return tuple(
        Gone(Look(one["name"], one["colour"] and tuple(one["colour"]), one["terminology"]), unpacked(one["voxels"]))
        for one in kept
    )


def _lesions(drawing: Drawing) -> set[int]:
    return set(np.unique(drawing.numbers[drawing.numbers > 0]).tolist())

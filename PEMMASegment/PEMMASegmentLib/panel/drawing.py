"""Which voxel belongs to which lesion, and what the user decided: one value, so that undo is going back to an earlier one.

    network's lesions   components of probability >= threshold; they follow the threshold and are numbered by size
    touched lesions     drawn or changed by the user; they stay as they are, with their numbers and tracking UIDs
    erased voxels       taken out of a lesion by the user; no lesion of the network takes them again, at no threshold
    ticked, unticked    voxels of lesions that stood so when the user last ticked one; they decide at every threshold which
                        of the network's lesions are dropped, also when there was no lesion there for a while
No Slicer in here.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.components import Box, components
from ..core.images import array, like
from ..core.types import SMALLEST_ML

VOXELS = ("erased", "ticked", "unticked")  # members of a Drawing that the scene keeps as `packed`


def _no_voxels() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Drawing:
    """numbers: uint16 (z, y, x), the lesion of each voxel, 0 outside all; threshold: of the network's lesions.

    touched: lesions of the user; uids: their tracking UIDs. dropped, reviewed: lesions. highest: ever given to a lesion.
    erased, ticked, unticked: flat indices of voxels, rising. min_volume_ml: of the network's smallest lesion.
    """

    numbers: np.ndarray
    threshold: float
    touched: frozenset[int] = frozenset()
    uids: Mapping[int, str] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    reviewed: frozenset[int] = frozenset()
    highest: int = 0
    erased: np.ndarray = field(default_factory=_no_voxels)
    ticked: np.ndarray = field(default_factory=_no_voxels)
    unticked: np.ndarray = field(default_factory=_no_voxels)
    min_volume_ml: float = SMALLEST_ML

    @property
    def edited(self) -> bool:
        """Whether this is more than what the network says at this threshold."""
        return bool(len(self.erased)) or bool(self.touched)

    @property
    def free_number(self) -> int:
        """The number of a new lesion; that of a lesion that is gone is not given again."""
        return max(self.highest, int(self.numbers.max(initial=0))) + 1


@dataclass(frozen=True)
class Packed:
    """A Drawing that waits to be gone back to; takes memory for the lesions' voxels alone."""

    rest: Drawing
    shape: tuple[int, ...]
    at: np.ndarray
    values: np.ndarray

    @classmethod
    def of(cls, drawing: Drawing) -> "Packed":
        at = np.flatnonzero(drawing.numbers)
        values = drawing.numbers.ravel()[at]
        small = np.int32 if drawing.numbers.size < 2**31 else np.int64
        return cls(replace(drawing, numbers=np.empty(0, np.uint16)), drawing.numbers.shape, at.astype(small), values)

    def has_voxels_of(self, drawing: Drawing) -> bool:
        """Whether the lesions are the same, voxel for voxel."""
        other = Packed.of(drawing)
        return self.shape == other.shape and np.array_equal(self.at, other.at) and np.array_equal(self.values, other.values)

    def unpacked(self) -> Drawing:
        numbers = np.zeros(self.shape, np.uint16)
        numbers.ravel()[self.at] = self.values
        return replace(self.rest, numbers=numbers)


def at_threshold(before: Drawing | None, probability: sitk.Image, threshold: float, smallest: int) -> Drawing:
    """The network's lesions of at least `smallest` voxels at this threshold, beside those that the user touched.

    What the user erased stays away, with what grows around it unless that is nearer to a lesion of the network's.
    A network's lesion with more unticked than ticked voxels is dropped; one that changed wants to be reviewed again.
    """
    label = like((array(probability) >= threshold).astype(np.uint8), probability)
    numbers, boxes = components(label, max(smallest, 1))
    numbers[numbers > np.iinfo(np.uint16).max] = 0  # specks of a threshold near zero; nobody looks at that many
    if before is None:
        return Drawing(numbers.astype(np.uint16), threshold)
    if before.edited:
        _give_way(numbers, boxes, before, probability.GetSpacing()[::-1], smallest)
        numbers = _beside(numbers, before)
    numbers = numbers.astype(np.uint16)
    return replace(
        before,
        numbers=numbers,
        threshold=threshold,
        dropped=_dropped(before, numbers),
        reviewed=before.reviewed - changed(before.numbers, numbers),
        highest=before.highest if before.edited else 0,
    )


def decided(before: Drawing, number: int, kept: bool) -> Drawing:
    """The user keeps or drops a lesion; what was decided on a wider outline of it no longer counts."""
    dropped = before.dropped - {number} if kept else before.dropped | {number}
    ticked, unticked = (_without(voxels, before.numbers, number) for voxels in (before.ticked, before.unticked))
    return noted(replace(before, dropped=dropped, ticked=ticked, unticked=unticked))


def noted(drawing: Drawing) -> Drawing:
    """With what stands ticked and unticked; voxels on which the user had decided before stay as they were."""
    if not drawing.dropped and not len(drawing.unticked):
        return replace(drawing, ticked=_no_voxels())
    at = np.flatnonzero(drawing.numbers)
    out = np.isin(drawing.numbers.ravel()[at], list(drawing.dropped))
    ticked = np.union1d(drawing.ticked, np.setdiff1d(at[~out], drawing.unticked, assume_unique=True))
    unticked = np.union1d(drawing.unticked, np.setdiff1d(at[out], drawing.ticked, assume_unique=True))
    return replace(drawing, ticked=ticked, unticked=unticked)


def erased_by(before: Drawing, numbers: np.ndarray) -> np.ndarray:
    """The erased voxels (flat indices) after the user's change to these numbers: what is drawn again is no longer erased."""
    gone = np.union1d(before.erased, np.flatnonzero((before.numbers > 0) & (numbers == 0)))
    return gone[numbers.ravel()[gone] == 0]


def packed(voxels: np.ndarray) -> str:
    """Flat indices, rising, as a text for the scene; back with `unpacked`."""
    if not len(voxels):
        return ""
    return base64.b64encode(zlib.compress(np.diff(voxels, prepend=0).astype("<i8").tobytes())).decode("ascii")


def unpacked(text: str) -> np.ndarray:
    """Flat indices of a text of `packed`."""
    if not text:
        return _no_voxels()
    return np.cumsum(np.frombuffer(zlib.decompress(base64.b64decode(text)), "<i8"))


def changed(one: np.ndarray, other: np.ndarray) -> frozenset[int]:
    """Lesions that do not have the same voxels in both; also those that only one of them has."""
    differs = one != other
    return frozenset(np.unique(np.concatenate([one[differs], other[differs]])).tolist()) - {0}


def drawn_by_network(numbers: np.ndarray, label: sitk.Image) -> frozenset[int]:
    """Lesions that are, voxel for voxel, a component of the network's label."""
    found, _ = components(label)
    sizes = np.bincount(found.ravel())
    return frozenset(
        number
        for number, box in enumerate(ndimage.find_objects(numbers), start=1)
        if box is not None and _is_one(found[box][numbers[box] == number], sizes)
    )


def _is_one(found: np.ndarray, sizes: np.ndarray) -> bool:
    return bool(found[0]) and bool((found == found[0]).all()) and len(found) == sizes[found[0]]


def _give_way(numbers: np.ndarray, boxes: list[Box], before: Drawing, step, smallest: int) -> None:
    """In place: of a component that runs into a touched lesion or erased voxels stays what lies nearer to a network's lesion."""
    mine = _of_user(before)
    mine.ravel()[before.erased] = True
    for number in np.unique(numbers[mine]).tolist():
        if not number:
            continue
        box = boxes[number - 1]
        inside, others = numbers[box] == number, (before.numbers[box] > 0) & ~mine[box]
        stays = inside & ~mine[box]
        if others.any():
            stays &= _distance(others, step) < _distance(mine[box], step)
        if not others.any() or np.count_nonzero(stays) < smallest:
            stays[:] = False
        numbers[box][inside & ~stays] = 0


def _distance(marked: np.ndarray, step) -> np.ndarray:
    return ndimage.distance_transform_edt(~marked, sampling=step)


def _beside(numbers: np.ndarray, before: Drawing) -> np.ndarray:
    """Components under numbers that no touched lesion has, and the touched lesions."""
    present = np.unique(numbers[numbers > 0]).tolist()
    free = (n for n in range(1, 2**16) if n not in before.touched)
    new = np.zeros(max(present, default=0) + 1, np.uint16)
    new[present] = [next(free) for _ in present]
    out, mine = new[numbers], _of_user(before)
    out[mine] = before.numbers[mine]
    return out


def _of_user(drawing: Drawing) -> np.ndarray:
    """Voxels (z, y, x) of the touched lesions."""
    touched = np.zeros(int(drawing.numbers.max(initial=0)) + 1, bool)
    touched[[number for number in drawing.touched if number < len(touched)]] = True
    return touched[drawing.numbers]


def _without(voxels: np.ndarray, numbers: np.ndarray, number: int) -> np.ndarray:
    """Voxels (flat indices) less those of a lesion and those connected with them; `noted` sets again what others have."""
    here = numbers.ravel()[voxels] == number
    if not here.any():
        return voxels
    marked = np.zeros(numbers.shape, bool)
    marked.ravel()[voxels] = True
    pieces = ndimage.label(marked, np.ones((3, 3, 3)))[0].ravel()[voxels]
    return voxels[~np.isin(pieces, pieces[here])]


def _dropped(before: Drawing, numbers: np.ndarray) -> frozenset[int]:
    stay = before.dropped & before.touched
    if not len(before.unticked):
        return stay
    most = int(numbers.max(initial=0)) + 1
    out, kept = (np.bincount(numbers.ravel()[voxels], minlength=most) for voxels in (before.unticked, before.ticked))
    return stay | frozenset(np.flatnonzero(out > kept).tolist()) - before.touched - {0}

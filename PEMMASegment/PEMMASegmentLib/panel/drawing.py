"""Which voxel belongs to which lesion, and what the user decided: one value, so that undo is going back to an earlier one.

    network's lesions   components of probability >= threshold; they follow the threshold and are numbered by size, after
                        an edit as the lesion among those known that they overlap best
    known lesions       of the network, as the user saw them at an act that can be undone: what they lie nearer to is theirs
    touched lesions     drawn or changed by the user; they stay as they are, with their numbers and tracking UIDs
    erased voxels       taken out of a lesion by the user; no lesion of the network takes them again, at no threshold
    ticked, unticked    voxels of lesions that stood so when the user last ticked one; they decide at every threshold which
                        of the network's lesions are dropped, also when there was no lesion there for a while
What is drawn at a threshold follows from these alone, which the user's acts change, never from where a slider passed.
No Slicer in here.
"""

import base64
import hashlib
import itertools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from ..core.components import Box, components
from ..core.images import array, like
from ..core.types import SMALLEST_ML

VOXELS = ("erased", "ticked", "unticked", "known")  # members of a Drawing that the scene keeps as `packed`
MARK = 40  # bits of a flat index; what is said of the voxel stands above them
INDEX = (1 << MARK) - 1
MOST = np.iinfo(np.uint16).max


def _no_voxels() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Drawing:
    """numbers: uint16 (z, y, x), the lesion of each voxel, 0 outside all; threshold: of the network's lesions.

    touched: lesions of the user; uids: their tracking UIDs. dropped: lesions. highest: given to a lesion at an act.
    erased, ticked, unticked, known: flat indices of voxels, rising; above them (`MARK`) in ticked and unticked how often
    it was overridden, in known the lesion. min_volume_ml: of the network's smallest lesion.
    """

    numbers: np.ndarray
    threshold: float
    touched: frozenset[int] = frozenset()
    uids: Mapping[int, str] = field(default_factory=dict)
    dropped: frozenset[int] = frozenset()
    highest: int = 0
    erased: np.ndarray = field(default_factory=_no_voxels)
    ticked: np.ndarray = field(default_factory=_no_voxels)
    unticked: np.ndarray = field(default_factory=_no_voxels)
    known: np.ndarray = field(default_factory=_no_voxels)
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

    def unpacked(self) -> Drawing:
        numbers = np.zeros(self.shape, np.uint16)
        numbers.ravel()[self.at] = self.values
        return replace(self.rest, numbers=numbers)


def at_threshold(before: Drawing | None, probability: sitk.Image, threshold: float, smallest: int) -> Drawing:
    """The network's lesions of at least `smallest` voxels at this threshold, beside those that the user touched.

    What the user erased stays away, with what grows around it unless that is nearer to a lesion of the network's.
    A network's lesion with more unticked than ticked voxels is dropped.
    """
    label = like((array(probability) >= threshold).astype(np.uint8), probability)
    numbers, boxes = components(label, max(smallest, 1))
    numbers[numbers > MOST] = 0  # specks of a threshold near zero; nobody looks at that many
    if before is None:
        return Drawing(numbers.astype(np.uint16), threshold)
    if before.edited:
        _give_way(numbers, boxes, before, probability.GetSpacing()[::-1], smallest)
        numbers = _beside(numbers, before)
    numbers = numbers.astype(np.uint16)
    return replace(before, numbers=numbers, threshold=threshold, dropped=_dropped(before, numbers))


def drawn(before: Drawing, numbers: np.ndarray, uids: Mapping[int, str], dropped: frozenset[int]) -> Drawing:
    """The user draws: lesions that have other voxels in `numbers` are the user's from now on. uids, dropped: of all then."""
    before = settled(before)
    differ, there = changed(before.numbers, numbers), _lesions(numbers)
    touched = (before.touched | differ) & there
    after = replace(before, numbers=numbers, touched=touched, uids=uids, dropped=dropped & there)
    # of a known lesion that reached into what changed stays what is drawn of it
    at, of = before.known & INDEX, before.known >> MARK
    reaching = np.isin(of, np.unique(of[(before.numbers != numbers).ravel()[at]]))
    stays = ~np.isin(of, list(differ)) & (~reaching | ((numbers > 0) & ~_of_user(after)).ravel()[at])
    highest = max(before.highest, int(before.numbers.max(initial=0)))
    return settled(replace(after, highest=highest, erased=_erased(before, numbers), known=before.known[stays]))


def settled(drawing: Drawing) -> Drawing:
    """As the user saw it at an act: the lesions of the network that are drawn are known, and no other gets their numbers."""
    if not drawing.edited:
        return drawing
    at = np.flatnonzero(drawing.numbers)
    of = drawing.numbers.ravel()[at].astype(np.int64)
    new = ~np.isin(of, np.concatenate([drawing.known >> MARK, list(drawing.touched)]))
    known = np.union1d(drawing.known, of[new] << MARK | at[new])
    return replace(drawing, known=known, highest=max(drawing.highest, int(drawing.numbers.max(initial=0))))


def decided(before: Drawing, number: int, kept: bool) -> Drawing:
    """The user keeps or drops a lesion; what was decided on a wider outline of it counts where nothing else does."""
    dropped = before.dropped - {number} if kept else before.dropped | {number}
    ticked, unticked = (_overridden(voxels, before.numbers, number) for voxels in (before.ticked, before.unticked))
    return settled(noted(replace(before, dropped=dropped, ticked=ticked, unticked=unticked)))


def noted(drawing: Drawing) -> Drawing:
    """With the lesions that stand ticked and unticked; those in which something was decided before stay as they were."""
    if not drawing.dropped and not len(drawing.unticked):
        return replace(drawing, ticked=_no_voxels())
    at, numbers = np.flatnonzero(drawing.numbers), drawing.numbers.ravel()
    out = np.isin(numbers[at], list(drawing.dropped))
    free = ~np.isin(numbers[at], numbers[np.concatenate([drawing.ticked, drawing.unticked]) & INDEX])
    ticked = _confirmed(drawing.ticked, at[~out], at[free & ~out])
    return replace(drawing, ticked=ticked, unticked=_confirmed(drawing.unticked, at[out], at[free & out]))


def holding(drawing: Drawing) -> list[int]:
    """Lesions that are kept although the user unticked one that lies in them."""
    return sorted(set(np.unique(drawing.numbers.ravel()[drawing.unticked & INDEX]).tolist()) - drawing.dropped - {0})


def outlines(numbers: np.ndarray) -> dict[int, str]:
    """Lesion -> a digest of its voxels."""
    at = np.flatnonzero(numbers)
    of = numbers.ravel()[at]
    order = np.argsort(of, kind="stable")
    found, starts = np.unique(of[order], return_index=True)
    parts = np.split(at[order].astype("<i8"), starts[1:])
    return {n: hashlib.blake2b(part.tobytes(), digest_size=8).hexdigest() for n, part in zip(found.tolist(), parts, strict=False)}


def continued(numbers: np.ndarray, known: np.ndarray) -> dict[int, int]:
    """Lesion -> the one of `known` (as in a Drawing) that it goes on from, one to one, those that overlap best first."""
    of, at = known >> MARK, known & INDEX
    inside = numbers.ravel()[at] > 0
    pairs, shared = np.unique(numbers.ravel()[at[inside]].astype(np.int64) << MARK | of[inside], return_counts=True)
    new, old = pairs >> MARK, pairs & INDEX
    sizes = np.bincount(numbers[numbers > 0], minlength=1)[new] + np.bincount(of, minlength=1)[old]
    found: dict[int, int] = {}
    for n in np.argsort(-shared / (sizes - shared), kind="stable"):
        if new[n] not in found and old[n] not in found.values():
            found[int(new[n])] = int(old[n])
    return found


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


def _erased(before: Drawing, numbers: np.ndarray) -> np.ndarray:
    """The erased voxels after the user's change to these numbers: what is drawn again is no longer erased."""
    gone = np.union1d(before.erased, np.flatnonzero((before.numbers > 0) & (numbers == 0)))
    return gone[numbers.ravel()[gone] == 0]


def _give_way(numbers: np.ndarray, boxes: list[Box], before: Drawing, step, smallest: int) -> None:
    """In place: of a component that runs into a touched lesion or erased voxels stays what lies nearer to known lesions."""
    mine, theirs = _of_user(before), np.zeros(numbers.shape, bool)
    mine.ravel()[before.erased] = True
    theirs.ravel()[before.known & INDEX] = True
    for number in np.unique(numbers[mine]).tolist():
        if not number:
            continue
        box = boxes[number - 1]
        inside, others = numbers[box] == number, theirs[box] & ~mine[box]
        others &= inside
        stays = inside & ~mine[box]
        if others.any():
            stays &= _distance(others, step) < _distance(mine[box], step)
        if not others.any() or np.count_nonzero(stays) < smallest:
            stays[:] = False
        numbers[box][inside & ~stays] = 0


def _distance(marked: np.ndarray, step) -> np.ndarray:
    return ndimage.distance_transform_edt(~marked, sampling=step)


def _beside(numbers: np.ndarray, before: Drawing) -> np.ndarray:
    """Components under the numbers of the known lesions that they go on from, or new ones, and the touched lesions."""
    present, number_of = np.unique(numbers[numbers > 0]).tolist(), continued(numbers, before.known)
    free = (n if n <= MOST else 0 for n in itertools.count(before.highest + 1))
    new = np.zeros(max(present, default=0) + 1, np.uint16)
    new[present] = [number_of[n] if n in number_of else next(free) for n in present]
    out, mine = new[numbers], _of_user(before)
    out[mine] = before.numbers[mine]
    return out


def _of_user(drawing: Drawing) -> np.ndarray:
    """Voxels (z, y, x) of the touched lesions."""
    touched = np.zeros(int(drawing.numbers.max(initial=0)) + 1, bool)
    touched[[number for number in drawing.touched if number < len(touched)]] = True
    return touched[drawing.numbers]


def _lesions(numbers: np.ndarray) -> frozenset[int]:
    return frozenset(np.unique(numbers[numbers > 0]).tolist())


def _overridden(voxels: np.ndarray, numbers: np.ndarray, number: int) -> np.ndarray:
    """Voxels of ticked or unticked less those of a lesion; those connected with them were overridden once more."""
    at = voxels & INDEX
    here = numbers.ravel()[at] == number
    if not here.any():
        return voxels
    marked = np.zeros(numbers.shape, bool)
    marked.ravel()[at] = True
    pieces = ndimage.label(marked, np.ones((3, 3, 3)))[0].ravel()[at]
    return np.sort((voxels + (np.isin(pieces, pieces[here]).astype(np.int64) << MARK))[~here])


def _confirmed(voxels: np.ndarray, agreeing: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Voxels of ticked or unticked with new ones; where lesions that stand so lie now none is overridden any more."""
    return np.union1d(np.where(np.isin(voxels & INDEX, agreeing), voxels & INDEX, voxels), new)


def _dropped(before: Drawing, numbers: np.ndarray) -> frozenset[int]:
    """The touched ones stay so; of the network's voxels count that were overridden least."""
    stay = before.dropped & before.touched
    if not len(before.unticked):
        return stay
    votes = [(numbers.ravel()[voxels & INDEX], voxels >> MARK) for voxels in (before.unticked, before.ticked)]
    least = np.full(int(numbers.max(initial=0)) + 1, np.iinfo(np.int64).max)
    for lesion, times in votes:
        np.minimum.at(least, lesion, times)
    out, kept = (np.bincount(lesion[times == least[lesion]], minlength=len(least)) for lesion, times in votes)
    return stay | frozenset(np.flatnonzero(out > kept).tolist()) - before.touched - {0}

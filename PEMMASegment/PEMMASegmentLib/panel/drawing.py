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

from ..core.types import SMALLEST_ML
from ..core.voxels import MOST, Voxels, largest_first, pieces, union

VOXELS = ("erased", "ticked", "unticked", "known")  # members of a Drawing that the scene keeps as `packed`
MARK = 40  # bits of a flat index; what is said of the voxel stands above them
INDEX = (1 << MARK) - 1


def _no_voxels() -> np.ndarray:
    return np.empty(0, np.int64)


@dataclass(frozen=True)
class Drawing:
    """voxels: of the lesions; threshold: of the network's lesions.

    touched: lesions of the user; uids: their tracking UIDs. dropped: lesions. highest: given to a lesion at an act.
    erased, ticked, unticked, known: flat indices of voxels, rising; above them (`MARK`) in ticked and unticked how often
    it was overridden, in known the lesion. min_volume_ml: of the network's smallest lesion.
    """

    voxels: Voxels
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
    def numbers(self) -> np.ndarray:
        """uint16 (z, y, x), the lesion of each voxel, 0 outside all."""
        return self.voxels.array()

    @property
    def edited(self) -> bool:
        """Whether this is more than what the network says at this threshold."""
        return bool(len(self.erased)) or bool(self.touched)

    @property
    def free_number(self) -> int:
        """The number of a new lesion; that of a lesion that is gone is not given again."""
        return max(self.highest, self.voxels.highest) + 1


def at_threshold(before: Drawing | None, probability: sitk.Image, threshold: float, smallest: int) -> Drawing:
    """The network's lesions of at least `smallest` voxels at this threshold, beside those that the user touched.

    What the user erased stays away, with what grows around it unless that is nearer to a lesion of the network's.
    A network's lesion with more unticked than ticked voxels is dropped.
    """
    marked = sitk.GetArrayViewFromImage(probability) >= threshold
    voxels = largest_first(marked, max(smallest, 1))
    if before is None:
        return Drawing(voxels, threshold)
    if before.edited:
        voxels = _beside(_give_way(voxels, before, probability.GetSpacing()[::-1], smallest), before)
    return replace(before, voxels=voxels, threshold=threshold, dropped=_dropped(before, voxels))


def drawn(before: Drawing, voxels: Voxels, uids: Mapping[int, str], dropped: frozenset[int]) -> Drawing:
    """The user draws: lesions that have other voxels now are the user's from now on. uids, dropped: of all then."""
    before = settled(before)
    differ, there = changed(before.voxels, voxels), voxels.lesions
    touched = (before.touched | differ) & there
    after = replace(before, voxels=voxels, touched=touched, uids=uids, dropped=dropped & there)
    # of a known lesion that reached into what changed stays what is drawn of it
    at, of = before.known & INDEX, before.known >> MARK
    now = voxels.under(at)
    reaching = np.isin(of, np.unique(of[before.voxels.under(at) != now]))
    stays = ~np.isin(of, list(differ)) & (~reaching | (now > 0) & ~np.isin(now, list(touched)))
    highest = max(before.highest, before.voxels.highest)
    return settled(replace(after, highest=highest, erased=_erased(before, voxels), known=before.known[stays]))


def settled(drawing: Drawing) -> Drawing:
    """As the user saw it at an act: the lesions of the network that are drawn are known, and no other gets their numbers."""
    if not drawing.edited:
        return drawing
    at, of = drawing.voxels.at, drawing.voxels.of.astype(np.int64)
    new = ~np.isin(of, np.concatenate([drawing.known >> MARK, list(drawing.touched)]))
    known = union(drawing.known, of[new] << MARK | at[new])
    return replace(drawing, known=known, highest=max(drawing.highest, drawing.voxels.highest))


def decided(before: Drawing, number: int, kept: bool) -> Drawing:
    """The user keeps or drops a lesion; what was decided on a wider outline of it counts where nothing else does."""
    dropped = before.dropped - {number} if kept else before.dropped | {number}
    ticked, unticked = (_overridden(marked, before.voxels, number) for marked in (before.ticked, before.unticked))
    return settled(noted(replace(before, dropped=dropped, ticked=ticked, unticked=unticked)))


def noted(drawing: Drawing) -> Drawing:
    """With the lesions that stand ticked and unticked; those in which something was decided before stay as they were."""
    if not drawing.dropped and not len(drawing.unticked):
        return replace(drawing, ticked=_no_voxels())
    at, of = drawing.voxels.at, drawing.voxels.of
    out = np.isin(of, list(drawing.dropped))
    free = ~np.isin(of, drawing.voxels.under(np.concatenate([drawing.ticked, drawing.unticked]) & INDEX))
    ticked = _confirmed(drawing.ticked, at[~out], at[free & ~out])
    return replace(drawing, ticked=ticked, unticked=_confirmed(drawing.unticked, at[out], at[free & out]))


def holding(drawing: Drawing) -> list[int]:
    """Lesions that are kept although the user unticked one that lies in them."""
    return sorted(set(np.unique(drawing.voxels.under(drawing.unticked & INDEX)).tolist()) - drawing.dropped - {0})


def outlines(voxels: Voxels) -> dict[int, str]:
    """Lesion -> a digest of its voxels."""
    parts = voxels.parts().items()
    return {number: hashlib.blake2b(at.astype("<i8", copy=False), digest_size=8).hexdigest() for number, at in parts}


def continued(voxels: Voxels, known: np.ndarray) -> dict[int, int]:
    """Lesion -> the one of `known` (as in a Drawing) that it goes on from, one to one, those that overlap best first."""
    of, here = known >> MARK, voxels.under(known & INDEX).astype(np.int64)
    pairs, shared = np.unique(here[here > 0] << MARK | of[here > 0], return_counts=True)
    new, old = pairs >> MARK, pairs & INDEX
    sizes = np.bincount(voxels.of, minlength=1)[new] + np.bincount(of, minlength=1)[old]
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


def changed(one: Voxels, other: Voxels) -> frozenset[int]:
    """Lesions that do not have the same voxels in both; also those that only one of them has."""
    if np.array_equal(one.at, other.at) and np.array_equal(one.of, other.of):
        return frozenset()
    at = union(one.at, other.at)
    first, second = one.under(at), other.under(at)
    differs = first != second
    return frozenset(np.unique(np.concatenate([first[differs], second[differs]])).tolist()) - {0}


def drawn_by_network(voxels: Voxels, label: sitk.Image) -> frozenset[int]:
    """Lesions that are, voxel for voxel, a component of the network's label."""
    marked = sitk.GetArrayViewFromImage(label) != 0
    components = {at.tobytes() for at in largest_first(marked).parts().values()}
    return frozenset(number for number, at in voxels.parts().items() if at.tobytes() in components)


def _erased(before: Drawing, voxels: Voxels) -> np.ndarray:
    """The erased voxels after the user's change to these: what is drawn again is no longer erased."""
    gone = union(before.erased, before.voxels.at)
    return gone[voxels.under(gone) == 0]


def _give_way(voxels: Voxels, before: Drawing, step, smallest: int) -> Voxels:
    """Of a component that runs into a touched lesion or erased voxels stays what lies nearer to known lesions."""
    mine, theirs, gone = (np.zeros(voxels.shape, bool) for _ in range(3))
    mine.ravel()[np.concatenate([before.erased, _of_user(before).at])] = True
    theirs.ravel()[before.known & INDEX] = True
    meeting = voxels.only(np.isin(voxels.of, np.unique(voxels.of[mine.ravel()[voxels.at]])))
    for _, box, inside in meeting.boxes():
        others = inside & theirs[box] & ~mine[box]
        stays = inside & ~mine[box]
        if others.any():
            stays &= _distance(others, step) < _distance(mine[box], step)
        if not others.any() or np.count_nonzero(stays) < smallest:
            stays[:] = False
        gone[box] |= inside & ~stays
    return voxels.only(~gone.ravel()[voxels.at])


def _distance(marked: np.ndarray, step) -> np.ndarray:
    return ndimage.distance_transform_edt(~marked, sampling=step)


def _beside(voxels: Voxels, before: Drawing) -> Voxels:
    """Components under the numbers of the known lesions that they go on from, or new ones, and the touched lesions."""
    number_of = continued(voxels, before.known)
    free = (n if n <= MOST else 0 for n in itertools.count(before.highest + 1))
    new = np.zeros(voxels.highest + 1, np.uint16)
    for n in sorted(voxels.lesions):
        new[n] = number_of[n] if n in number_of else next(free)
    renamed = replace(voxels, of=new[voxels.of])
    return renamed.only(renamed.of > 0).below(_of_user(before))


def _of_user(drawing: Drawing) -> Voxels:
    """Of the touched lesions."""
    return drawing.voxels.only(np.isin(drawing.voxels.of, list(drawing.touched)))


def _overridden(marked: np.ndarray, voxels: Voxels, number: int) -> np.ndarray:
    """Voxels of ticked or unticked less those of a lesion; those connected with them were overridden once more."""
    here = voxels.under(marked & INDEX) == number
    if not here.any():
        return marked
    at, place = np.unique(marked & INDEX, return_inverse=True)
    piece = pieces(at, voxels.shape)[place]
    return np.sort((marked + (np.isin(piece, piece[here]).astype(np.int64) << MARK))[~here])


def _confirmed(marked: np.ndarray, agreeing: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Voxels of ticked or unticked with new ones; where lesions that stand so lie now none is overridden any more."""
    return union(np.where(np.isin(marked & INDEX, agreeing), marked & INDEX, marked), new)


def _dropped(before: Drawing, voxels: Voxels) -> frozenset[int]:
    """The touched ones stay so; of the network's voxels count that were overridden least."""
    stay = before.dropped & before.touched
    if not len(before.unticked):
        return stay
    votes = [(voxels.under(marked & INDEX), marked >> MARK) for marked in (before.unticked, before.ticked)]
    least = np.full(voxels.highest + 1, np.iinfo(np.int64).max)
    for lesion, times in votes:
        np.minimum.at(least, lesion, times)
    out, kept = (np.bincount(lesion[times == least[lesion]], minlength=len(least)) for lesion, times in votes)
    return stay | frozenset(np.flatnonzero(out > kept).tolist()) - before.touched - {0}

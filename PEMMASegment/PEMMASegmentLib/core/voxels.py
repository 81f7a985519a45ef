"""Lesions as the list of their voxels: what is done with them takes as long as they are large, however large the grid is.

An array of a whole body's numbers holds some hundred times as many voxels that are in no lesion, and each look at all of
them takes as long as a hand needs to move a slider on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import csgraph

from .components import Box, by_size, numbered

DENSE = 1 / 16  # share of a grid above which its array takes less time and memory than the list of what is marked
MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True, eq=False)
class Voxels:
    """shape: of the grid (z, y, x). at: flat indices, int64, rising; of: uint16, the lesion of each, from 1 up."""

    shape: tuple[int, ...]
    at: np.ndarray
    of: np.ndarray

    def array(self) -> np.ndarray:
        """uint16 (z, y, x), 0 outside all. The system lends memory for what lies in lesions, until more is looked at."""
        numbers = np.zeros(self.shape, np.uint16)
        numbers.ravel()[self.at] = self.of
        return numbers

    @property
    def highest(self) -> int:
        """Of the numbers, 0 where there is no lesion."""
        return int(self.of.max(initial=0))

    @property
    def lesions(self) -> frozenset[int]:
        """Their numbers."""
        return frozenset(np.unique(self.of).tolist())

    def under(self, at: np.ndarray) -> np.ndarray:
        """The lesion of each of these flat indices, 0 outside all."""
        if not len(self.at):
            return np.zeros(len(at), np.uint16)
        place = np.minimum(np.searchsorted(self.at, at), len(self.at) - 1)
        return np.where(self.at[place] == at, self.of[place], np.uint16(0))

    def only(self, chosen: np.ndarray) -> "Voxels":
        """Those of the voxels that are chosen, a bool each."""
        return Voxels(self.shape, self.at[chosen], self.of[chosen])

    def with_lesion(self, number: int, box: Box, inside: np.ndarray) -> "Voxels":
        """With what is marked (bool) in a box (z, y, x) as a lesion, whose it ever was."""
        index = [i + part.start for i, part in zip(np.nonzero(inside), box, strict=True)]
        at = np.ravel_multi_index(index, self.shape)
        return self.below(Voxels(self.shape, at, np.full(len(at), number, np.uint16)))

    def below(self, others: "Voxels") -> "Voxels":
        """With others over these: a voxel that both have is theirs."""
        rest = self.only(others.under(self.at) == 0)
        at, of = np.concatenate([rest.at, others.at]), np.concatenate([rest.of, others.of])
        order = np.argsort(at, kind="stable")
        return Voxels(self.shape, at[order], of[order])

    def parts(self) -> dict[int, np.ndarray]:
        """Lesion -> its flat indices, rising; lesions rise too."""
        order = np.argsort(self.of, kind="stable")
        found, starts = np.unique(self.of[order], return_index=True)
        return dict(zip(found.tolist(), np.split(self.at[order], starts[1:]), strict=False))

    def boxes(self) -> Iterator[tuple[int, Box, np.ndarray]]:
        """Each lesion, the box (z, y, x) that just holds it, and its voxels (bool) in there."""
        if len(self.at) > DENSE * np.prod(self.shape):
            numbers = self.array()
            found = enumerate(ndimage.find_objects(numbers), start=1)
            yield from ((number, box, numbers[box] == number) for number, box in found if box is not None)
            return
        for number, at in self.parts().items():
            index = np.array(np.unravel_index(at, self.shape))
            low, high = index.min(axis=1), index.max(axis=1) + 1
            inside = np.zeros(high - low, bool)
            inside[tuple(index - low[:, None])] = True
            yield number, tuple(map(slice, low.tolist(), high.tolist())), inside


def union(*parts: np.ndarray) -> np.ndarray:
    """Whole numbers of several arrays from 0 up, each once, rising; of rising ones as quick as a look at them."""
    every = np.sort(np.concatenate([np.empty(0, np.int64), *parts]), kind="stable")
    return every[np.diff(every, prepend=-1) > 0]


def pieces(at: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The 26-connected component of each of these flat indices, which rise; from 0, by their first ones."""
    z, y, x = np.unravel_index(at, shape)
    row = shape[2] + 2  # with a margin around the grid no voxel is beside one of another row
    plane = row * (shape[1] + 2)
    at = (z + 1) * plane + (y + 1) * row + x + 1
    begins = np.diff(at, prepend=-1) > 1  # of a run along x
    first, last = at[begins], at[np.append(begins[1:], True)[: len(at)]]
    pairs = []
    for beside in (row, plane - row, plane, plane + row):
        start, stop = np.searchsorted(last, first + beside - 1), np.searchsorted(first, last + beside + 1, "right")
        one = np.repeat(np.arange(len(first)), stop - start)
        pairs.append((one, np.arange(len(one)) - np.repeat(np.cumsum(stop - start) - stop, stop - start)))
    one, other = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(one), bool), (one, other)), (len(first), len(first)))
    return csgraph.connected_components(graph, directed=False)[1][np.cumsum(begins) - 1]


def largest_first(marked: np.ndarray, smallest: int = 1) -> Voxels:
    """Components of what is marked (bool; z, y, x) of at least `smallest` voxels, numbered as `components` does.

    Of more than 65535 the smallest are left out: of specks of a threshold near zero nobody looks at that many.
    """
    if np.count_nonzero(marked) > DENSE * marked.size:
        numbers = numbered(marked, smallest, MOST).astype(np.uint16)
        at = np.flatnonzero(numbers)
        return Voxels(marked.shape, at, numbers.ravel()[at])
    at = np.flatnonzero(marked)
    found = pieces(at, marked.shape)
    voxels = Voxels(marked.shape, at, by_size(np.bincount(found), smallest, MOST).astype(np.uint16)[found])
    return voxels.only(voxels.of > 0)

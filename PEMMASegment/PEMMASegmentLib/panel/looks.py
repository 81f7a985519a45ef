"""Name, colour and terminology that the user gave to a lesion: they go on with it, also after it was gone for a while.

They are no act: an undo leaves them as they are. No Slicer in here.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .drawing import MARK, Drawing, continued, packed, unpacked


class Look(NamedTuple):
    """What the user gave to a segment: name, colour (RGB in 0..1), terminology; None for what is ours."""

    name: str | None = None
    colour: tuple[float, float, float] | None = None
    terminology: str | None = None


class Place(NamedTuple):
    """The look of a lesion, maybe none, and the voxels (flat indices, rising) that it had when the user last did anything.

    number: of the lesion then; 0 when it was gone.
    """

    look: Look
    voxels: np.ndarray
    number: int = 0


def placed(places: Sequence[Place], drawing: Drawing, touched: Iterable[int] = ()) -> dict[int, int]:
    """Lesion -> index of the place that is its own: the user's (`touched` too) by number, the others by their voxels."""
    by_number = {place.number: n for n, place in enumerate(places) if place.number}
    found = {number: by_number[number] for number in {*drawing.touched, *touched} & by_number.keys()}
    at = [np.asarray(place.voxels) | n << MARK for n, place in enumerate(places) if n not in found.values()]
    others = drawing.voxels.only(~np.isin(drawing.voxels.of, list(found)))
    return found | continued(others, np.concatenate([np.empty(0, np.int64), *at]))


def looks_of(places: Sequence[Place], found: Mapping[int, int]) -> dict[int, Look]:
    """Lesion -> its look, where that is anything. found: as of `placed`."""
    return {number: places[n].look for number, n in found.items() if any(places[n].look)}


def seen(places: Sequence[Place], found: Mapping[int, int], drawing: Drawing, looks: Mapping[int, Look]) -> tuple[Place, ...]:
    """The places after an act: of the lesions that are drawn, with these looks, and of those that wait for theirs.

    found: the places of the lesions that were drawn. Empty as long as nothing was given.
    """
    here = [Place(looks.get(n, Look()), at, n) for n, at in drawing.voxels.parts().items()]
    there = {place.number for place in here}
    taken = {n for number, n in found.items() if number in there}
    every = (*here, *(place._replace(number=0) for n, place in enumerate(places) if n not in taken))
    return every if any(any(place.look) for place in every) else ()


def as_text(places: Iterable[Place]) -> list[dict[str, Any]]:
    """For the scene (JSON); back with `of_text`."""
    return [place.look._asdict() | {"voxels": packed(place.voxels), "number": place.number} for place in places]


def of_text(kept: Iterable[Mapping[str, Any]]) -> tuple[Place, ...]:
    """What was kept with `as_text`; earlier scenes tell only of lesions that are gone."""
    return tuple(
        Place(
            Look(one["name"], one["colour"] and tuple(one["colour"]), one["terminology"]),
            unpacked(one["voxels"]),
            one.get("number", 0),
        )
        for one in kept
    )

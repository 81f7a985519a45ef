"""What an adapter does to a run beside its weights: whether it acts at all, with which parts, and what must be said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..core import PemmaWarning
from ..core.components import components
from ..core.images import like, voxels_in
from ..study import scanner
from .intensity import pet_scale, scales_much

if TYPE_CHECKING:
    from ..adapters import Adapter
    from ..study.types import PetCtStudy

#: Axes of (n, 1, z, y, x) that the network's inputs are mirrored along, one pass each; the first pass is the plain one.
MIRRORED: tuple[tuple[int, ...], ...] = ((), (4,), (3,), (2,))
#: The verdict that needs no word, and what is said of an adapter with another ("": nothing was proved).
_ACCEPTED = "accepted"
_NOT_ACCEPTED = {
    "": "nothing was proved of the adapter: it may help or harm",
    "not shown": "the adapter was not shown to help on patients held out (verdict: not shown)",
    "harm seen": "the adapter did harm on patients held out (verdict: harm seen)",
    "too few cases": "there were too few patients to tell whether the adapter helps or harms (verdict: too few cases)",
}


def acting(adapter: Adapter | None, used: str, study: PetCtStudy) -> tuple[Adapter | None, tuple[PemmaWarning, ...]]:
    """The adapter, or None where it is off because it was made for other inputs, and what to say about it."""
    if adapter is None:
        return None, ()
    if adapter.inputs != used:
        words = [" and ".join(name.upper() for name in inputs.split("+")) for inputs in (adapter.inputs, used)]
        sentence = f"the adapter is off: it was made for {words[0]}, this run uses {words[1]}"
        return None, (PemmaWarning("adapter-off", sentence),)
    return adapter, _verdict(adapter) + _origin(adapter, study) + _calibration(adapter)


def passes(adapter: Adapter | None) -> tuple[tuple[int, ...], ...]:
    """The mirrored passes of a run."""
    return MIRRORED if adapter is not None and adapter.card.flips else MIRRORED[:1]


def parts(adapter: Adapter | None, threshold: float | None, min_volume_ml: float | None) -> tuple[str, ...]:
    """In words, each part of the adapter that acts; what was typed (not None) acts in the place of the adapter's."""
    if adapter is None:
        return ()
    card, told = adapter.card, []
    if card.targets:
        told.append(f"{card.method.name} on {len(card.targets)} weights")
    if card.parameters:
        told.append(f"{len(card.parameters)} parameters in full")
    told += [f"intensity map of the {name.upper()}" for name in card.intensity or {}]
    told += ["mean over mirrored inputs"] * card.flips
    if card.threshold is not None and threshold is None:
        told.append(f"threshold {card.threshold:g}")
    if card.min_volume_ml is not None and min_volume_ml is None:
        told.append(f"smallest volume {card.min_volume_ml:g} ml")
    return tuple(told)


def without_small(label: sitk.Image, min_volume_ml: float | None) -> sitk.Image:
    """The label (uint8) without 26-connected components smaller than this; the label itself for None."""
    if not min_volume_ml:
        return label
    numbers, _ = components(label, voxels_in(min_volume_ml, label))
    return like((numbers != 0).view(np.uint8), label)


def _verdict(adapter: Adapter) -> tuple[PemmaWarning, ...]:
    if adapter.card.verdict == _ACCEPTED:
        return ()
    return (PemmaWarning("adapter-not-accepted", _NOT_ACCEPTED.get(adapter.card.verdict, _NOT_ACCEPTED[""])),)


def _origin(adapter: Adapter, study: PetCtStudy) -> tuple[PemmaWarning, ...]:
    unlike = scanner.unlike(scanner.of_inputs(scanner.facts(study), adapter.inputs), adapter.card.origin)
    if not unlike:
        return ()
    return (PemmaWarning("adapter-origin", f"the adapter was made on cases of another kind: here {'; '.join(unlike)}"),)


def _calibration(adapter: Adapter) -> tuple[PemmaWarning, ...]:
    scale = pet_scale(adapter.card.intensity)
    if not scales_much(scale):
        return ()
    sentence = (f"the adapter's intensity map scales PET by {scale:.2f} for the network: check the SUV calibration of this "
                "scanner; the figures here are the study's own SUVs")
    return (PemmaWarning("check-suv-calibration", sentence),)

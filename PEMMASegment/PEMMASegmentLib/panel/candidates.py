"""Which of the scene's volumes are the CT and the PET of a study: the best guess, and a reason for each of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..study.choosing import is_soft
from . import own_nodes
from .studies import UIDS

ENOUGH_SLICES = 30
SUV_UNITS = ("BQML", "GML", "CNTS")  # convertible; others are refused on reading


@dataclass(frozen=True)
class Candidate:
    """A volume node, what it is ("CT", "PET", "" unknown), whether it is the guess, and why or why not.

    against: what speaks against it whatever the others are.
    """

    node: Any
    kind: str
    patient: str = ""
    frame: str = ""
    slices: int = 0
    rank: tuple = ()
    against: str = ""
    chosen: bool = False
    reason: str = ""


def candidates(nodes: Iterable) -> list[Candidate]:
    """All volumes, the chosen CT and PET first."""
    seen = [_seen(node) for node in nodes if own_nodes.is_of_user(node)]
    pet = _best([one for one in seen if one.kind == "PET"], lambda one: one.rank)
    ct = _best([one for one in seen if one.kind == "CT"], lambda one: (_fits(one, pet), one.rank))
    if ct is not None and pet is not None and ct.patient != pet.patient:
        ct = None
    told = [_told(one, ct, pet) for one in seen]
    return sorted(told, key=lambda one: not one.chosen)


def guess(nodes: Iterable) -> tuple:
    """The CT and the PET among volume nodes, None for what is not there."""
    found = {one.kind: one.node for one in candidates(nodes) if one.chosen}
    return found.get("CT"), found.get("PET")


def _best(found: list[Candidate], key) -> Candidate | None:
    return max((one for one in found if not one.against), key=key, default=None)


def _fits(ct: Candidate, pet: Candidate | None) -> tuple[bool, bool]:
    return (True, True) if pet is None else (ct.patient == pet.patient, bool(ct.frame) and ct.frame == pet.frame)


def _told(one: Candidate, ct: Candidate | None, pet: Candidate | None) -> Candidate:
    best = {"CT": ct, "PET": pet}.get(one.kind)
    if best is not None and one.node is best.node:
        return replace(one, chosen=True, reason=_why(one, pet))
    return replace(one, reason=one.against or _why_not(one, best, pet))


def _why(one: Candidate, pet: Candidate | None) -> str:
    told = [_("{number} slices").format(number=one.slices)]
    if one.kind == "CT" and pet is not None:
        same = _fits(one, pet)[1]
        told.append(_("same frame of reference as the PET") if same else _("another frame of reference than the PET"))
    return _("chosen: {reasons}").format(reasons=", ".join(told))


def _why_not(one: Candidate, best: Candidate | None, pet: Candidate | None) -> str:
    if not one.kind:
        return _("not from DICOM as CT or PET: choose it yourself")
    if pet is not None and one.patient != pet.patient:
        return _("of another patient than the PET")
    if one.kind == "CT" and not _fits(one, pet)[1]:
        return _("another frame of reference than the PET")
    if best is not None and one.slices < best.slices:
        return _("fewer slices than the chosen one ({number})").format(number=one.slices)
    return _("the chosen one serves better or as well")


def _seen(node) -> Candidate:
    told = {name: _value(node, tag) for name, tag in _TAGS.items()}
    kind = {"CT": "CT", "PT": "PET"}.get(told["modality"], "")
    slices = node.GetImageData().GetDimensions()[2] if node.GetImageData() is not None else 0
    rank, against = _RANKS[kind](told, slices)
    return Candidate(node, kind, told["patient"], told["frame"], slices, rank, against)


_TAGS = {
    "modality": "0008,0060", "patient": "0010,0020", "frame": "0020,0052", "kind": "0008,0008", "kernel": "0018,1210",
    "units": "0054,1001", "corrected": "0028,0051",
}  # fmt: skip


def _rank_ct(told: dict[str, str], slices: int) -> tuple[tuple, str]:
    scout = "LOCALIZER" in told["kind"].upper()
    soft = is_soft(told["kernel"].lstrip("['").partition("'")[0])
    return (slices >= ENOUGH_SLICES, soft, slices), _("a scout view") if scout else ""


def _rank_pet(told: dict[str, str], slices: int) -> tuple[tuple, str]:
    units = told["units"].upper()
    against = ""
    if units not in SUV_UNITS:
        against = _("its units ({units}) can't become SUV").format(units=units or "?")
    elif told["corrected"] and "ATTN" not in told["corrected"].upper():
        against = _("not attenuation corrected")
    return (units == "BQML", slices), against


_RANKS = {"CT": _rank_ct, "PET": _rank_pet, "": lambda told, slices: ((), "")}


def _value(node, tag: str) -> str:
    """A value of the node's first DICOM file; "" when it has none."""
    uids = (node.GetAttribute(UIDS) or "").split()
    return slicer.dicomDatabase.instanceValue(uids[0], tag) if uids else ""

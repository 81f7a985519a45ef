"""Which of the scene's volumes are the CT and the PET of a study: the best guess, and a reason for each of them."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import slicer
from pydicom import Dataset
from slicer.i18n import tr as _

from ..core import PemmaError
from ..study.dicom import pairing
from ..study.dicom.preference import is_soft
from ..study.tags import quiet
from . import own_nodes
from .studies import UIDS

ENOUGH_SLICES = 30
SUV_UNITS = ("BQML", "GML", "CNTS")  # convertible; others are refused on reading


@dataclass(frozen=True)
class Candidate:
    """A volume node, what it is ("CT", "PET", "" unknown), whether it is the guess, and why or why not.

    header: what of its DICOM files tells patient and examination. against: what speaks against it whatever the others are.
    """

    node: Any
    kind: str
    header: Dataset
    slices: int = 0
    rank: tuple = ()
    against: str = ""
    chosen: bool = False
    reason: str = ""


@quiet
def candidates(nodes: Iterable) -> list[Candidate]:
    """All volumes, the chosen CT and PET first."""
    seen = [_seen(node) for node in nodes if own_nodes.is_of_user(node)]
    pet = _best([one for one in seen if one.kind == "PET"], lambda one: one.rank)
    cts = [one for one in seen if one.kind == "CT" and not _apart(one, pet)]
    ct = _best(cts, lambda one: (_same_frame(one, pet), one.rank))
    told = [_told(one, ct, pet) for one in seen]
    return sorted(told, key=lambda one: not one.chosen)


def guess(nodes: Iterable) -> tuple:
    """The CT and the PET among volume nodes, None for what is not there."""
    found = {one.kind: one.node for one in candidates(nodes) if one.chosen}
    return found.get("CT"), found.get("PET")


def _best(found: list[Candidate], key) -> Candidate | None:
    return max((one for one in found if not one.against), key=key, default=None)


def _apart(one: Candidate, pet: Candidate | None) -> str:
    """Why the loader would not take this one with the PET, "" if it would."""
    if pet is None:
        return ""
    try:
        pairing.check_headers(one.header, pet.header)
    except PemmaError as problem:
        return _APART[problem.code]
    return ""


_APART = {
    "different-patients": _("of another patient than the PET"),
    "different-studies": _("of a study of another day than the PET"),
}


def _same_frame(ct: Candidate, pet: Candidate | None) -> bool:
    frame = str(ct.header.get("FrameOfReferenceUID", ""))
    return pet is None or (frame != "" and frame == pet.header.get("FrameOfReferenceUID"))


def _told(one: Candidate, ct: Candidate | None, pet: Candidate | None) -> Candidate:
    best = {"CT": ct, "PET": pet}.get(one.kind)
    if best is not None and one.node is best.node:
        return replace(one, chosen=True, reason=_why(one, pet))
    return replace(one, reason=one.against or _why_not(one, best, pet))


def _why(one: Candidate, pet: Candidate | None) -> str:
    told = [_("{number} slices").format(number=one.slices)]
    if one.kind == "CT" and pet is not None:
        same = _same_frame(one, pet)
        told.append(_("same frame of reference as the PET") if same else _("another frame of reference than the PET"))
    return _("chosen: {reasons}").format(reasons=", ".join(told))


def _why_not(one: Candidate, best: Candidate | None, pet: Candidate | None) -> str:
    if not one.kind:
        return _("not from DICOM as CT or PET: choose it yourself")
    if apart := _apart(one, pet):
        return apart
    if one.kind == "CT" and not _same_frame(one, pet):
        return _("another frame of reference than the PET")
    if best is not None and one.slices < best.slices:
        return _("fewer slices than the chosen one ({number})").format(number=one.slices)
    return _("the chosen one serves better or as well")


def _seen(node) -> Candidate:
    told = {name: _value(node, tag) for name, tag in _TAGS.items()}
    header = Dataset()
    for keyword, tag in _WHOSE.items():
        setattr(header, keyword, _value(node, tag))
    kind = {"CT": "CT", "PT": "PET"}.get(told["modality"], "")
    slices = node.GetImageData().GetDimensions()[2] if node.GetImageData() is not None else 0
    rank, against = _RANKS[kind](told, slices)
    return Candidate(node, kind, header, slices, rank, against)


_TAGS = {
    "modality": "0008,0060", "kind": "0008,0008", "kernel": "0018,1210", "units": "0054,1001", "corrected": "0028,0051",
}  # fmt: skip
#: what `Candidate.header` holds
_WHOSE = {
    "PatientID": "0010,0020", "PatientName": "0010,0010", "PatientBirthDate": "0010,0030", "PatientSex": "0010,0040",
    "StudyInstanceUID": "0020,000D", "FrameOfReferenceUID": "0020,0052", "AcquisitionDate": "0008,0022",
    "SeriesDate": "0008,0021", "StudyDate": "0008,0020",
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

"""The folder of one case in a library: written from study and contour, read and checked again.

    case.json                             the card (`cards.CaseCard`)
    ct.nii.gz, pet.nii.gz, mask.nii.gz    images, as far as there are any, and contour
    thumbnail.png
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core.components import components
from ..core.files import write_text
from ..core.images import voxel_ml, voxels_in
from ..core.types import SMALLEST_ML
from ..study import scanner
from ..study.types import PetCtStudy, Suv
from . import cards, thumbnail, volumes
from .cards import CaseCard, Origin, Score, Volume

CARD, THUMBNAIL = "case.json", "thumbnail.png"


def write_images(folder: Path, study: PetCtStudy, label: sitk.Image) -> dict[str, Volume]:
    """Images, contour and thumbnail; what the card will say of them."""
    images = {"ct": study.ct, "pet": study.pet, "mask": label > 0}
    stored = {name: volumes.write(name, image, folder) for name, image in images.items() if image is not None}
    thumbnail.write(folder / THUMBNAIL, study, label)
    return stored


def write_card(
    folder: Path, study: PetCtStudy, label: sitk.Image, stored: dict[str, Volume], *, patient: str, origin: Origin, note: str,
    blind: Sequence[Score], blind_left_out: str,
) -> CaseCard:  # fmt: skip
    """patient: pseudonym. stored: as `write_images` gave it."""
    card = CaseCard(
        id=id_of(study), patient=patient, origin=origin, inputs=_inputs(study), volume_ml=_marked_ml(label),
        lesions=_lesions(label), scanner=scanner.facts(study), volumes=stored, blind=tuple(blind),
        blind_left_out=blind_left_out, note=note, suv_typed=study.suv.typed if study.suv else (),
    )  # fmt: skip
    card = replace(card, sha256=cards.hash_of(card))
    write_text(folder / CARD, cards.to_text(card))
    return card


def card(folder: Path, id: str) -> CaseCard:
    """The card, with files as long as it says. Raises PemmaError "case-damaged" or "case-schema"."""
    try:
        found = cards.from_text((folder / CARD).read_bytes(), id)
    except OSError as error:
        raise cards.damaged(id, "it has no case.json") from error
    for name, volume in found.volumes.items():
        volumes.check_length(id, name, volume, folder)
    return found


def check(folder: Path, card: CaseCard) -> None:
    """Raises PemmaError "case-damaged" unless every file has the hash that the card states."""
    for name, volume in card.volumes.items():
        volumes.check(card.id, name, volume, folder)


def read(folder: Path, card: CaseCard) -> tuple[PetCtStudy, sitk.Image]:
    """Study and label, checked by hash: the same voxels and geometry as were added. Raises PemmaError "case-damaged"."""
    images = {name: volumes.read(card.id, name, volume, folder) for name, volume in card.volumes.items()}
    suv = Suv("SUVbw as the case library keeps it", 1.0, card.suv_typed) if "pet" in images else None
    study = PetCtStudy(images.get("ct"), images.get("pet"), suv=suv, study_key=f"case {card.sha256}", kind="nifti")
    return study, images["mask"]


def id_of(study: PetCtStudy) -> str:
    """Made from the image that the contour lies on: the same study gets the same id, whichever program adds it."""
    return volumes.content_of(study.grid)[:12]


def _inputs(study: PetCtStudy) -> str:
    return "+".join(name for name in ("ct", "pet") if getattr(study, name) is not None)


def _marked_ml(label: sitk.Image) -> float:
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(label)) * voxel_ml(label))


def _lesions(label: sitk.Image) -> int:
    """Components of the contour that are lesions by their volume; of a contour of smaller ones all."""
    least = voxels_in(SMALLEST_ML, label)
    return len(components(label, least)[1]) or len(components(label)[1])

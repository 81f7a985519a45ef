"""What is drawn, as a segmentation and as lesions with their figures. No Slicer in here."""

from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from .. import results
from ..core import Lesion, PemmaWarning, Segmentation
from ..core.images import like
from ..results.uids import uid_of
from ..study import PetCtStudy
from .drawing import Drawing


def as_segmentation(drawing: Drawing, found: Segmentation) -> Segmentation:
    """The lesions as they are drawn; of an unedited drawing what the network said at this threshold."""
    grid = found.probability
    if not drawing.edited:
        label = (sitk.GetArrayViewFromImage(grid) >= drawing.threshold).astype(np.uint8)
        return replace(found, threshold=drawing.threshold, label=like(label, grid))
    numbers = drawing.numbers
    label = like((numbers > 0).astype(np.uint8), grid)
    return replace(found, threshold=drawing.threshold, label=label, numbers=like(numbers, grid))


def measured(drawing: Drawing, found: Segmentation, study: PetCtStudy, mtv_rule: str) -> list[Lesion]:
    """The lesions with their figures, as the user decided on them."""
    key = results.result_key(study.study_key, replace(found, threshold=drawing.threshold))
    lesions = results.measure_edited(drawing.voxels, found.probability, study.pet, mtv_rule=mtv_rule, key=key)
    for lesion in lesions:
        lesion.kept = lesion.number not in drawing.dropped
        if lesion.number in drawing.touched:
            lesion.algorithm_type = "SEMIAUTOMATIC"
            # a new one may have the voxels of a lesion that went on with others: its number makes it another
            uid = uid_of(lesion.tracking_uid, str(lesion.number))
            lesion.tracking_uid = drawing.uids.get(lesion.number, uid)
    return lesions


def coverage(drawing: Drawing, lesions: list[Lesion], found: Segmentation, study: PetCtStudy) -> tuple[PemmaWarning, ...]:
    """Warnings about kept lesions that CT or PET do not show to their end."""
    return results.coverage([lesion for lesion in lesions if lesion.kept], found, study.pet, drawing.numbers)

"""What the parts of adaptation pass to each other: an annotated case, a way to make an adapter, the label that is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import SimpleITK as sitk

from ..adapters import AdapterCard
from ..adapters.files import Adapter as Fitted
from ..core import Progress, Segmentation
from ..inference.acting import without_small
from ..study.types import PetCtStudy

if TYPE_CHECKING:
    from ..network.files import Model

__all__ = ["Fitted", "Procedure", "SiteCase", "fix", "label_of_lesions"]


@dataclass(frozen=True)
class SiteCase:
    """One annotated case of a site.

    id: unique among the cases. patient: pseudonym, the same for all cases of a patient (a split is by patient).
    label: uint8, 1 inside the contour, on `study.grid`. independent: the contour did not begin as the output of a base
    model or adapter, so that the case counts in a proof.
    """

    id: str
    patient: str
    study: PetCtStudy
    label: sitk.Image
    independent: bool = True


class Procedure(Protocol):
    """How an adapter is made from cases: SALT training, a fitted intensity map, a threshold ...

    name: stable, written to ledger and adapter.json: "salt", "lora", "threshold", "maps", "flips", "norm+out",
    "all weights". words: what it does, for people.
    """

    name: str
    words: str

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int, progress: Progress) -> Fitted:
        """An adapter for `inputs` ("ct+pet", "ct" or "pet"), from all of `cases`; the same seed gives the same one."""
        ...


def fix(procedure: Procedure, model: Model, inputs: str, **parts) -> Fitted:
    """An adapter without weights. parts: the fields of its card that act, and `training`."""
    return Fitted(AdapterCard(procedure.name, "1", None, "", (), model.identity, inputs, **parts), {})


def label_of_lesions(found: Segmentation) -> sitk.Image:
    """The label (uint8) that is scored: what the user is given, without components too small for a lesion."""
    return without_small(found.label, found.smallest_ml)

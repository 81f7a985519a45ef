"""One run of the network in the scene: its nodes, the lesions drawn from the kept probability, its end.

    segmentation node   one segment a lesion; attribute RECORD: what made it (JSON, nothing of the patient)
      +-- PROBABILITY   volume node, hidden; the threshold redraws from it
      +-- TABLE         table node with the figures
      +-- CT, PET       the volumes it was made of
All of it is saved with the scene; `restore` picks it up again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from .. import results
from ..core import Identity, Lesion, PemmaError, Segmentation, Step
from ..core.images import array, like
from ..results.components import components
from ..study import PetCtStudy
from . import segments, table, volumes

RECORD = "PEMMASegment.Record"
PROBABILITY, TABLE, CT, PET = (f"PEMMASegment.{name}" for name in ("Probability", "Table", "CT", "PET"))
_KEPT_FIELDS = ("software", "model", "adapter", "inputs", "device", "precision", "threshold", "roi_mm", "steps")


@dataclass
class Run:
    """A result in the scene. Nodes are looked up by ID each time: the user may have removed them."""

    study: PetCtStudy
    segmentation: Segmentation
    node_id: str
    min_volume_ml: float = 0.5
    mtv_rule: str = "41%"
    lesions: list[Lesion] = field(default_factory=list)

    @property
    def node(self):
        """The segmentation node. Raises PemmaError "result-gone" after its removal."""
        node = slicer.mrmlScene.GetNodeByID(self.node_id)
        if node is None:
            raise PemmaError("result-gone", "the result is no longer in the scene", "segment again")
        return node

    @property
    def reference(self):
        """The volume node on whose grid the label lies."""
        return self.node.GetNodeReference(CT) or self.node.GetNodeReference(PET)

    def redraw(self, *, threshold: float | None = None, min_volume_ml: float | None = None,
               mtv_rule: str | None = None) -> None:  # fmt: skip
        """Draws the lesions from the kept probability; a lesion made of dropped ones stays dropped."""
        node, votes = self.node, self._votes()
        threshold = self.segmentation.threshold if threshold is None else threshold
        label = like((array(self.segmentation.probability) >= threshold).astype(np.uint8), self.segmentation.probability)
        self.segmentation = replace(self.segmentation, threshold=threshold, label=label)
        self.min_volume_ml = self.min_volume_ml if min_volume_ml is None else min_volume_ml
        self.mtv_rule = mtv_rule or self.mtv_rule
        self.lesions = self._measured()
        self._drop_again(votes)
        segments.draw(node, label, self.lesions, self.segmentation.model)
        self._tell()

    def keep(self, number: int, kept: bool) -> None:
        """Keeps or drops a lesion."""
        lesion = next(lesion for lesion in self.lesions if lesion.number == number)
        lesion.kept = kept
        segments.show(self.node, lesion)
        self._tell()

    def remove(self) -> None:
        """Takes the run out of the scene: this is its undo."""
        node = self.node
        for part in (node.GetNodeReference(PROBABILITY), node.GetNodeReference(TABLE), node):
            if part is not None:
                slicer.mrmlScene.RemoveNode(part)

    def write_seg(self, path: Path) -> tuple[tuple[str, str], ...]:
        """Writes the kept lesions as DICOM-SEG; returns notes. Raises PemmaError, also when segments were edited."""
        if not segments.drawn(self.node, self.segmentation.label, self.lesions, self.reference):
            way_out = "use Slicer's own export (Subject hierarchy, Export to DICOM), or segment again"
            raise PemmaError("segments-edited", "the segments were edited; this export knows the network's only", way_out)
        options = {"segments": "each", "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule}
        return results.write_seg(path, self.study, self.segmentation, self.lesions, command_options=options)

    def _measured(self) -> list[Lesion]:
        return results.measure(
            self.segmentation.label, self.study.pet, min_volume_ml=self.min_volume_ml, mtv_rule=self.mtv_rule,
            key=_key(self.study, self.segmentation),
        )  # fmt: skip

    def _votes(self) -> np.ndarray | None:
        """Voxels (z, y, x) of kept lesions 1, of dropped ones -1, others 0; None when nothing was dropped."""
        if all(lesion.kept for lesion in self.lesions):
            return None
        vote = np.zeros(max(lesion.number for lesion in self.lesions) + 1, np.int8)
        for lesion in self.lesions:
            vote[lesion.number] = 1 if lesion.kept else -1
        numbers, _ = components(self.segmentation.label)
        return vote[np.where(numbers < len(vote), numbers, 0)]

    def _drop_again(self, votes: np.ndarray | None) -> None:
        """A lesion that holds more dropped than kept voxels is dropped; a new one is kept."""
        if votes is None:
            return
        numbers, boxes = components(self.segmentation.label)
        for lesion in self.lesions:
            box = boxes[lesion.number - 1]
            lesion.kept = int(votes[box][numbers[box] == lesion.number].sum(dtype=int)) >= 0

    def _tell(self) -> None:
        """Brings record and table up to date."""
        node = self.node
        record = json.loads(node.GetAttribute(RECORD))
        record |= {
            "threshold": self.segmentation.threshold, "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule,
        }  # fmt: skip
        node.SetAttribute(RECORD, json.dumps(record))
        if node.GetNodeReference(TABLE) is not None:
            table.fill(node.GetNodeReference(TABLE), self.lesions, self.mtv_rule)


def create(study: PetCtStudy, fields: Mapping[str, Any], probability: sitk.Image, ct_node, pet_node, *,
           min_volume_ml: float = 0.5, mtv_rule: str = "41%") -> Run:  # fmt: skip
    """Puts a result into the scene, with closed surfaces, below the study of its CT (or PET).

    fields: of the background process' result, as in result.json. probability: on the grid of the CT, PET if none.
    """
    reference = ct_node or pet_node
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "PEMMASegment tumours")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    node.SetAttribute(RECORD, json.dumps({name: fields.get(name) for name in _KEPT_FIELDS}))
    kept = volumes.volume_of(probability, "PEMMASegment probability")
    kept.SetHideFromEditors(True)
    lesion_table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "PEMMASegment lesions")
    for role, part in ((PROBABILITY, kept), (TABLE, lesion_table), (CT, ct_node), (PET, pet_node)):
        node.SetNodeReferenceID(role, part.GetID() if part is not None else None)
    run = Run(study, _segmentation(fields, probability), node.GetID(), min_volume_ml, mtv_rule)
    run.redraw()
    node.CreateClosedSurfaceRepresentation()
    for part in (node, lesion_table, kept):
        _below_study_of(reference, part)
    return run


def restore(node, study: PetCtStudy) -> Run:
    """The run behind a segmentation node, as after loading a scene; the segments are left as they are.

    Raises PemmaError "result-incomplete" when the probability is missing.
    """
    kept = node.GetNodeReference(PROBABILITY)
    if kept is None or not node.GetAttribute(RECORD):
        raise PemmaError("result-incomplete", "the result was saved without its probability", "segment again")
    record = json.loads(node.GetAttribute(RECORD))
    segmentation = _segmentation(record, volumes.image_of(kept))
    run = Run(study, segmentation, node.GetID(), record["min_volume_ml"], record["mtv_rule"])
    gone = segments.dropped(node)
    run.lesions = run._measured()
    for lesion in run.lesions:
        lesion.kept = lesion.number not in gone
    return run


def in_scene() -> list:
    """Segmentation nodes of runs, the newest last."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return [node for node in nodes if node.GetAttribute(RECORD)]


def _segmentation(fields: Mapping[str, Any], probability: sitk.Image) -> Segmentation:
    threshold, roi, adapter = fields["threshold"], fields.get("roi_mm"), fields.get("adapter")
    return Segmentation(
        probability=probability,
        label=like((array(probability) >= threshold).astype(np.uint8), probability),
        threshold=threshold,
        model=Identity(**fields["model"]),
        adapter=Identity(**adapter) if adapter else None,
        inputs=fields["inputs"],
        device=fields["device"],
        precision=fields["precision"],
        roi_mm=tuple(roi) if roi else None,
        steps=tuple(Step(**step) for step in fields.get("steps") or ()),
    )


def _key(study: PetCtStudy, segmentation: Segmentation) -> str:
    """As the command line makes it, so that the same run gives the same tracking UIDs."""
    adapter = segmentation.adapter.sha256 if segmentation.adapter else "none"
    parts = (study.study_key, segmentation.model.sha256, adapter, segmentation.inputs, segmentation.threshold,
             segmentation.roi_mm)  # fmt: skip
    return "|".join(map(str, parts))


def _below_study_of(volume, node) -> None:
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    of_volume = hierarchy.GetItemByDataNode(volume)
    parent = hierarchy.GetItemParent(of_volume) if of_volume else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:  # the application's plug-ins make items by themselves
        hierarchy.CreateItem(parent, node)

"""A run of the network in the scene: how its nodes come there, and how they become a `Run` again.

    segmentation node   one segment a lesion; attribute RECORD: what made it (JSON, nothing that names the patient)
      +-- PROBABILITY   volume node; the threshold redraws from it. Not hidden: Slicer's Save dialog leaves hidden nodes out
      +-- TABLE         table node with the figures
      +-- CT, PET       the volumes it was made of
All of it is saved with the scene; `restore` picks it up again: edited lesions from their segments. Records of earlier
versions lack "images", "series", "notes", "unticked", "gone_looks", "known", "touched", "outlines" and "looked_at".
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from ..core import Identity, PemmaError, Segmentation, Step
from ..core.images import like, on_one_grid
from ..core.types import SMALLEST_ML, USUAL_RULE
from ..study import PetCtStudy
from . import own_nodes, segments, sources, volumes
from .acts import History
from .drawing import MARK, VOXELS, Drawing, drawn_by_network, noted, outlines, settled, unpacked
from .looks import of_text, placed
from .run import Run
from .shown import CT, PET, PROBABILITY, RECORD, TABLE

_KEPT_FIELDS = ("software", "model", "adapter", "adapter_parts", "inputs", "device", "precision", "threshold", "roi_mm", "steps")


def create(study: PetCtStudy, fields: Mapping[str, Any], probability: sitk.Image, ct_node, pet_node, *,
           min_volume_ml: float = SMALLEST_ML, usual_min_volume_ml: float = SMALLEST_ML, mtv_rule: str = USUAL_RULE,
           typed: Mapping[str, Any] | None = None) -> Run:  # fmt: skip
    """Puts a result into the scene, with closed surfaces, below the study of its CT (or PET).

    fields: of the background process' result, as in result.json. probability: on the grid of the CT, PET if none.
    typed: what the study was read with, see `Run`.
    """
    reference = ct_node or pet_node
    node = slicer.vtkMRMLSegmentationNode()
    node.SetName(slicer.mrmlScene.GetUniqueNameByString("PEMMASegment tumours"))
    record = {name: fields.get(name) for name in _KEPT_FIELDS} | {"typed": typed}
    record |= {"images": sources.contents(study), "series": sources.series(ct_node, pet_node)}
    node.SetAttribute(RECORD, json.dumps(record))  # before it is added: that is when selectors look
    slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    kept = volumes.volume_of(probability, "PEMMASegment probability")
    own_nodes.only_to_keep(kept)
    lesion_table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "PEMMASegment lesions")
    for role, part in ((PROBABILITY, kept), (TABLE, lesion_table), (CT, ct_node), (PET, pet_node)):
        node.SetNodeReferenceID(role, part.GetID() if part is not None else None)
    run = Run(study, _segmentation(fields, probability), node.GetID(), min_volume_ml, mtv_rule, usual_min_volume_ml,
              (kept.GetID(), lesion_table.GetID()), typed)  # fmt: skip
    run.redraw(threshold=fields["threshold"])
    run.make_surfaces()
    for part in (node, lesion_table, kept):
        own_nodes.below_study_of(reference, part)
    return run


def made_on(node) -> tuple:
    """CT and PET node that a result was made of; None for one that is gone."""
    return node.GetNodeReference(CT), node.GetNodeReference(PET)


def relink(node, loaded: Sequence, for_grid: Sequence = ()) -> None:
    """Takes volumes of the same series, the first of these (or None), for CT or PET of a result that is gone: loaded again.

    for_grid: more of them, for the one on whose grid the result lies alone, without which it can't be shown.
    """
    record = _record(node)
    known = record.get("series", {})
    grid = "ct" if "ct" in record.get("images", known) else "pet"
    for role, kind in ((CT, "ct"), (PET, "pet")):
        if kind in known and node.GetNodeReference(role) is None:
            from_these = (*loaded, *for_grid) if kind == grid else loaded
            found = next((volume for volume in from_these if sources.series_of(volume) == known[kind]), None)
            if found is not None:
                node.SetNodeReferenceID(role, found.GetID())


def has_lost_pet(node) -> bool:
    """Whether the PET that a result was made on is gone."""
    record = _record(node)
    return made_on(node)[1] is None and ("pet" in record.get("images", {}) or "pet" in record["inputs"])


def changed(node, study: PetCtStudy) -> list[str]:
    """Which of "ct" and "pet" are other images by now than the result was made on; none where nobody noted them."""
    return sources.changed(_record(node).get("images", {}), study)


def fits(node, study: PetCtStudy) -> bool:
    """Whether the result has the voxels of the study's grid: beside a study that was moved or cropped it can't be shown."""
    kept = node.GetNodeReference(PROBABILITY)
    return kept is not None and kept.GetImageData() is not None and on_one_grid(study.grid, volumes.image_of(kept))


def typed_for(node) -> Mapping[str, Any] | None:
    """What the user gave for the PET of the result, as `Run.typed`."""
    return _record(node).get("typed")


def keep_notes(node, notes: Sequence[str]) -> None:
    """Keeps what the run warned of with the result, for when it comes back."""
    node.SetAttribute(RECORD, json.dumps(_record(node) | {"notes": list(notes)}))


def notes_of(node) -> list[str]:
    """What was kept by `keep_notes`."""
    return _record(node).get("notes", [])


def restore(node, study: PetCtStudy, history: History | None = None) -> Run:
    """The run behind a segmentation node, as after loading a scene; the segments are left as they are.

    study: of the volumes that it was made on, read with the values that were typed for it. history: what can be undone.
    Raises PemmaError "result-incomplete" when the probability is missing, "reference-gone" when the study has another grid.
    """
    kept = node.GetNodeReference(PROBABILITY)
    if kept is None or kept.GetImageData() is None or not node.GetAttribute(RECORD):
        raise PemmaError("result-incomplete", "the result was saved without its probability", "segment again")
    record = _record(node)
    segmentation = _segmentation(record, volumes.image_of(kept))
    if not on_one_grid(study.grid, segmentation.probability):
        sentence = "the volume that the result was made on is no longer there, or was cropped or moved"
        way_out = "bring it back and choose the result again, or segment again; the former figures are in its table (module Data)"
        raise PemmaError("reference-gone", sentence, way_out)
    usual = record.get("usual_min_volume_ml", SMALLEST_ML)
    parts = tuple(part.GetID() for part in (kept, node.GetNodeReference(TABLE)) if part is not None)
    run = Run(study, segmentation, node.GetID(), record["min_volume_ml"], record["mtv_rule"], usual, parts, record.get("typed"))
    own_nodes.only_to_keep(kept)
    drawing, overlap, edited = _drawing_of(run, record)
    marked, found = segments.reviewed(node) - edited, outlines(drawing.voxels)
    run._looked_at = frozenset(record.get("looked_at", ())) - set(found.values()) | {found[n] for n in marked & found.keys()}
    run.shown.places = of_text(record.get("gone_looks", ()))
    run.shown.placed = placed(run.shown.places, drawing) if "touched" in record else {}
    run._show(drawing, act=False)
    if overlap:  # edited while it was not shown: what is drawn is what is measured
        run._draw(drawing)
    if history is not None:
        run.take_up(history)
    return run


def _record(node) -> dict[str, Any]:
    return json.loads(node.GetAttribute(RECORD))


def _drawing_of(run: Run, record: Mapping[str, Any]) -> tuple[Drawing, bool, frozenset[int]]:
    """What the segments show, whether they overlap, and which lesions were edited while the result was not shown.

    Those are the user's; in a record that does not tell, all that are no component of the network's label.
    """
    node, highest = run.node, record.get("highest", 0)
    drawn, overlap = segments.read(node, run.segmentation.probability, max([highest, *segments.ids(node)]) + 1)
    there = drawn.lesions
    if "touched" in record:
        edited = frozenset(n for n, outline in outlines(drawn).items() if outline != record["outlines"].get(str(n)))
        touched = edited | frozenset(record["touched"]) & there
    else:
        edited = frozenset()
        touched = there - drawn_by_network(drawn, run.segmentation.label)
        touched |= segments.with_tag(node, segments.ALGORITHM_TYPE, "SEMIAUTOMATIC") & there
    voxels = {name: unpacked(record.get(name) or "") for name in VOXELS}
    voxels["known"] = voxels["known"][~np.isin(voxels["known"] >> MARK, list(touched))]
    drawing = Drawing(
        drawn,
        run.segmentation.threshold,
        touched=touched,
        uids={n: uid for n, uid in segments.tags(node, segments.TRACKING_UID).items() if uid},
        dropped=segments.with_tag(node, segments.KEPT, "0") & there,
        highest=highest,
        min_volume_ml=record["min_volume_ml"],
        **voxels,
    )
    if "unticked" not in record:
        drawing = noted(drawing)
    return drawing if "touched" in record and not edited else settled(drawing), overlap, edited


def _segmentation(fields: Mapping[str, Any], probability: sitk.Image) -> Segmentation:
    threshold, roi, adapter = fields["threshold"], fields.get("roi_mm"), fields.get("adapter")
    return Segmentation(
        probability=probability,
        label=like((sitk.GetArrayViewFromImage(probability) >= threshold).astype(np.uint8), probability),
        threshold=threshold,
        model=Identity(**fields["model"]),
        adapter=Identity(**adapter) if adapter else None,
        inputs=fields["inputs"],
        device=fields["device"],
        precision=fields["precision"],
        roi_mm=tuple(roi) if roi else None,
        steps=tuple(Step(**step) for step in fields.get("steps") or ()),
        adapter_parts=tuple(fields.get("adapter_parts") or ()),
    )

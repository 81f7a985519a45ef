"""One result in the scene: the lesions drawn from the kept probability, the user's edits and their undo, its end.

`runs` puts it there and picks it up again.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from .. import results
from ..core import Lesion, PemmaError, PemmaWarning, Segmentation
from ..core.images import like, voxels_in
from ..core.types import SMALLEST_ML, USUAL_RULE
from ..study import PetCtStudy
from . import lesion_edits, segments, table, volumes
from .drawing import VOXELS, Drawing, Packed, at_threshold, changed, decided, erased_by, packed
from .looks import Gone, as_text, carried

RECORD = "PEMMASegment.Record"
PROBABILITY, TABLE, CT, PET = (f"PEMMASegment.{name}" for name in ("Probability", "Table", "CT", "PET"))
MOST_UNDO = 50


@dataclass(frozen=True)
class History:
    """What `undo` goes back to, while another result is shown. left: the lesions then; for others it does not hold."""

    left: Packed
    acts: tuple[tuple[str, Packed], ...]


@dataclass
class Run:
    """A result in the scene. Nodes are looked up by ID each time: the user may have removed them.

    segmentation: what the network said; `drawn` is what the user made of it. Every act can be undone, the last first.
    usual_min_volume_ml: the smallest volume when the user gives none: the adapter's own, else 0.5 ml.
    part_ids: of probability and table, which outlive the segmentation node that refers to them.
    coverage: warnings about kept lesions that CT or PET do not show to their end.
    typed: what the user gave for the PET when it was made, members of the parameters; None where nobody noted it.
    """

    study: PetCtStudy
    segmentation: Segmentation
    node_id: str
    min_volume_ml: float = SMALLEST_ML
    mtv_rule: str = USUAL_RULE
    usual_min_volume_ml: float = SMALLEST_ML
    part_ids: tuple[str, ...] = ()
    typed: Mapping[str, Any] | None = None
    lesions: list[Lesion] = field(default_factory=list)
    coverage: tuple[PemmaWarning, ...] = ()
    _drawing: Drawing | None = None
    _gone: tuple[Gone, ...] = ()  # names and colours that wait for their lesions
    _undo: list[tuple[str, Packed]] = field(default_factory=list)
    _sliding: str = ""  # the act that goes on while a slider moves
    _in_3d: bool = True
    _surfaces: dict | None = None  # those that are still right, while the others wait to be made

    @property
    def node(self):
        """The segmentation node. Raises PemmaError "result-gone" after its removal."""
        node = slicer.mrmlScene.GetNodeByID(self.node_id)
        if node is None:
            raise PemmaError("result-gone", "the result is no longer in the scene", "segment again")
        return node

    @property
    def reference(self):
        """The volume node that the result is shown over; may be gone, and no longer lie on the label's grid."""
        return self.node.GetNodeReference(CT) or self.node.GetNodeReference(PET)

    @property
    def _in_place(self) -> bool:
        """Whether the volume on whose grid the result lies is still where it was: contours moved with it were not edited."""
        volume = self.node.GetNodeReference(PET if self.study.ct is None else CT)
        here = volumes.matrix_of(self.segmentation.probability)
        return volume is None or np.allclose(volumes.ijk_to_ras(volume), here, rtol=0, atol=1e-3)

    @property
    def threshold(self) -> float:
        """Of the network's lesions."""
        return self._drawing.threshold

    @property
    def reviewed(self) -> frozenset[int]:
        """Lesions that the physician has looked at."""
        return self._drawing.reviewed

    @property
    def last_act(self) -> str:
        """What `undo` would take back: "threshold", "volume", "keep", "add", "cut", "merge" or "edit"; "" if nothing."""
        return self._undo[-1][0] if self._undo else ""

    @property
    def history(self) -> History:
        """For `runs.restore`, when it comes back after another result."""
        self.take_edits()
        return History(Packed.of(self._drawing), tuple(self._undo))

    @property
    def drawn(self) -> Segmentation:
        """The lesions as they are drawn; for an unedited run what the network said at this threshold."""
        drawing, grid = self._drawing, self.segmentation.probability
        if not drawing.edited:
            label = (sitk.GetArrayViewFromImage(grid) >= drawing.threshold).astype(np.uint8)
            return replace(self.segmentation, threshold=drawing.threshold, label=like(label, grid))
        label = like((drawing.numbers > 0).astype(np.uint8), grid)
        return replace(
            self.segmentation, threshold=drawing.threshold, label=label, numbers=like(drawing.numbers, grid)
        )

    def redraw(self, *, threshold: float | None = None, min_volume_ml: float | None = None,
               mtv_rule: str | None = None) -> None:  # fmt: skip
        """Draws the network's lesions from the kept probability, and their figures by another rule.

        Lesions that the user touched stay as they are, and what was erased stays away; a lesion made of dropped ones
        stays dropped. A slider wants to be quick: the surfaces for the 3D view are left to `make_surfaces`.
        """
        self.take_edits()
        self.mtv_rule = mtv_rule or self.mtv_rule
        if threshold is None and min_volume_ml is None:
            self._show(self._drawing)
            return
        before, grid, act = self._drawing, self.segmentation.probability, "volume" if threshold is None else "threshold"
        least = self.min_volume_ml if min_volume_ml is None else min_volume_ml
        after = at_threshold(before, grid, self.threshold if threshold is None else threshold, voxels_in(least, grid))
        if before is not None and self._sliding != act:  # a slider that moves on is one act
            self._remember(act)
            self._sliding = act
        self._draw(replace(after, min_volume_ml=least))

    def make_surfaces(self) -> None:
        """Makes the surfaces that are missing, unless the user has switched them off."""
        if self._surfaces is not None:
            segments.make_surfaces(self.node, self._surfaces)
            self._surfaces = None

    def keep(self, number: int, kept: bool) -> None:
        """Keeps or drops a lesion; one that the user has just deleted stays deleted."""
        self.take_edits()
        if number in {lesion.number for lesion in self.lesions}:
            self._remember("keep")
            self._show(decided(self._drawing, number, kept))

    def review(self, numbers: Sequence[int], done: bool = True) -> None:
        """Marks lesions as looked at by the physician, or as flagged again. Stays with them until they change."""
        self.rest()
        now, chosen = self._drawing.reviewed, {lesion.number for lesion in self.lesions} & set(numbers)
        self._show(replace(self._drawing, reviewed=now | chosen if done else now - chosen))

    def add(self, at_lps: tuple[float, float, float]) -> tuple[int, lesion_edits.Grown]:
        """Adds the lesion at a point (`lesion_edits.grow`); returns its number and how it was found. Raises PemmaError."""
        self.take_edits()
        drawing = self._drawing
        grown = lesion_edits.grow(
            drawing.numbers, self.segmentation.probability, self.study.pet, drawing.threshold, at_lps
        )
        numbers, new = drawing.numbers.copy(), drawing.free_number
        numbers[grown.box][grown.voxels] = new
        self._change("add", numbers)
        return new, grown

    def cut(self, at_lps: tuple[float, float, float]) -> tuple[int, int]:
        """Cuts the lesion at a point in two (`lesion_edits.cut`); returns its number and that of the part at the point."""
        self.take_edits()
        number, part, box = lesion_edits.cut(
            self._drawing.numbers, self.segmentation.probability, self.study.pet, at_lps
        )
        numbers, new = self._drawing.numbers.copy(), self._drawing.free_number
        numbers[box][part] = new
        dropped = self._drawing.dropped
        self._change("cut", numbers, dropped=dropped | {new} if number in dropped else dropped)
        return number, new

    def merge(self, chosen: Sequence[int]) -> int:
        """Makes one lesion of several, under the lowest of their numbers, which is returned; it is kept."""
        self.take_edits()
        chosen = sorted({lesion.number for lesion in self.lesions} & set(chosen))
        if len(chosen) < 2:
            raise PemmaError("merge-one", "fewer than two lesions are selected", "select them in the table (Ctrl+click)")
        numbers = np.where(np.isin(self._drawing.numbers, chosen), np.uint16(chosen[0]), self._drawing.numbers)
        self._change("merge", numbers, dropped=self._drawing.dropped - set(chosen))
        return chosen[0]

    def rest(self) -> None:
        """The lesions are looked at or written as they are now: edits are taken over, a slider that moves on is another act."""
        self.take_edits()
        self._sliding = ""

    def take_edits(self) -> bool:
        """Takes over what was done to the segments in the Segment Editor; False when nothing was."""
        if self._drawing is None or not self._in_place:
            return False
        drawing = self._drawing
        numbers, overlap = segments.read(
            self.node, self.segmentation.probability, drawing.free_number, drawing.numbers
        )
        differ = changed(drawing.numbers, numbers)
        reviewed = segments.reviewed(self.node) & {lesion.number for lesion in self.lesions}
        if not differ and reviewed == drawing.reviewed:
            return False
        if differ:
            self._change("edit", numbers, redraw=overlap, reviewed=reviewed)
        else:
            self._show(replace(drawing, reviewed=reviewed))
        return True

    def undo(self) -> str:
        """Takes the last act back, see `last_act`, which is returned. Lesions that it did not change stay reviewed or not."""
        self.take_edits()
        if not self._undo:
            return ""
        act, packed = self._undo.pop()
        self._sliding, now, before = "", self._drawing, packed.unpacked()
        differ = changed(now.numbers, before.numbers)
        self._draw(replace(before, reviewed=(now.reviewed - differ) | (before.reviewed & differ)))
        self.make_surfaces()
        return act

    def take_up(self, history: History) -> None:
        """Goes on with what was done before, unless the lesions are others by now."""
        if history.left.has_voxels_of(self._drawing):
            self._undo = list(history.acts)

    def remove(self) -> None:
        """Takes the run, or what the user has left of it, out of the scene: this is its undo."""
        for part in map(slicer.mrmlScene.GetNodeByID, (*self.part_ids, self.node_id)):
            if part is not None:
                slicer.mrmlScene.RemoveNode(part)

    def write_seg(self, path: Path) -> tuple[PemmaWarning, ...]:
        """Writes the kept lesions as DICOM-SEG, as they are drawn now; returns warnings. Raises PemmaError."""
        self.rest()
        options = {"segments": "each", "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule}
        return results.write_seg(path, self.study, self.drawn, self.lesions, command_options=options)

    def _remember(self, act: str) -> None:
        self._sliding = ""
        self._undo = [*self._undo[1 - MOST_UNDO :], (act, Packed.of(self._drawing))]

    def _change(self, act: str, numbers: np.ndarray, *, redraw: bool = True, **decided) -> None:
        """Other voxels: the lesions concerned are the user's from now on, and want to be reviewed again."""
        before = self._drawing
        differ = changed(before.numbers, numbers)
        there = frozenset(np.unique(numbers[numbers > 0]).tolist())
        decided = {"reviewed": before.reviewed, "dropped": before.dropped} | decided
        after = replace(
            before,
            numbers=numbers,
            touched=(before.touched | differ) & there,
            uids={lesion.number: lesion.tracking_uid for lesion in self.lesions},
            dropped=decided["dropped"] & there,
            reviewed=(decided["reviewed"] & there) - differ,
            highest=max(before.highest, int(before.numbers.max(initial=0)), int(numbers.max(initial=0))),
            erased=erased_by(before, numbers),
        )
        self._remember(act)
        (self._draw if redraw else self._show)(after)
        self.make_surfaces()

    def _draw(self, drawing: Drawing) -> None:
        """Segments, table and record of this drawing; the surfaces wait."""
        lesions = self._measured(drawing)
        grid, model = self.segmentation.probability, self.segmentation.model
        self._keep_surfaces(drawing)
        looks, self._gone = carried(self._drawing, drawing, segments.looks(self.node), self._gone)
        segments.draw(self.node, drawing.numbers, grid, lesions, model, drawing.reviewed, looks)
        self._become(drawing, lesions)

    def _keep_surfaces(self, drawing: Drawing) -> None:
        """Surfaces of lesions that have the same voxels in the new drawing."""
        known = segments.surfaces(self.node)
        if self._surfaces is None and segments.ids(self.node):
            self._in_3d = bool(known)
        differ = changed(self._drawing.numbers, drawing.numbers) if self._drawing is not None else ()
        known = {n: surface for n, surface in (known | (self._surfaces or {})).items() if n not in differ}
        self._surfaces = known if self._in_3d else None

    def _show(self, drawing: Drawing) -> None:
        """As `_draw` when the segments have these voxels already."""
        lesions = self._measured(drawing)
        segments.describe(self.node, lesions, self.segmentation.model, drawing.reviewed)
        self._become(drawing, lesions)

    def _become(self, drawing: Drawing, lesions: list[Lesion]) -> None:
        """Keeps them, and brings record and table up to date."""
        uids = {lesion.number: lesion.tracking_uid for lesion in lesions if lesion.number in drawing.touched}
        drawing = replace(drawing, uids=uids)  # also of a new one: it keeps what it was given first
        self._drawing, self.lesions, self.min_volume_ml = drawing, lesions, drawing.min_volume_ml
        numbers = like(drawing.numbers, self.segmentation.probability)
        self.coverage = results.coverage(
            [lesion for lesion in lesions if lesion.kept], replace(self.segmentation, numbers=numbers), self.study.pet
        )
        node = self.node
        record = json.loads(node.GetAttribute(RECORD))
        record |= {
            "threshold": drawing.threshold, "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule,
            "highest": drawing.highest, "usual_min_volume_ml": self.usual_min_volume_ml,
            "gone_looks": as_text(self._gone),
            **{name: packed(getattr(drawing, name)) for name in VOXELS},
        }  # fmt: skip
        node.SetAttribute(RECORD, json.dumps(record))
        if node.GetNodeReference(TABLE) is not None:
            table.fill(node.GetNodeReference(TABLE), lesions, self.mtv_rule)

    def _measured(self, drawing: Drawing) -> list[Lesion]:
        numbers = like(drawing.numbers, self.segmentation.probability)
        key = results.result_key(self.study.study_key, replace(self.segmentation, threshold=drawing.threshold))
        lesions = results.measure_edited(numbers, self.study.pet, mtv_rule=self.mtv_rule, key=key)
        for lesion in lesions:
            lesion.kept = lesion.number not in drawing.dropped
            if lesion.number in drawing.touched:
                lesion.algorithm_type = "SEMIAUTOMATIC"
                lesion.tracking_uid = drawing.uids.get(lesion.number, lesion.tracking_uid)
        return lesions

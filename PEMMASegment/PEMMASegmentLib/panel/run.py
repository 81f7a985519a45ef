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
from ..results.uids import uid_of
from ..study import PetCtStudy
from . import lesion_edits, segments, table, volumes
from .drawing import VOXELS, Drawing, Packed, at_threshold, changed, decided, drawn, holding, outlines, packed
from .looks import Place, as_text, looks_of, placed, seen

RECORD = "PEMMASegment.Record"
PROBABILITY, TABLE, CT, PET = (f"PEMMASegment.{name}" for name in ("Probability", "Table", "CT", "PET"))
MOST_UNDO = 50


@dataclass(frozen=True)
class History:
    """What `undo` goes back to, while another result is shown. left: outlines then; for others it does not hold."""

    left: Mapping[int, str]
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
    _outlines: Mapping[int, str] = field(default_factory=dict)  # of the lesions that are drawn
    _looked_at: frozenset[str] = frozenset()  # outlines that the physician has looked at, also of lesions that are gone
    _places: tuple[Place, ...] = ()  # names and colours, and where
    _placed: Mapping[int, int] = field(default_factory=dict)  # lesion that is drawn -> index of its place
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
        """Lesions that the physician has looked at, as they are drawn now."""
        return frozenset(number for number, outline in self._outlines.items() if outline in self._looked_at)

    @property
    def holding_unticked(self) -> list[int]:
        """Kept lesions in which one lies that the user unticked."""
        return holding(self._drawing)

    @property
    def last_act(self) -> str:
        """What `undo` would take back: "threshold", "volume", "keep", "add", "cut", "merge" or "edit"; "" if nothing."""
        return self._undo[-1][0] if self._undo else ""

    @property
    def history(self) -> History:
        """For `runs.restore`, when it comes back after another result."""
        self.take_edits()
        return History(self._outlines, tuple(self._undo))

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
        stays dropped. A slider that moves wants to be quick, and leaves no trace: the surfaces for the 3D view are left to
        `make_surfaces`, and what the lesions go on from is the last act.
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
        self._draw(replace(after, min_volume_ml=least), act=False)

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
        """Marks lesions as looked at by the physician, or as flagged again: these outlines, whatever comes between."""
        self.rest()
        chosen = {self._outlines[number] for number in numbers if number in self._outlines}
        self._looked_at = self._looked_at | chosen if done else self._looked_at - chosen
        self._show(self._drawing)

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
        self._change("merge", numbers, kept=chosen[0])
        return chosen[0]

    def rest(self) -> None:
        """The lesions are looked at or written as they are now: edits are taken over, a slider that moves on is another act.

        No lesion becomes known by that, as only by acts that can be undone: a threshold shows the same afterwards.
        """
        self.take_edits()
        self._sliding = ""
        self._notice()
        self._record()

    def take_edits(self) -> bool:
        """Takes over what was done to the segments in the Segment Editor; False when nothing was."""
        if self._drawing is None or not self._in_place:
            return False
        if segments.looks(self.node) != looks_of(self._places, self._placed):
            self._notice()
        drawing = self._drawing
        numbers, overlap = segments.read(
            self.node, self.segmentation.probability, drawing.free_number, drawing.numbers
        )
        differ, marked = changed(drawing.numbers, numbers), segments.reviewed(self.node)
        if not differ and marked & self._outlines.keys() == self.reviewed:
            return False
        for number in self._outlines.keys() - differ:
            outline = {self._outlines[number]}
            self._looked_at = self._looked_at | outline if number in marked else self._looked_at - outline
        if differ:
            self._change("edit", numbers, redraw=overlap)
        else:
            self._show(self._drawing)
        return True

    def undo(self) -> str:
        """Takes the last act back, see `last_act`, which is returned; reviews, names and colours are none."""
        self.take_edits()
        if not self._undo:
            return ""
        act, packed = self._undo.pop()
        self._sliding = ""
        self._notice()
        self._draw(packed.unpacked())
        self.make_surfaces()
        return act

    def take_up(self, history: History) -> None:
        """Goes on with what was done before, unless the lesions are others by now."""
        if history.left == self._outlines:
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

    def _change(self, act: str, numbers: np.ndarray, *, redraw: bool = True, dropped: frozenset[int] | None = None,
                kept: int = 0) -> None:  # fmt: skip
        """Other voxels: the lesions concerned are the user's from now on. kept: a lesion that is ticked by this act."""
        self._remember(act)
        self._notice()
        before, uids = self._drawing, {lesion.number: lesion.tracking_uid for lesion in self.lesions}
        after = drawn(before, numbers, uids, before.dropped if dropped is None else dropped)
        (self._draw if redraw else self._show)(decided(after, kept, True) if kept else after)
        self.make_surfaces()

    def _notice(self) -> None:
        """Names and colours as they are in the segments, and where; a segment that is gone had what it was given at last."""
        there, last = segments.ids(self.node), looks_of(self._places, self._placed)
        looks = {number: look for number, look in last.items() if number not in there} | segments.looks(self.node)
        self._places = seen(self._places, self._placed, self._drawing, looks)
        self._placed = {place.number: n for n, place in enumerate(self._places) if place.number}

    def _draw(self, drawing: Drawing, act: bool = True) -> None:
        """Segments, table and record of this drawing; the surfaces wait. act: by the user, not by a slider that moves."""
        lesions = self._measured(drawing)
        grid, model = self.segmentation.probability, self.segmentation.model
        self._keep_surfaces(drawing)
        self._placed = placed(self._places, drawing, self._drawing.touched if self._drawing is not None else ())
        looks = looks_of(self._places, self._placed)
        segments.draw(self.node, drawing.numbers, grid, lesions, model, self.reviewed, looks)
        self._become(drawing, lesions, act)

    def _keep_surfaces(self, drawing: Drawing) -> None:
        """Surfaces of lesions that have the same voxels in the new drawing."""
        known = segments.surfaces(self.node)
        if self._surfaces is None and segments.ids(self.node):
            self._in_3d = bool(known)
        differ = changed(self._drawing.numbers, drawing.numbers) if self._drawing is not None else ()
        known = {n: surface for n, surface in (known | (self._surfaces or {})).items() if n not in differ}
        self._surfaces = known if self._in_3d else None

    def _show(self, drawing: Drawing, act: bool = True) -> None:
        """As `_draw` when the segments have these voxels already."""
        lesions = self._measured(drawing)
        segments.describe(self.node, lesions, self.segmentation.model, self.reviewed)
        self._become(drawing, lesions, act)

    def _become(self, drawing: Drawing, lesions: list[Lesion], act: bool) -> None:
        """Keeps them, and brings record and table up to date."""
        uids = {lesion.number: lesion.tracking_uid for lesion in lesions if lesion.number in drawing.touched}
        drawing = replace(drawing, uids=uids)  # also of a new one: it keeps what it was given first
        self._drawing, self.lesions, self.min_volume_ml = drawing, lesions, drawing.min_volume_ml
        numbers = like(drawing.numbers, self.segmentation.probability)
        self.coverage = results.coverage(
            [lesion for lesion in lesions if lesion.kept], replace(self.segmentation, numbers=numbers), self.study.pet
        )
        if act:
            self._notice()
        self._record()
        if self.node.GetNodeReference(TABLE) is not None:
            table.fill(self.node.GetNodeReference(TABLE), lesions, self.mtv_rule)

    def _record(self) -> None:
        """Brings up to date what the scene keeps."""
        node, drawing = self.node, self._drawing
        record = json.loads(node.GetAttribute(RECORD))
        record |= {
            "threshold": drawing.threshold, "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule,
            "highest": drawing.highest, "usual_min_volume_ml": self.usual_min_volume_ml,
            "gone_looks": as_text(self._places), "touched": sorted(drawing.touched), "outlines": self._outlines,
            "looked_at": sorted(self._looked_at),
            **{name: packed(getattr(drawing, name)) for name in VOXELS},
        }  # fmt: skip
        node.SetAttribute(RECORD, json.dumps(record))

    def _measured(self, drawing: Drawing) -> list[Lesion]:
        self._outlines = outlines(drawing.numbers)
        numbers = like(drawing.numbers, self.segmentation.probability)
        key = results.result_key(self.study.study_key, replace(self.segmentation, threshold=drawing.threshold))
        lesions = results.measure_edited(numbers, self.study.pet, mtv_rule=self.mtv_rule, key=key)
        for lesion in lesions:
            lesion.kept = lesion.number not in drawing.dropped
            if lesion.number in drawing.touched:
                lesion.algorithm_type = "SEMIAUTOMATIC"
                # a new one may have the voxels of a lesion that went on with others: its number makes it another
                uid = uid_of(lesion.tracking_uid, str(lesion.number))
                lesion.tracking_uid = drawing.uids.get(lesion.number, uid)
        return lesions

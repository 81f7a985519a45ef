"""One result in the scene: the lesions drawn from the kept probability, the user's edits and their undo, its end.

`runs` puts it there and picks it up again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import slicer

from .. import results
from ..core import Lesion, PemmaError, PemmaWarning, Segmentation
from ..core.images import voxels_in
from ..core.types import SMALLEST_ML, USUAL_RULE
from ..core.voxels import Voxels
from ..study import PetCtStudy
from . import lesion_edits, measuring, segments
from .acts import Acts, History
from .drawing import VOXELS, Drawing, at_threshold, changed, decided, drawn, holding, outlines, packed
from .shown import CT, PET, Shown


@dataclass
class Run:
    """A result in the scene, where `Shown` shows it.

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
    _acts: Acts = field(default_factory=Acts)

    def __post_init__(self):
        self.shown = Shown(self.node_id, self.segmentation)

    @property
    def node(self):
        """As `Shown.node`."""
        return self.shown.node

    @property
    def reference(self):
        """As `Shown.reference`."""
        return self.shown.reference

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
        return self._acts.last

    @property
    def history(self) -> History:
        """For `runs.restore`, when it comes back after another result."""
        self.take_edits()
        return self._acts.history(self._outlines)

    @property
    def drawn(self) -> Segmentation:
        """The lesions as they are drawn; for an unedited run what the network said at this threshold."""
        return measuring.as_segmentation(self._drawing, self.segmentation)

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
        if before is not None:
            self._acts.slide(act, before)
        self._draw(replace(after, min_volume_ml=least), act=False)

    def make_surfaces(self) -> None:
        """As `Shown.make_surfaces`."""
        self.shown.make_surfaces()

    def keep(self, number: int, kept: bool) -> None:
        """Keeps or drops a lesion; one that the user has just deleted stays deleted."""
        self.take_edits()
        if number in {lesion.number for lesion in self.lesions}:
            self._acts.remember("keep", self._drawing)
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
        new = drawing.free_number
        self._change("add", drawing.voxels.with_lesion(new, grown.box, grown.voxels))
        return new, grown

    def cut(self, at_lps: tuple[float, float, float]) -> tuple[int, int]:
        """Cuts the lesion at a point in two (`lesion_edits.cut`); returns its number and that of the part at the point."""
        self.take_edits()
        drawing = self._drawing
        number, part, box = lesion_edits.cut(drawing.voxels, self.segmentation.probability, self.study.pet, at_lps)
        new, dropped = drawing.free_number, drawing.dropped
        voxels = drawing.voxels.with_lesion(new, box, part)
        self._change("cut", voxels, dropped=dropped | {new} if number in dropped else dropped)
        return number, new

    def merge(self, chosen: Sequence[int]) -> int:
        """Makes one lesion of several, under the lowest of their numbers, which is returned; it is kept."""
        self.take_edits()
        chosen = sorted({lesion.number for lesion in self.lesions} & set(chosen))
        if len(chosen) < 2:
            raise PemmaError("merge-one", "fewer than two lesions are selected", "select them in the table (Ctrl+click)")
        voxels = self._drawing.voxels
        of = np.where(np.isin(voxels.of, chosen), np.uint16(chosen[0]), voxels.of)
        self._change("merge", replace(voxels, of=of), kept=chosen[0])
        return chosen[0]

    def rest(self) -> None:
        """The lesions are looked at or written as they are now: edits are taken over, a slider that moves on is another act.

        No lesion becomes known by that, as only by acts that can be undone: a threshold shows the same afterwards.
        """
        self.take_edits()
        self._acts.rest()
        self.shown.notice(self._drawing)
        self._record()

    def take_edits(self) -> bool:
        """Takes over what was done to the segments in the Segment Editor; False when nothing was."""
        if self._drawing is None or not self.shown.in_place(PET if self.study.ct is None else CT):
            return False
        if segments.looks(self.node) != self.shown.looks:
            self.shown.notice(self._drawing)
        drawing = self._drawing
        voxels, overlap = segments.read(self.node, self.segmentation.probability, drawing.free_number, drawing.voxels)
        differ, marked = changed(drawing.voxels, voxels), segments.reviewed(self.node)
        if not differ and marked & self._outlines.keys() == self.reviewed:
            return False
        for number in self._outlines.keys() - differ:
            outline = {self._outlines[number]}
            self._looked_at = self._looked_at | outline if number in marked else self._looked_at - outline
        if differ:
            self._change("edit", voxels, redraw=overlap)
        else:
            self._show(self._drawing)
        return True

    def undo(self) -> str:
        """Takes the last act back, see `last_act`, which is returned; reviews, names and colours are none."""
        self.take_edits()
        if not self._acts.last:
            return ""
        act, before = self._acts.take_back()
        self.shown.notice(self._drawing)
        self._draw(before)
        self.make_surfaces()
        return act

    def take_up(self, history: History) -> None:
        """Goes on with what was done before, unless the lesions are others by now."""
        if history.left == self._outlines:
            self._acts.take_up(history)

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

    def _change(self, act: str, voxels: Voxels, *, redraw: bool = True, dropped: frozenset[int] | None = None,
                kept: int = 0) -> None:  # fmt: skip
        """Other voxels: the lesions concerned are the user's from now on. kept: a lesion that is ticked by this act."""
        self._acts.remember(act, self._drawing)
        self.shown.notice(self._drawing)
        before, uids = self._drawing, {lesion.number: lesion.tracking_uid for lesion in self.lesions}
        after = drawn(before, voxels, uids, before.dropped if dropped is None else dropped)
        (self._draw if redraw else self._show)(decided(after, kept, True) if kept else after)
        self.make_surfaces()

    def _draw(self, drawing: Drawing, act: bool = True) -> None:
        """Segments, table and record of this drawing; the surfaces wait. act: by the user, not by a slider that moves."""
        lesions = self._measured(drawing)
        self.shown.draw(drawing, self._drawing, lesions, self.reviewed)
        self._become(drawing, lesions, act)

    def _show(self, drawing: Drawing, act: bool = True) -> None:
        """As `_draw` when the segments have these voxels already."""
        lesions = self._measured(drawing)
        self.shown.describe(lesions, self.reviewed)
        self._become(drawing, lesions, act)

    def _become(self, drawing: Drawing, lesions: list[Lesion], act: bool) -> None:
        """Keeps them, and brings record and table up to date."""
        uids = {lesion.number: lesion.tracking_uid for lesion in lesions if lesion.number in drawing.touched}
        drawing = replace(drawing, uids=uids)  # also of a new one: it keeps what it was given first
        self._drawing, self.lesions, self.min_volume_ml = drawing, lesions, drawing.min_volume_ml
        self.coverage = measuring.coverage(drawing, lesions, self.segmentation, self.study)
        if act:
            self.shown.notice(drawing)
        self._record()
        self.shown.fill_table(lesions, self.mtv_rule)

    def _record(self) -> None:
        """Brings up to date what the scene keeps."""
        drawing = self._drawing
        self.shown.record({
            "threshold": drawing.threshold, "min_volume_ml": self.min_volume_ml, "mtv_rule": self.mtv_rule,
            "highest": drawing.highest, "usual_min_volume_ml": self.usual_min_volume_ml,
            "touched": sorted(drawing.touched), "outlines": self._outlines, "looked_at": sorted(self._looked_at),
            **{name: packed(getattr(drawing, name)) for name in VOXELS},
        })  # fmt: skip

    def _measured(self, drawing: Drawing) -> list[Lesion]:
        self._outlines = outlines(drawing.voxels)
        return measuring.measured(drawing, self.segmentation, self.study, self.mtv_rule)

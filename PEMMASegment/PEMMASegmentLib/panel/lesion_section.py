"""The section Lesions: threshold, table, one more lesion at the crosshair, cutting, merging, editing, reviewing, undo."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..core.types import SMALLEST_ML, USUAL_RULE
from . import lesion_edits, logic, segments, told
from .lesion_list import LesionList, in_words
from .run import Run
from .table import as_tsv
from .words import rename

SETTLED_MS = 300  # after the last stroke in the Segment Editor the figures follow, after the slider the 3D view
ACTS = {
    "threshold": _("threshold"), "volume": _("smallest lesion"), "keep": _("tick"), "add": _("added lesion"),
    "cut": _("split"), "merge": _("merge"), "edit": _("edit"),
}  # fmt: skip


class LesionSection(VTKObservationMixin):
    """`run` is the result shown, given by `show`. guarded(act, *arguments) does it and says errors; say(words) tells.

    follow(run) is called after every change.
    """

    def __init__(self, ui, parent, guarded: Callable, say: Callable[[str], None], follow: Callable):
        super().__init__()
        self.run: Run | None = None
        self._why_none = ""
        self._ui, self._guarded, self._say, self._follow = ui, guarded, say, follow
        self._acting = False
        self._list = LesionList(ui.lesionTable, self._on_kept, self._on_lesion)
        self._settled = qt.QTimer(parent)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.connect("timeout()", self._settle)
        ui.thresholdSlider.connect("valueChanged(double)", self._on_threshold)
        ui.minVolumeSpinBox.connect("valueChanged(double)", self._on_volume)
        ui.mtvRuleComboBox.connect("currentTextChanged(QString)", self._on_rule)
        for button, act in (
            (ui.addButton, self._add), (ui.cutButton, self._cut), (ui.mergeButton, self._merge),
            (ui.undoButton, self._undo), (ui.reviewButton, self._review), (ui.editButton, self._edit),
            (ui.copyButton, self._copy), (ui.removeButton, self._remove),
        ):  # fmt: skip
            button.connect("clicked(bool)", lambda _checked=False, act=act: self._do(act))
        self._buttons = (
            ui.thresholdSlider, ui.addButton, ui.cutButton, ui.mergeButton, ui.reviewButton, ui.editButton, ui.copyButton,
            ui.removeButton, ui.lesionTable,
        )  # fmt: skip
        self.show(None)

    def show(self, run: Run | None, why_none: str = "") -> None:
        """Shows a result and follows the edits of its segments; None for none, and why there is none."""
        self.removeObservers()
        self._settled.stop()
        self.run, self._why_none = run, why_none
        if run is not None:
            segmentation = run.node.GetSegmentation()
            kind = slicer.vtkSegmentation
            for event in (kind.SourceRepresentationModified, kind.SegmentAdded, kind.SegmentRemoved, kind.SegmentModified):
                self.addObserver(segmentation, event, self._on_edited)
            self._show_volume()
            self._ui.mtvRuleComboBox.currentText = run.mtv_rule
        for widget in self._buttons:
            widget.enabled = run is not None
        self._refresh()

    def _do(self, act: Callable, *arguments) -> None:
        """An act of the user's. What it does to the segments is no edit to be taken over."""
        self._acting = True
        try:
            self._guarded(act, *arguments)
        finally:
            self._acting = False
        self._refresh()

    def _on_threshold(self, value: float) -> None:
        if self.run is not None and abs(value - self.run.threshold) > 1e-6:
            self._do(lambda: self.run.redraw(threshold=value))
            self._settled.start()

    def _on_volume(self, value: float) -> None:
        if self.run is not None and self._is_new(value):
            self._do(lambda: self.run.redraw(min_volume_ml=self._meant(value)))
            self._settled.start()

    def _show_volume(self) -> None:
        """Lets the box tell what acts, which may be another than was asked for since the run began."""
        least = self.run.min_volume_ml
        if self._is_new(self._ui.minVolumeSpinBox.value):
            usual = least == self.run.usual_min_volume_ml
            self._ui.minVolumeSpinBox.value = SMALLEST_ML if usual else least

    def _is_new(self, value: float) -> bool:
        return abs(self._meant(value) - self.run.min_volume_ml) > 0.5 * 10**-self._ui.minVolumeSpinBox.decimals

    def _meant(self, value: float) -> float:
        """The usual number in the box leaves it to the adapter, which may have its own."""
        return self.run.usual_min_volume_ml if value == SMALLEST_ML else value

    def _on_rule(self, rule: str) -> None:
        if self.run is not None and rule and rule != self.run.mtv_rule:
            self._do(lambda: self.run.redraw(mtv_rule=rule))

    def _on_kept(self, number: int, kept: bool) -> None:
        self._do(self.run.keep, number, kept)

    def _on_lesion(self, number: int) -> None:
        self._guarded(lambda: slicer.modules.markups.logic().JumpSlicesToLocation(*logic.centre_ras(self.run, number), True))

    def _add(self) -> None:
        number, grown = self.run.add(logic.crosshair_lps(self.run))
        self._refresh()
        self._list.select(number)
        self._say(_added(number, grown, self.run))

    def _cut(self) -> None:
        number, new = self.run.cut(logic.crosshair_lps(self.run))
        self._say(_("Lesion {number} was split: the part at the crosshair is lesion {new}.").format(number=number, new=new))

    def _merge(self) -> None:
        number = self.run.merge(self._list.selected)
        self._say(_("The selected lesions are lesion {number} now.").format(number=number))

    def _undo(self) -> None:
        act = self.run.undo()
        self._show_volume()
        self._say(_("Undone: {act}.").format(act=ACTS[act]) if act else "")

    def _review(self) -> None:
        chosen = self._list.selected or [lesion.number for lesion in self.run.lesions if lesion.kept]
        self.run.review(chosen, done=not self.run.reviewed >= set(chosen))

    def _edit(self) -> None:
        selected = self._list.selected
        logic.open_editor(self.run, selected[0] if selected else None)

    def _copy(self) -> None:
        self.run.take_edits()
        typed = self.run.study.suv.typed if self.run.study.suv else ()
        qt.QApplication.clipboard().setText(as_tsv(self.run.lesions, self.run.mtv_rule, typed))
        self._say(_("The table is in the clipboard."))

    def _remove(self) -> None:
        run = self.run
        self.show(None)
        run.remove()

    def _on_edited(self, _caller, _event) -> None:
        if not self._acting:
            self._settled.start()

    def _settle(self) -> None:
        """What can wait until the slider stands still, or the stroke is drawn."""
        if self.run is not None and slicer.mrmlScene.GetNodeByID(self.run.node_id) is not None:
            self._do(self.run.take_edits)
            self._do(self.run.make_surfaces)

    def _refresh(self) -> None:
        run, ui = self.run, self._ui
        if run is not None:
            was_blocked = ui.thresholdSlider.blockSignals(True)
            ui.thresholdSlider.value = run.threshold
            ui.thresholdSlider.blockSignals(was_blocked)
        node = slicer.mrmlScene.GetNodeByID(run.node_id) if run is not None else None  # the user may have removed it
        shown = (run.lesions, run.mtv_rule, run.reviewed) if run is not None else ([], USUAL_RULE, frozenset())
        self._list.fill(*shown, segments.colours(node) if node is not None else {})
        template = _("Kept: {number}, reviewed: {reviewed}. Contours {volume} ml, MTV {mtv} ml, TLG {tlg} g.")
        lines = [self._why_none]
        if run is not None:
            lines = [in_words(run.lesions, template, run.reviewed), *told.holding(run), *told.covered(run)]
        ui.totalsLabel.text = "\n".join(lines)
        act = run.last_act if run is not None else ""
        ui.undoButton.enabled = bool(act)
        rename(ui.undoButton, _("Undo: {act}").format(act=ACTS[act]) if act else _("Undo"))
        self._follow(run)


def _added(number: int, grown: lesion_edits.Grown, run: Run) -> str:
    volume = next(lesion.volume_ml for lesion in run.lesions if lesion.number == number)
    if grown.source == "pet":
        words = _("Lesion {number} was added from the PET: SUV from {level}, {share} of the maximum there; {volume} ml.")
    else:
        words = _("Lesion {number} was added: the model gives it {level} or more; {volume} ml.")
    if grown.cut:
        words += " " + _("It was cut off {bound} mm from the maximum: please look at its border.")
    return words.format(
        number=number, level=f"{grown.level:.2f}", share=f"{lesion_edits.PET_FRACTION:.0%}", volume=f"{volume:.2f}",
        bound=f"{lesion_edits.BOUND_MM:g}",
    )  # fmt: skip

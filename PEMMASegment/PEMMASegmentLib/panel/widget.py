"""The panel: what its buttons do, and the background process behind them, asked ten times a second. Never blocks."""

import time
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..study.types import PetCtStudy
from ..worker.client import Worker
from ..worker.events import Ended, Error, LogLine, Progress, Result
from . import logic, packages, parameters, runs, studies, view
from .lesion_list import LesionList, in_words

POLL_MS = 100


@dataclass(frozen=True)
class _Asked:
    """A segmentation under way: node IDs, because nodes may go meanwhile."""

    id: int
    study: PetCtStudy
    ct_id: str | None
    pet_id: str | None
    started: float


class Panel:
    """Connects the widgets of PEMMASegment.ui. `chosen` is the parameter node, given and taken by `use`."""

    def __init__(self, ui, parent, worker: Worker | None = None):
        self.ui = ui
        self.worker = worker or Worker(temporary=Path(slicer.app.temporaryPath))
        self.chosen: parameters.Parameters | None = None
        self.run: runs.Run | None = None
        self._asked: _Asked | None = None
        self._bound: parameters.Parameters | None = None
        self._binding = None
        self._lesions = LesionList(ui.lesionTable, self._on_kept, self._on_lesion)
        self._timer = qt.QTimer(parent)
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.poll)
        self._folders = {"model": ui.modelPathEdit, "adapter": ui.adapterPathEdit}
        for edit in self._folders.values():
            edit.connect("currentPathChanged(QString)", self._on_folder)
        ui.segmentButton.connect("clicked(bool)", self._on_segment)
        ui.studyButton.connect("clicked(bool)", self._on_check_study)
        ui.viewButton.connect("clicked(bool)", self._on_view)
        ui.thresholdSlider.connect("valueChanged(double)", self._on_threshold)
        ui.mtvRuleComboBox.connect("currentTextChanged(QString)", self._on_rule)
        ui.removeButton.connect("clicked(bool)", self._on_remove)
        ui.copyButton.connect("clicked(bool)", self._on_copy)
        ui.exportButton.connect("clicked(bool)", self._on_export)
        self._show_run()
        self._show_idle()

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """Shows the choices of a parameter node, and the result that it names; None before a scene closes."""
        self.chosen, self.run = chosen, None
        if chosen is not None:
            self._guess()
            self._bind(chosen)
            self._pick_up()
        self._show_run()

    def _bind(self, chosen: "parameters.Parameters") -> None:
        """Ties widgets and node. Once for each node: a scene that closes keeps it, and a second tie would fight the first."""
        if self._bound is None or self._bound.parameterNode is not chosen.parameterNode:
            self._unbind()
            self._bound, self._binding = chosen, chosen.connectGui(self.ui)
        folders = {name: getattr(chosen, name) for name in self._folders}  # first, because a new text is written back
        for name, edit in self._folders.items():
            edit.currentPath = folders[name]

    def _unbind(self) -> None:
        if self._bound is not None:
            self._bound.disconnectGui(self._binding)
        self._bound = None

    def close_scene(self) -> None:
        """Stops what is under way: its volumes go."""
        self._stop_run()
        self.use(None)
        self._say("")

    def close(self) -> None:
        """Ends the background process; the panel is not used any more."""
        self._timer.stop()
        self.use(None)
        self._unbind()
        self._asked = None
        self.worker.stop()

    def poll(self) -> None:
        """Takes in what the background process has to tell."""
        for event in self.worker.poll():
            self._take(event)
        if not self.worker.running:
            self._timer.stop()

    def _take(self, event) -> None:
        asked = self._asked
        if isinstance(event, LogLine):
            self.ui.detailsText.appendPlainText(event.text)
        elif isinstance(event, Ended) and event.error is not None:
            self._say_error(event.error)
        elif asked is None or getattr(event, "id", None) != asked.id:
            return
        elif isinstance(event, Progress):
            self._show_progress(event)
        elif isinstance(event, Result | Error):
            self._asked = None
            self._show_idle()
            self._say_error(event) if isinstance(event, Error) else self._guarded(self._finish, asked, event)

    def _finish(self, asked: _Asked, answer: Result) -> None:
        ct, pet = (slicer.mrmlScene.GetNodeByID(i) if i else None for i in (asked.ct_id, asked.pet_id))
        if (ct or pet) is None:
            raise PemmaError("volumes-gone", "the volumes were removed while they were segmented", "load them again")
        self.run = logic.show_result(
            asked.study, answer, ct, pet, min_volume_ml=self.chosen.minVolumeMl, mtv_rule=self.chosen.mtvRule
        )
        self.chosen.result = self.run.node
        self._show_run()
        seconds = time.monotonic() - asked.started
        number = len(self.run.lesions)
        self._say(_("{number} lesion(s) in {seconds} s.").format(number=number, seconds=f"{seconds:.0f}"))

    def _on_segment(self, _checked=False) -> None:
        if self._asked is not None:
            self.worker.cancel(self._asked.id)
            self._show_cancelling()
        else:
            self._guarded(self._start)

    def _start(self) -> None:
        self._say("")
        wanted = packages.missing()
        if wanted:
            packages.install(wanted)
        study = self._study()
        options = parameters.options_of(self.chosen)
        fields = logic.request_fields(study, self._private_folder(), options)
        id = self.worker.request("segment", **fields)
        ids = (node.GetID() if node is not None else None for node in (self.chosen.ct, self.chosen.pet))
        self._asked = _Asked(id, study, *ids, time.monotonic())
        self._show_busy()
        self._timer.start()

    def _private_folder(self) -> Path:
        try:
            return self.worker.private_folder()
        except OSError as error:
            words = error.strerror or type(error).__name__
            way_out = "free some space on the disk of the temporary folder"
            raise PemmaError("cannot-write", f"no temporary folder can be made: {words}", way_out) from error

    def _study(self) -> PetCtStudy:
        typed = parameters.typed_of(self.chosen)
        study = studies.read_study(self.chosen.ct, self.chosen.pet, typed=typed, pet_is_suv=self.chosen.petIsSuv)
        warnings = [f"{warning.sentence} ({warning.way_out})" for warning in study.warnings]
        self.ui.studyLabel.text = "\n".join([studies.in_words(study), *warnings])
        return study

    def _on_check_study(self, _checked=False) -> None:
        self._say("")
        self._guarded(self._study)

    def _on_view(self, _checked=False) -> None:
        self._say("")
        self._guarded(self._show_fused)

    def _show_fused(self) -> None:
        chosen, study = self.chosen, self._study()
        highest = chosen.petHighest * (view.per_suv(chosen.pet, study.pet) if study.pet is not None else 1.0)
        view.four_up()
        view.fuse(chosen.ct, chosen.pet, colour=chosen.petColour, highest=highest, opacity=chosen.petOpacity)

    def _on_folder(self, _path="") -> None:
        if self.chosen is not None and self._bound is not None:
            for name, edit in self._folders.items():
                setattr(self.chosen, name, edit.currentPath)

    def _on_threshold(self, value: float) -> None:
        if self.run is not None and abs(value - self.run.segmentation.threshold) > 1e-6:
            self._guarded(self.run.redraw, threshold=value)
            self._show_lesions()

    def _on_rule(self, rule: str) -> None:
        if self.run is not None and rule and rule != self.run.mtv_rule:
            self._guarded(self.run.redraw, mtv_rule=rule)
            self._show_lesions()

    def _on_kept(self, number: int, kept: bool) -> None:
        self._guarded(self.run.keep, number, kept)
        self._show_totals()

    def _on_lesion(self, number: int) -> None:
        slicer.modules.markups.logic().JumpSlicesToLocation(*logic.centre_ras(self.run, number), True)

    def _on_remove(self, _checked=False) -> None:
        self._guarded(self.run.remove)
        self.run = None
        self._show_run()

    def _on_copy(self, _checked=False) -> None:
        from ..results import as_text

        qt.QApplication.clipboard().setText(as_text(self.run.lesions))
        self._say(_("The table is in the clipboard."))

    def _on_export(self, _checked=False) -> None:
        self._guarded(self._export)

    def _export(self) -> None:
        chosen, into_database = self.ui.exportPathEdit.currentPath, self.ui.intoDatabaseCheckBox.checked
        if not chosen and not into_database:
            raise PemmaError("no-folder", "no place for the DICOM-SEG is chosen", "choose a folder, or tick the database")
        path = logic.export_seg(self.run, Path(chosen or slicer.app.temporaryPath), into_database=into_database)
        self._say(_("Written: {name}").format(name=path.name))

    def _guess(self) -> None:
        """Fills empty selectors with the best guess."""
        if self.chosen.ct is None and self.chosen.pet is None:
            self.chosen.ct, self.chosen.pet = studies.guess(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))

    def _pick_up(self) -> None:
        """The result of a scene that was saved; one that has lost a part is told, not hidden."""
        node = self.chosen.result
        if node is not None and node.GetAttribute(runs.RECORD):
            self._guarded(self._restore, node)

    def _restore(self, node) -> None:
        ct, pet = node.GetNodeReference(runs.CT), node.GetNodeReference(runs.PET)
        typed = parameters.typed_of(self.chosen)
        self.run = runs.restore(node, studies.read_study(ct, pet, typed=typed, pet_is_suv=self.chosen.petIsSuv))

    def _stop_run(self) -> None:
        if self._asked is not None:
            self.worker.cancel(self._asked.id)
            self._asked = None
            self._show_idle()

    def _guarded(self, act, *arguments, **named) -> None:
        """Does it, and says in the panel what the user can act on; anything else is a fault and goes up."""
        try:
            act(*arguments, **named)
        except PemmaError as error:
            self._say_error(error)

    def _say(self, words: str) -> None:
        self.ui.messageLabel.text = words

    def _say_error(self, error: PemmaError | Error) -> None:
        place = f" [{error.place}]" if error.place else ""
        way_out = f" – {error.way_out}" if error.way_out else ""
        self._say(f"{error.sentence[:1].upper()}{error.sentence[1:]}{place}{way_out}")
        if getattr(error, "details", ""):
            self.ui.detailsText.appendPlainText(error.details)

    def _show_progress(self, event: Progress) -> None:
        self.ui.progressBar.value = round(100 * event.fraction)
        passed = time.monotonic() - self._asked.started
        left = passed * (1 - event.fraction) / event.fraction if event.fraction > 0.2 else None
        words = _("{words}, about {seconds} s left").format(words=event.words, seconds=f"{left:.0f}") if left else event.words
        self.ui.progressLabel.text = words

    def _show_busy(self) -> None:
        self.ui.segmentButton.text = _("Cancel")
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = True
        self.ui.progressLabel.text = _("starting")

    def _show_cancelling(self) -> None:
        self.ui.segmentButton.enabled = False
        self.ui.progressLabel.text = _("cancelling")

    def _show_idle(self) -> None:
        self.ui.segmentButton.text = _("Segment")
        self.ui.segmentButton.enabled = True
        self.ui.progressBar.visible = False
        self.ui.progressLabel.text = ""

    def _show_run(self) -> None:
        if self.run is not None:
            was_blocked = self.ui.thresholdSlider.blockSignals(True)
            self.ui.thresholdSlider.value = self.run.segmentation.threshold
            self.ui.thresholdSlider.blockSignals(was_blocked)
        for widget in (self.ui.thresholdSlider, self.ui.removeButton, self.ui.copyButton, self.ui.lesionTable):
            widget.enabled = self.run is not None
        self._show_lesions()

    def _show_lesions(self) -> None:
        lesions, rule = (self.run.lesions, self.run.mtv_rule) if self.run is not None else ([], "41%")
        self._lesions.fill(lesions, rule)
        self._show_totals()

    def _show_totals(self) -> None:
        template = _("Kept: {number}. Contours {volume} ml, MTV {mtv} ml, TLG {tlg} g.")
        self.ui.totalsLabel.text = in_words(self.run.lesions, template) if self.run is not None else ""
        reason = logic.why_not_export(self.run)
        self.ui.exportButton.enabled = not reason
        self.ui.exportLabel.text = _("Not possible: {reason}").format(reason=reason) if reason else ""

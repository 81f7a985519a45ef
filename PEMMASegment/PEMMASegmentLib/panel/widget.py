"""The panel: what its buttons do, and the background process behind them, asked ten times a second. Never blocks."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..study.types import PetCtStudy
from ..worker.client import Worker
from ..worker.events import Ended, Error, LogLine, Progress, Result
from . import logic, packages, parameters, polling, runs, told, view, words
from .adapt_section import AdaptSection
from .export_section import ExportSection
from .host import Host
from .lesion_section import LesionSection
from .remaining import Remaining
from .result_section import ResultSection
from .run import Run
from .segment_section import SegmentSection
from .setup_section import SetupSection
from .study_section import StudySection
from .view_section import ViewSection

POLL_MS = 100


@dataclass(frozen=True)
class _Asked:
    """A segmentation under way: node IDs, because nodes may go meanwhile."""

    id: int
    study: PetCtStudy
    ct_id: str | None
    pet_id: str | None
    started: float
    remaining: Remaining
    options: Mapping[str, Any]
    typed: Mapping[str, Any]


class Panel:
    """Connects the widgets of PEMMASegment.ui. `chosen` is the parameter node, given and taken by `use`."""

    def __init__(self, ui, parent, resource_path: Callable[[str], str]):
        self.ui = ui
        self.worker = Worker(temporary=Path(slicer.app.temporaryPath))
        self.chosen: parameters.Parameters | None = None
        self._asked: _Asked | None = None
        self._passing = ""  # what was said last of how far a request is
        self._bound: parameters.Parameters | None = None
        self._binding = None
        export = ExportSection(ui, self._guarded, self._say)
        self._lesions = LesionSection(ui, parent, self._guarded, self._say, export.follow)
        self._timer = polling.timer(parent, self.poll, POLL_MS)
        self._answers: dict[int, tuple[Callable, Callable | None]] = {}
        self._study_section = StudySection(ui, self._say, lambda: self._adapt_section.another_study())
        self._view_section = ViewSection(
            ui, self._guarded, self._say, self._study, self._warm_up, lambda: self._adapt_section.clear_comparison()
        )
        self._results = ResultSection(
            ui, self._lesions, self._study_section, self._view_section, self._guarded, self._say,
            lambda node: self._adapt_section.use_contour(node),
        )  # fmt: skip
        self._segment_section = SegmentSection(ui, self._guarded)
        self._setup_section = SetupSection(ui, self._ask, self._guarded, self._say, self._segment_section.refill)
        self._adapt_section = AdaptSection(self._host(parent, resource_path))
        ui.segmentButton.connect("clicked(bool)", self._on_segment)
        ui.studyButton.connect("clicked(bool)", self._on_check_study)
        self._show_idle()
        self._setup_section.show()

    @property
    def run(self) -> Run | None:
        """The result that is shown."""
        return self._lesions.run

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """Shows the choices of a parameter node, and the result that it names; None before a scene closes."""
        self.chosen = chosen
        self._results.use(chosen)
        self._study_section.forget()
        if chosen is not None:
            self._bind(chosen)
            self._study_section.use(chosen)
            self._results.pick_up()
        self._segment_section.use(chosen)
        self._adapt_section.use(chosen)

    def look_for_volumes(self) -> None:
        """Chooses CT and PET that were loaded since the last look, where none is chosen."""
        self._study_section.guess(self.chosen)
        self._results.pick_up()

    def _bind(self, chosen: "parameters.Parameters") -> None:
        """Ties widgets and node. Once for each node: a scene that closes keeps it, and a second tie would fight the first."""
        if self._bound is None or self._bound.parameterNode is not chosen.parameterNode:
            self._unbind()
            every = ((widget.property("SlicerParameterName"), widget) for widget in vars(self.ui).values())
            bound = {name: widget for name, widget in every if name}
            self._bound, self._binding = chosen, chosen.connectParametersToGui(bound)  # connectGui can't be undone

    def _unbind(self) -> None:
        if self._bound is not None:
            self._bound.disconnectGui(self._binding)
        self._bound = None

    def close_scene(self) -> None:
        """Stops what is under way: its volumes go."""
        self._stop_run()
        self._view_section.forget()
        self.use(None)
        self._say("")

    def close(self) -> None:
        """Ends the background process; the panel is not used any more."""
        self._timer.stop()
        self.use(None)
        self._unbind()
        self._asked = None
        self._answers.clear()
        self._adapt_section.close()
        self.worker.stop()

    def poll(self) -> None:
        """Takes in what the background process has to tell."""
        polling.take_in(self.worker, self._take, self._timer)

    def _take(self, event) -> None:
        asked = self._asked
        if isinstance(event, LogLine):
            self.ui.detailsText.appendPlainText(event.text)
        elif isinstance(event, Ended) and event.error is not None:
            self._say_error(event.error)
        elif getattr(event, "id", None) in self._answers:
            self._answer(event)
        elif asked is None or getattr(event, "id", None) != asked.id:
            return
        elif isinstance(event, Progress):
            self._show_progress(event)
        elif isinstance(event, Result | Error):
            self._asked = None
            self._show_idle()
            self._not_segmented(asked, event) if isinstance(event, Error) else self._guarded(self._finish, asked, event)

    def _ask(self, do: str, on_answer: Callable, *, on_error: Callable | None = None, quiet: bool = False, **fields) -> None:
        """Asks the background process for something else than a segmentation; on_answer(Result) is called later."""
        if not quiet:
            self._say("")
        self._answers[self.worker.request(do, **fields)] = on_answer, on_error
        self._timer.start()

    def _warm_up(self) -> None:
        """Loads torch and the model while the user looks at the study; what comes of it shows at the first run."""
        if not self.worker.running and not packages.missing():
            self.worker.request("load_model", model=self.chosen.model or None)
            self._timer.start()

    def _answer(self, event) -> None:
        if isinstance(event, Progress):
            self._say_in_passing(event.words)
            return
        on_answer, on_error = self._answers.pop(event.id)
        if isinstance(event, Result):
            self._say_in_passing("")
            self._guarded(on_answer, event)
        else:
            self._say_error(event)
            if on_error is not None:
                on_error(event)

    def _finish(self, asked: _Asked, answer: Result) -> None:
        ct, pet = (slicer.mrmlScene.GetNodeByID(i) if i else None for i in (asked.ct_id, asked.pet_id))
        if (pet if asked.study.ct is None else ct) is None:  # the one on whose grid the result lies
            raise PemmaError("volumes-gone", "the volumes were removed while they were segmented", "load them again")
        options = {**asked.options, "mtv_rule": self.chosen.mtvRule}
        run = logic.show_result(asked.study, answer, ct, pet, options, asked.typed)
        seconds = time.monotonic() - asked.started
        view.see_through(run.node)
        notes = told.notes(answer, asked.study, options)
        runs.keep_notes(run.node, notes)
        lines = [told.found(len(run.lesions), seconds), *told.looked_at(run), *notes]
        if self._results.add(run):
            self._guarded(self._view_section.show_once, ct, pet, asked.study)
            if run.lesions:  # the largest: nobody should have to look for what was found
                view.jump_to(logic.centre_ras(run, run.lesions[0].number))
        else:
            lines.append(_("It is not of what is chosen now: it waits under Result (Lesions)."))
        self._say("\n".join(lines))

    def _on_segment(self, _checked=False) -> None:
        if self._asked is not None:
            self.worker.cancel(self._asked.id)
            self._show_cancelling()
        else:
            self._guarded(self._start)

    def _start(self) -> None:
        self._say("")
        if packages.missing():
            self._setup_section.install()
        study = self._study()
        options = parameters.options_of(self.chosen)
        fields = logic.request_fields(study, self._private_folder(), options)
        id = self.worker.request("segment", **fields)
        self._adapt_section.run_begins()
        typed = parameters.given(self.chosen)
        self._asked = _Asked(id, study, *self._chosen_ids(), time.monotonic(), Remaining(time.monotonic), options, typed)
        self._show_busy()
        self._timer.start()

    def _chosen_ids(self) -> tuple[str | None, str | None]:
        ct, pet = (node.GetID() if node is not None else None for node in (self.chosen.ct, self.chosen.pet))
        return ct, pet

    def _host(self, parent, resource_path: Callable[[str], str]) -> Host:
        """What a section of its own may ask of the panel."""
        return Host(
            self.ui, parent, resource_path, self._ask, self._guarded, self._say, self._say_error, self._private_folder,
            self._study, lambda: self._segment_section.model, self._segment_section.refill, self._view_section.forget,
        )  # fmt: skip

    def _private_folder(self, worker: Worker | None = None) -> Path:
        try:
            return (worker or self.worker).private_folder()
        except OSError as error:
            words = error.strerror or type(error).__name__
            way_out = "free some space on the disk of the temporary folder"
            raise PemmaError("cannot-write", f"no temporary folder can be made: {words}", way_out) from error

    def _study(self) -> PetCtStudy:
        return self._study_section.read(self.chosen)

    def _on_check_study(self, _checked=False) -> None:
        self._say("")
        self._guarded(self._study)
        self._results.pick_up()

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

    def _say_in_passing(self, words: str) -> None:
        """How far a request is: what else was said meanwhile, such as a result's warnings, stays to be read."""
        if self.ui.messageLabel.text in ("", self._passing):
            self._passing = words
            self._say(words)

    def _not_segmented(self, asked: _Asked, error: Error) -> None:
        """A study that reaches too far can be segmented in a box, which nothing else takes, and no other study."""
        if error.code != "outside-region":
            self._say_error(error)
            return
        if (asked.ct_id, asked.pet_id) != self._chosen_ids():
            self._say_error(error, words.CHOOSE_AGAIN)
            return
        self._say_error(error, words.MOVE_THE_BOX)
        if self.chosen.roi is None:
            self._segment_section.ask_for_region()

    def _say_error(self, error: PemmaError | Error, advice: str = "") -> None:
        place = f" [{words.in_panel(error.place)}]" if error.place else ""
        advice = advice or words.way_out(error.code, error.way_out)
        way_out = f" – {advice}" if advice else ""
        sentence = words.in_panel(error.sentence)
        self._say(f"{sentence[:1].upper()}{sentence[1:]}{place}{way_out}")
        if getattr(error, "details", ""):
            self.ui.detailsText.appendPlainText(error.details)

    def _show_progress(self, event: Progress) -> None:
        self.ui.progressBar.value = round(100 * event.fraction)
        left = self._asked.remaining.seconds(event.fraction)
        template = _("{words}, about {seconds} s left")
        self.ui.progressLabel.text = template.format(words=event.words, seconds=f"{left:.0f}") if left else event.words

    def _show_busy(self) -> None:
        words.rename(self.ui.segmentButton, _("Cancel"))
        self.ui.progressBar.value = 0
        self.ui.progressBar.visible = self.ui.progressLabel.visible = True
        self.ui.progressLabel.text = _("starting")

    def _show_cancelling(self) -> None:
        self.ui.segmentButton.enabled = False
        self.ui.progressLabel.text = _("cancelling")

    def _show_idle(self) -> None:
        words.rename(self.ui.segmentButton, _("Segment"))
        self.ui.segmentButton.enabled = True
        self.ui.progressBar.visible = self.ui.progressLabel.visible = False
        self.ui.progressLabel.text = ""

"""Training and proof in a background process of their own, so that Segment works meanwhile: start, progress, stop, go on."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..worker.client import Worker
from ..worker.events import Ended, Error, Event, LogLine, Progress, Result
from . import adapt_places, parameters, polling
from .adapt_methods import EFFORTS, METHODS, UNTRAINED, UPDATES, in_words
from .adapt_plot import Plot
from .host import Host
from .words import in_panel

POLL_MS, SETTLED_MS = 100, 500


@dataclass
class _Asked:
    """A training under way. id: None while the process still finds out how long it takes. there: `out` can be used.

    fields: of the request. steps, losses: of the `part` that is trained now.
    """

    id: int | None
    out: Path
    fields: dict
    there: bool = False
    part: str = ""
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class Training:
    """library(): its folder. cases(): the cards of its cases. on_there(out): the adapter can be used, its proof begins.

    on_done(out, record): all is done; files of the held-out cases' labels stay until the next one starts.
    on_stopped(out, there): stopped, by the user or a fault; the same request goes on.
    """

    def __init__(self, ui, host: Host, library: Callable[[], Path], cases: Callable[[], list[dict]], on_there: Callable,
                 on_done: Callable, on_stopped: Callable):  # fmt: skip
        self._ui, self._host, self._library, self._cases = ui, host, library, cases
        self._on_there, self._on_done, self._on_stopped = on_there, on_done, on_stopped
        self._chosen: parameters.Parameters | None = None
        self._asked: _Asked | None = None
        self._estimating: int | None = None
        self._estimated: dict = {}
        self._kept: Path | None = None
        self.worker = Worker(temporary=Path(slicer.app.temporaryPath))
        self.plot = Plot(ui.adaptPlotFrame)
        self._timer = polling.timer(host.parent, self.poll, POLL_MS)
        self._settled = polling.timer(host.parent, self._estimate, SETTLED_MS, once=True)
        _fill(ui.methodComboBox, [title for title, _words in METHODS.values()])
        _fill(ui.effortComboBox, list(EFFORTS.values()))
        ui.methodComboBox.connect("currentIndexChanged(int)", self.look)
        ui.effortComboBox.connect("currentIndexChanged(int)", self.look)
        ui.minutesSpinBox.connect("valueChanged(double)", self.look)
        ui.adaptButton.connect("clicked(bool)", self._on_button)
        self._show_idle()
        self.look()

    @property
    def out(self) -> Path | None:
        """The adapter folder that is being made."""
        return self._asked.out if self._asked is not None else None

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """The scene's choices; a training goes on when a scene closes, it needs none."""
        self._chosen = chosen
        if chosen is None:
            self.plot.clear()

    def look(self, _changed=None) -> None:
        """Tells in words what would be trained; how long it takes is found out a moment later."""
        self._ui.effortComboBox.enabled = self._method not in UNTRAINED
        self._ui.minutesSpinBox.enabled = self._effort == "minutes" and self._method in UPDATES
        self._ui.estimateLabel.text = f"{METHODS[self._method][0]}: {METHODS[self._method][1]}."
        self._ui.adaptButton.enabled = self._asked is not None or bool(self._cases())
        if self._cases() and self._asked is None:
            self._settled.start()

    def stop(self) -> None:
        """Asks the process to stop at its next step; `on_stopped` follows."""
        if self._asked is not None and self._asked.id is None:
            self._end(self._asked)
        elif self._asked is not None:
            self.worker.cancel(self._asked.id)
            self._ui.adaptButton.enabled = False
            self._ui.adaptProgressLabel.text = _("stopping")

    def close(self) -> None:
        """Ends the process; what was trained so far can go on another time."""
        self._timer.stop()
        self._settled.stop()
        self._asked = None
        self.worker.stop()

    def poll(self) -> None:
        """Takes in what the process has to tell."""
        polling.take_in(self.worker, self._take, self._timer)

    @property
    def _method(self) -> str:
        return list(METHODS)[max(self._ui.methodComboBox.currentIndex, 0)]

    @property
    def _effort(self) -> str:
        return list(EFFORTS)[max(self._ui.effortComboBox.currentIndex, 0)]

    def _fields(self) -> dict:
        """Of the request, by the command line's names. Raises PemmaError "no-library"."""
        chosen, effort = self._chosen, self._effort
        how_long = {"effort": effort}
        if effort == "minutes":
            how_long = {"minutes": self._ui.minutesSpinBox.value} if self._method in UPDATES else {}
        return {
            "library": self._library(), "method": self._method, **how_long, "model": chosen.model or None,
            "inputs": chosen.inputs, "device": chosen.device, "whole_study": chosen.wholeStudy,
        }  # fmt: skip

    def _of_cases(self, fields: dict) -> dict:
        """The choices with the cases that they are for."""
        return fields | {"cases": [card["sha256"] for card in self._cases()]}

    def _estimate(self) -> None:
        if self._asked is None and self._estimating is None and self._chosen is not None and self._cases():
            fields = self._fields()
            self._estimated = self._of_cases(fields)
            self._estimating = self.worker.request("adapt", action="estimate", **fields)
            self._timer.start()

    def _on_button(self, _checked=False) -> None:
        self.stop() if self._asked is not None else self._host.guarded(self._start)

    def _start(self) -> None:
        self._host.say("")
        self._settled.stop()
        fields = self._fields()
        self._asked = _Asked(None, self._out(fields), fields)
        self._show_busy()
        if self._estimating is not None:
            self.worker.cancel(self._estimating)  # which may end the process; its answer lets the training begin
        else:
            self._begin()

    def _begin(self) -> None:
        """Sends the request; without a place for its files it has ended already."""
        self._host.guarded(self._request)
        if self._asked.id is None:
            self._end(self._asked)

    def _request(self) -> None:
        asked = self._asked
        folder = self._host.private_folder(worker=self.worker)
        self._forget_labels()
        asked.id = self.worker.request("adapt", folder=folder, out=asked.out, name=asked.out.name, **asked.fields)
        self._timer.start()

    def _out(self, fields: dict) -> Path:
        """The folder for the adapter of this request. Raises PemmaError, see `adapt_places.take`."""
        model, cases = self._host.model(), self._cases()
        run = adapt_places.run_of(fields, model.sha256 if model is not None else "", cases)
        return adapt_places.take(self._ui.adaptNameEdit.text.strip(), f"{self._method}-{len(cases)}-cases", run)

    def _take(self, event: Event) -> None:
        id = getattr(event, "id", None)
        if isinstance(event, LogLine):
            self._host.ui.detailsText.appendPlainText(event.text)
        elif isinstance(event, Ended) and event.error is not None:
            self._host.say_error(event.error)
        elif id is None:
            return
        elif id == self._estimating:
            self._take_estimate(event)
        elif self._asked is not None and id == self._asked.id:
            self._take_training(event)

    def _take_estimate(self, event: Event) -> None:
        if not isinstance(event, Result | Error):
            return
        self._estimating = None
        if self._asked is not None:
            self._begin()
        elif self._chosen is None or not self._cases() or self._estimated != self._of_cases(self._fields()):
            self.look()  # changed meanwhile
        elif isinstance(event, Result):
            lost = [_("Mind: {sentence}.").format(sentence=sentence) for sentence in event.fields["left_out"]]
            self._ui.estimateLabel.text += " " + " ".join([in_words(event.fields, self._method), *lost])
        else:
            self._ui.estimateLabel.text += f" {in_panel(event.sentence)}."

    def _take_training(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._show_progress(event)
            return
        asked = self._asked
        if isinstance(event, Error):
            self._host.say_error(event)
            self._end(asked)
            return
        self._asked = None
        self._show_idle()
        self._on_done(asked.out, {**event.fields, "held_out": self._keep_labels(event)})

    def _end(self, asked: _Asked) -> None:
        """It came to nothing, for now."""
        self._asked = None
        self._show_idle()
        self._on_stopped(asked.out, asked.there)

    def _show_progress(self, event: Progress) -> None:
        asked = self._asked
        self._ui.adaptProgressBar.value = round(100 * event.fraction)
        self._ui.adaptProgressLabel.text = event.words
        if event.loss is not None:
            self._draw(event.part, event.step, event.loss)
        if event.there and not asked.there:
            asked.there = True
            self._on_there(asked.out)

    def _draw(self, part: str, step: int, loss: float) -> None:
        asked = self._asked
        if part != asked.part or asked.steps and step <= asked.steps[-1]:
            asked.part, asked.steps, asked.losses = part, [], []
        asked.steps.append(step)
        asked.losses.append(loss)
        if len(asked.steps) > 1:  # one point is no line
            self.plot.show_loss(asked.steps, asked.losses, part)

    def _keep_labels(self, answer: Result) -> dict[str, dict[str, Path]]:
        """Keeps the held-out cases' labels where the answer has them; nothing is written, the disk may be full."""
        self.worker.keep(answer.folder)
        self._kept, files = answer.folder, answer.fields.get("held_out") or {}
        return {case: {when: answer.folder / name for when, name in names.items()} for case, names in files.items()}

    def _forget_labels(self) -> None:
        if self._kept is not None:
            shutil.rmtree(self._kept, ignore_errors=True)
        self._kept = None

    def _show_busy(self) -> None:
        self._ui.adaptButton.text = _("Stop")
        self._ui.adaptButton.enabled = True
        self._ui.adaptProgressBar.value = 0
        self._ui.adaptProgressBar.visible = True
        self._ui.adaptProgressLabel.text = _("starting")

    def _show_idle(self) -> None:
        self._ui.adaptButton.text = _("Train an adapter")
        self._ui.adaptButton.enabled = bool(self._cases())
        self._ui.adaptProgressBar.visible = False
        self._ui.adaptProgressLabel.text = ""


def _fill(box, titles: list[str]) -> None:
    box.clear()
    box.addItems(titles)

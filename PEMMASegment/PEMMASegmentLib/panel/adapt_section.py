"""The section Adapt locally: cases of the site, a small adapter trained and proved on them, which adapter is in use.

Its widgets are made when it is first opened, so that they cost nobody else time.
"""

import shutil
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..core.folders import unfinished_folder, work_held
from . import library, parameters
from .adapt_adapters import AdapterList
from .adapt_cases import CaseList
from .adapt_proof import ProofSection, confirm, no_adapter
from .adapt_training import Training
from .host import Host


class AdaptSection:
    """The section's place in the panel. `inside` is None until it is opened for the first time."""

    def __init__(self, host: Host):
        self._host = host
        self._chosen: parameters.Parameters | None = None
        self.inside: AdaptLocally | None = None
        host.ui.adaptSection.connect("contentsCollapsed(bool)", self._on_folded)

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """Shows the choices of a parameter node; None before a scene closes."""
        self._chosen = chosen
        if self.inside is not None:
            self.inside.use(chosen)

    def run_begins(self) -> None:
        """The result that comes of it will be the contour to add, unless another is chosen meanwhile."""
        if self.inside is not None:
            self.inside.cases.await_contour()

    def use_contour(self, segmentation_node) -> None:
        """The result that is shown: the contour to add, until another is chosen."""
        if self.inside is not None:
            self.inside.cases.use_contour(segmentation_node)

    def another_study(self) -> None:
        """Another CT or PET is chosen: what was said of a case was of the former one."""
        if self.inside is not None:
            self.inside.cases.forget()

    def clear_comparison(self) -> None:
        """Takes a held-out case out of the views, which show something else from now on."""
        if self.inside is not None:
            self.inside.proof.clear_comparison()

    def close(self) -> None:
        """The panel is not used any more."""
        if self.inside is not None:
            self.inside.close()

    def _on_folded(self, folded: bool) -> None:
        if folded:
            self.clear_comparison()
            return
        if self.inside is None:
            widget = slicer.util.loadUI(self._host.resource_path("UI/AdaptLocally.ui"))
            self._host.ui.adaptSection.layout().addWidget(widget)
            widget.setMRMLScene(slicer.mrmlScene)
            self.inside = AdaptLocally(slicer.util.childWidgetVariables(widget), self._host)
            self.inside.use(self._chosen)
        self._host.guarded(self.inside.cases.refresh)


class AdaptLocally:
    """The parts of the section, and what they do to each other. ui: the widgets of AdaptLocally.ui."""

    def __init__(self, ui, host: Host):
        self.ui, self._host = ui, host
        self._chosen: parameters.Parameters | None = None
        self._discarding: Path | None = None
        self.training: Training | None = None
        self.cases = CaseList(ui, host, self._on_cases)
        self.training = Training(
            ui, host, lambda: self.cases.library, lambda: self.cases.cards, self._on_there, self._on_done, self._on_stopped
        )
        self.proof = ProofSection(
            ui, host, self.training.plot, lambda: self.cases.library, self._use_folder, self._keep, self._discard
        )
        self.adapters = AdapterList(ui, host, self._use_row, lambda: self.training.out, self._on_moved)
        ui.baseButton.connect("clicked(bool)", self._on_base)
        for signal in ("activated(int)", "currentIndexChanged(int)"):
            host.ui.adapterComboBox.connect(signal, self._show_in_use)
        self._show_in_use()

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """As `AdaptSection.use`."""
        self._chosen = chosen
        if chosen is None:
            self.proof.clear_comparison()
        self.cases.use(chosen)
        self.training.use(chosen)
        self._show_in_use()

    def close(self) -> None:
        """Ends the background process of the training."""
        self.cases.close()
        self.training.close()

    def _on_cases(self) -> None:
        if self.training is not None:
            self.training.look()

    def _on_there(self, out: Path) -> None:
        self.proof.show_there(out)
        self.adapters.refresh(_("The adapter {name} is there; its proof runs.").format(name=out.name))

    def _on_done(self, out: Path, record: dict) -> None:
        if self._discarding == out:  # the answer was under way already
            self._host.guarded(self._throw_away, out)
            return
        self.proof.show(out, record)
        self.adapters.refresh(_("The proof of {name} is done: {verdict}.").format(name=out.name, verdict=record["verdict"]))

    def _on_stopped(self, out: Path, there: bool) -> None:
        if self._discarding == out:
            self._host.guarded(self._throw_away, out)
        else:
            self.proof.show_stopped(out, there)
            self._host.refill()

    def _keep(self, out: Path) -> None:
        words = _("{name} is kept among your adapters. It is off.")
        if self._in_use == str(out):
            words = _("{name} is kept among your adapters. It is in use.")
        self._host.say(words.format(name=out.name))
        self.proof.clear()

    def _discard(self, out: Path) -> None:
        """Stops what is under way and deletes the adapter; the cases stay."""
        question = _("Delete the adapter {name}? The cases stay.").format(name=out.name)
        if not slicer.util.confirmOkCancelDisplay(question, "PEMMASegment"):
            return
        if self.training.out == out:
            self._discarding = out
            self.training.stop()
        else:
            self._throw_away(out)

    def _throw_away(self, out: Path) -> None:
        self._discarding = None
        with work_held(out) as ours:
            if not ours:
                raise PemmaError("adapter-busy", "another run is at work on this adapter", "stop it first, or wait")
            shutil.rmtree(unfinished_folder(out), ignore_errors=True)
        self.proof.clear()
        if out.is_dir():
            self.adapters.delete(out, _("Discarded: {name}.").format(name=out.name))
        else:
            self._host.say(_("Discarded: {name}.").format(name=out.name))

    def _use_folder(self, out: Path) -> None:
        found = library.named(str(out))
        if not found.sound:
            raise no_adapter()
        verdict, sentence = library.verdict_of(out)
        self._switch_on(found, verdict, sentence)

    def _use_row(self, row: dict) -> None:
        self._use_folder(Path(row["folder"]))

    def _switch_on(self, adapter: library.Installed, verdict: str, sentence: str) -> None:
        """Only ever after a click, and a second one where nothing is proved."""
        model = self._host.model()
        if model is None or adapter.sha256 != model.sha256:
            raise PemmaError("adapter-base", f"{adapter.name} was made for another model", "choose its model first")
        if confirm(adapter.name, verdict, sentence):
            self.proof.clear_comparison()
            self._choose(str(adapter.folder))
            self._host.say(_("{name} is in use from the next Segment on.").format(name=adapter.name))

    def _on_base(self, _checked=False) -> None:
        self._choose("")
        self._host.say(_("The base model is in use, without an adapter."))

    def _choose(self, folder: str) -> None:
        self._chosen.adapter = folder
        self._host.refill()
        self._show_in_use()

    def _on_moved(self, old: str, new: str) -> None:
        self.proof.moved(old, new)
        if self._in_use == old:
            self._choose(new)

    @property
    def _in_use(self) -> str:
        """The folder of the adapter, "" for none."""
        return self._chosen.adapter if self._chosen is not None else ""

    def _show_in_use(self, _at=None) -> None:
        folder = self._in_use
        name = library.named(folder).title if folder else _("none, the base model")
        self.ui.inUseLabel.text = _("Adapter in use: {name}").format(name=name)
        self.ui.baseButton.enabled = bool(folder)

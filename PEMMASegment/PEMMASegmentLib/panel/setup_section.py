"""The section Setup and models: what is missing and its installation, the models with their cards, the system's check."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..worker.events import Error, Result
from . import files, library, packages


class SetupSection:
    """ask(do, on_answer, **fields): a request to the background process. guarded(act, *arguments): does it and says
    errors in the panel. say(words). on_models(): the models have changed.
    """

    def __init__(self, ui, ask: Callable, guarded: Callable, say: Callable[[str], None], on_models: Callable[[], None]):
        self._ui, self._ask, self._guarded, self._say, self._on_models = ui, ask, guarded, say, on_models
        self._models: list[library.Installed] = []
        ui.setupSection.connect("contentsCollapsed(bool)", self._on_folded)
        ui.installButton.connect("clicked(bool)", self._on_install)
        ui.libraryComboBox.connect("currentIndexChanged(int)", self._on_model)
        ui.importButton.connect("clicked(bool)", self._on_import)
        ui.verifyButton.connect("clicked(bool)", self._on_verify)
        ui.deleteModelButton.connect("clicked(bool)", self._on_delete)
        ui.checkButton.connect("clicked(bool)", self._on_check)
        ui.copyReportButton.connect("clicked(bool)", self._on_copy)
        ui.copyReportButton.enabled = False

    def show(self) -> None:
        """What is missing; opens the section when something is."""
        if self.show_packages():
            self._ui.setupSection.collapsed = False

    def show_packages(self) -> list:
        """Says what is missing, and returns it."""
        wanted = packages.missing()
        self._ui.packagesLabel.text = packages.in_words(wanted)
        self._ui.installButton.enabled = bool(wanted)
        return wanted

    def show_models(self) -> None:
        """Lists the models anew."""
        self._models = library.models()
        self._ui.libraryComboBox.clear()
        for model in self._models:
            self._ui.libraryComboBox.addItem(model.title + ("" if model.own else _(" (bundled)")))
        self._on_models()

    def install(self) -> None:
        """Asks and installs what is missing. Raises PemmaError."""
        source = packages.Source(
            self._ui.wheelsPathEdit.currentPath, self._ui.proxyEdit.text.strip(), self._ui.certificatePathEdit.currentPath
        )
        try:
            packages.install(packages.missing(), source)
        finally:
            self.show_packages()

    def _on_folded(self, folded: bool) -> None:
        if not folded:
            self.show_packages()
            self.show_models()

    def _on_install(self, _checked=False) -> None:
        self._say("")
        self._guarded(self.install)

    def _on_model(self, at: int) -> None:
        model = self._model(at)
        self._ui.cardText.setMarkdown(model.words if model is not None else "")
        self._ui.deleteModelButton.enabled = model is not None and model.own
        self._ui.verifyButton.enabled = model is not None

    def _model(self, at: int) -> library.Installed | None:
        return self._models[at] if 0 <= at < len(self._models) else None

    def _on_import(self, _checked=False) -> None:
        source = files.to_import(self._ui.setupSection, _("Import a model"), "model.json")
        if source is not None:
            self._ask("models", self._imported, action="import", source=str(source))

    def _imported(self, answer: Result) -> None:
        self.show_models()
        self._say(_("Imported: {name} {version}.").format(**_naming(answer)))

    def _on_verify(self, _checked=False) -> None:
        model = self._model(self._ui.libraryComboBox.currentIndex)
        self._ask("models", self._verified, action="check", source=str(model.folder))

    def _verified(self, answer: Result) -> None:
        words = _("{name} {version}: the weights are those that the card states (sha256 {hash}).")
        self._say(words.format(**_naming(answer), hash=answer.fields["sha256"][:12]))

    def _on_delete(self, _checked=False) -> None:
        model = self._model(self._ui.libraryComboBox.currentIndex)
        question = _("Delete the model {name} from this computer?").format(name=model.title)
        if slicer.util.confirmOkCancelDisplay(question, "PEMMASegment"):
            self._ask("models", self._deleted, action="remove", source=str(model.folder))

    def _deleted(self, answer: Result) -> None:
        self.show_models()
        self._say(_("Removed: {name}.").format(name=answer.fields["name"]))

    def _on_check(self, _checked=False) -> None:
        self._ui.reportText.setPlainText(_("Checking. The bundled patient is segmented, this takes a while."))
        self._ui.checkButton.enabled = False
        self._ask("check_system", self._checked, on_error=self._failed, device=self._ui.deviceComboBox.currentText)

    def _checked(self, answer: Result) -> None:
        rows = [["Slicer", slicer.app.applicationVersion], *answer.fields["report"]]
        agrees = answer.fields["agrees"]
        self._report([*rows, [_("verdict"), _VERDICTS[agrees]]])
        self._say(_VERDICTS[agrees])

    def _failed(self, error: Error) -> None:
        rows = [["Slicer", slicer.app.applicationVersion], [_("packages"), self._ui.packagesLabel.text]]
        self._report([*rows, [_("verdict"), f"{error.sentence} [{error.code}]"]])

    def _report(self, rows: list[list[str]]) -> None:
        self._ui.reportText.setPlainText("\n".join(f"{what}: {value}" for what, value in rows))
        self._ui.checkButton.enabled = True
        self._ui.copyReportButton.enabled = True

    def _on_copy(self, _checked=False) -> None:
        qt.QApplication.clipboard().setText(self._ui.reportText.toPlainText())
        self._say(_("The report is in the clipboard."))


_VERDICTS = {
    True: _("Everything works: the bundled patient gives the expected figures."),
    False: _("The bundled patient gives other figures than expected: do not use results of this computer, report it."),
    None: _("It runs, but there are no expected figures for this model."),
}


def _naming(answer: Result) -> dict[str, str]:
    return {"name": answer.fields["name"], "version": answer.fields["version"]}


"""The section Segment: which model and adapter, which region."""

from collections.abc import Callable
from pathlib import Path

from slicer.i18n import tr as _

from ..core import PemmaError
from . import library, parameters, regions
from .adapt_proof import NO_PROOF, confirm

LONGEST_MM = 300.0  # of a region when the model does not say what it knows


class SegmentSection:
    """guarded(act, *arguments): does it and says errors in the panel."""

    def __init__(self, ui, guarded: Callable):
        self._ui, self._guarded = ui, guarded
        self._chosen: parameters.Parameters | None = None
        self._models: list[library.Installed] = []
        self._adapters: list[library.Installed] = []
        ui.modelComboBox.connect("activated(int)", self._on_model)
        ui.adapterComboBox.connect("activated(int)", self._on_adapter)
        ui.regionButton.connect("clicked(bool)", self._on_region)
        ui.roiSelector.connect("nodeActivated(vtkMRMLNode*)", self._on_chosen_region)

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """Shows the choices of a parameter node; None before a scene closes."""
        self._chosen = chosen
        if chosen is not None:
            self.refill()

    def refill(self) -> None:
        """Reads anew what is installed; a folder that the scene names is listed although it is not."""
        if self._chosen is None:
            return
        if any(str(one.folder) == self._chosen.model and not one.folder.is_dir() for one in self._models):
            self._chosen.model = ""  # deleted a moment ago; one that a scene brings is listed, and refused when it runs
        self._models = _with(library.models(), self._chosen.model)
        at = _at(self._models, self._chosen.model)
        _fill(self._ui.modelComboBox, [model.title for model in self._models] or [_("no model installed")], at)
        self._refill_adapters()

    @property
    def model(self) -> library.Installed | None:
        """The model that will run."""
        at = self._ui.modelComboBox.currentIndex
        return self._models[at] if 0 <= at < len(self._models) else None

    def ask_for_region(self) -> None:
        """Puts a box into the views, chosen as region. Raises PemmaError without a volume."""
        volume = self._chosen.ct or self._chosen.pet
        if volume is None:
            raise PemmaError("study-empty", "neither a CT nor a PET is chosen", "choose at least one of them")
        known = self.model.longest_mm if self.model is not None else 0.0
        self._chosen.roi = regions.new_region(volume, known or LONGEST_MM)
        self._ui.optionsGroupBox.collapsed = False

    def _refill_adapters(self) -> None:
        sha256 = self.model.sha256 if self.model is not None else ""
        self._adapters = _with(library.adapters(sha256), self._chosen.adapter)
        titles = [_("none"), *map(_with_verdict, self._adapters)]
        at = _at(self._adapters, self._chosen.adapter) + 1 if self._chosen.adapter else 0
        _fill(self._ui.adapterComboBox, titles, at)

    def _on_model(self, at: int) -> None:
        if 0 <= at < len(self._models):
            self._chosen.model = str(self._models[at].folder)
            self._chosen.adapter = ""
            self._refill_adapters()

    def _on_adapter(self, at: int) -> None:
        """As the user chooses: one that is not accepted only after a question, as Use asks it."""
        adapter = self._adapters[at - 1] if at > 0 else None
        if adapter is None:
            self._chosen.adapter = ""
        elif str(adapter.folder) == self._chosen.adapter or confirm(adapter.name, *library.verdict_of(adapter.folder)):
            self._chosen.adapter = str(adapter.folder)
        else:
            self._refill_adapters()

    def _on_chosen_region(self, roi) -> None:
        """One that was put aside is seen again: nothing may be cut off by what nobody sees."""
        if roi is not None:
            regions.show(roi, True)

    def _on_region(self, _checked=False) -> None:
        self._guarded(self.ask_for_region)


def _with_verdict(adapter: library.Installed) -> str:
    verdict, _sentence = library.verdict_of(adapter.folder)
    return f"{adapter.title}: {verdict or NO_PROOF}"


def _with(installed: list[library.Installed], folder: str) -> list[library.Installed]:
    """The list, with the folder that is chosen although it is not installed."""
    if not folder or any(one.folder == Path(folder) for one in installed):
        return installed
    return [*installed, library.named(folder)]


def _at(installed: list[library.Installed], folder: str) -> int:
    return next((at for at, one in enumerate(installed) if one.folder == Path(folder)), 0)


def _fill(box, titles: list[str], at: int) -> None:
    box.clear()
    box.addItems(titles)
    box.setCurrentIndex(at)

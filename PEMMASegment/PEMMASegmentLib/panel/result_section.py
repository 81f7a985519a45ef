"""The result that is shown: beside its own study alone, put away when another is chosen, brought back by the box Result."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from . import parameters, runs, told
from .lesion_section import LesionSection
from .run import RECORD, History, Run
from .study_section import StudySection
from .view_section import ViewSection


class ResultSection(VTKObservationMixin):
    """guarded(act, *arguments): does it and says errors; say(words) tells. use_contour(node): of the result that is shown.

    A result belongs to its CT and PET and to what was typed for them: with others chosen its figures would pass for
    theirs, and an edit would go into the wrong patient's lesions.
    """

    def __init__(self, ui, lesions: LesionSection, study: StudySection, view: ViewSection, guarded: Callable,
                 say: Callable[[str], None], use_contour: Callable):  # fmt: skip
        super().__init__()
        self._ui, self._lesions, self._study, self._view = ui, lesions, study, view
        self._guarded, self._say, self._use_contour = guarded, say, use_contour
        self._chosen: parameters.Parameters | None = None
        self._histories: dict[str, History] = {}  # by node ID, of results that were left
        ui.resultSelector.addAttribute("vtkMRMLSegmentationNode", RECORD)
        ui.resultSelector.connect("nodeActivated(vtkMRMLNode*)", self._on_result)

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """The choices of a scene; its result is shown by `pick_up`. None before the scene closes."""
        self.removeObservers()
        self._leave() if chosen is not None else self._histories.clear()
        self._lesions.show(None)
        self._chosen = chosen
        if chosen is not None:
            self.addObserver(chosen.parameterNode, vtk.vtkCommand.ModifiedEvent, self._on_choices)

    def pick_up(self) -> None:
        """Shows the result that the scene names, when its study is the chosen one; one that has lost a part is told."""
        node = self._chosen.result
        if self._lesions.run is not None or node is None or not node.GetAttribute(RECORD):
            return
        if why := self._why_not(node, runs.typed_for(node)):
            self._lesions.show(None, why)
        else:
            self._choose(node)
            self._guarded(self._restore, node)

    def add(self, run: Run) -> bool:
        """Shows a new result in the place of the former one. False if its study is no longer the chosen one: it waits."""
        if self._why_not(run.node, run.typed):
            run.node.GetDisplayNode().SetVisibility(False)
            return False
        self._leave()
        self._choose(run.node)
        self._show(run)
        return True

    def _on_result(self, node) -> None:
        """The user goes back to an earlier result, or to none."""
        if node is self._chosen.result and self._lesions.run is not None:
            return
        self._say("")
        self._leave()
        self._lesions.show(None)
        self._choose(node)
        if node is not None:
            self._guarded(self._bring_back, node)

    def _bring_back(self, node) -> None:
        """With its study, and what was typed for it; the views show them too."""
        ct, pet = self._chosen.ct, self._chosen.pet = runs.made_on(node)
        lines, typed = self._study.leave_former(), runs.typed_for(node)
        if typed is not None and parameters.give(self._chosen, typed):
            lines.append(_("The values that were typed for this result are in their fields again."))
        self._restore(node, lines)
        self._guarded(self._view.show_once, ct, pet, self._lesions.run.study)

    def _restore(self, node, lines: Sequence[str] = ()) -> None:
        """lines: to be told with what was looked at."""
        run = runs.restore(node, self._study.read(self._chosen), self._histories.get(node.GetID()))
        self._show(run)
        if lines := [*lines, *told.looked_at(run)]:
            self._say("\n".join(lines))

    def _show(self, run: Run) -> None:
        self._lesions.show(run)
        self._ui.resultSelector.setCurrentNode(run.node)
        self._guarded(self._use_contour, run.node)

    def _choose(self, node) -> None:
        """Another result, or None: the former one is no longer drawn over it."""
        for one, shown in ((self._chosen.result, False), (node, True)):
            if one is not None and one.GetDisplayNode() is not None:
                one.GetDisplayNode().SetVisibility(shown)
        self._chosen.result = node

    def _leave(self) -> None:
        """Keeps what can be undone of the result that is shown, for when it comes back."""
        run = self._lesions.run
        if run is not None and slicer.mrmlScene.GetNodeByID(run.node_id) is not None:
            self._histories[run.node_id] = run.history

    def _on_choices(self, _caller=None, _event=None) -> None:
        """Puts the result away once something else is chosen than it was made of."""
        run = self._lesions.run
        node = slicer.mrmlScene.GetNodeByID(run.node_id) if run is not None else None
        why = self._why_not(node, run.typed) if node is not None else ""
        if why:
            self._leave()
            self._lesions.show(None, why)
            self._ui.resultSelector.setCurrentNode(None)
            node.GetDisplayNode().SetVisibility(False)

    def _why_not(self, node, typed: Mapping[str, Any] | None) -> str:
        """Why a result is not that of the study as it is chosen now, "" if it is."""
        if runs.made_on(node) != (self._chosen.ct, self._chosen.pet):
            return _("The result of another study is put away. Choose it under Result to go back to it.")
        if typed is not None and typed != parameters.given(self._chosen):
            return _("The result was made with other typed values and is put away: segment again, or choose it under Result.")
        return ""

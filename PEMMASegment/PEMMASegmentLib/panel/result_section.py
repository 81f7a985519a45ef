"""The result that is shown: beside its own study alone, put away when another is chosen, brought back by the box Result."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from ..study import PetCtStudy
from . import parameters, runs, sources, told
from .acts import History
from .lesion_section import LesionSection
from .run import Run
from .shown import RECORD
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
        self._made_on: list[str | None] = []  # IDs of CT and PET of the result that is shown
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
        """Shows the result that the scene names when its study is the chosen one; puts it away when its images changed."""
        node = self._chosen.result
        if self._lesions.run is not None:
            self._guarded(self._look_at_images)
        elif node is not None and node.GetAttribute(RECORD):
            self._put_away(node, "")
            self._guarded(self._take_up, node)

    def _look_at_images(self) -> None:
        """Whether they are still those of the result that is shown; a transform may still be taken away."""
        run, chosen = self._lesions.run, self._chosen
        node, images = slicer.mrmlScene.GetNodeByID(run.node_id), [one for one in (chosen.ct, chosen.pet) if one is not None]
        if node is None or not images or any(one.GetParentTransformNode() is not None for one in images):
            return
        study = self._study.read(chosen)
        if study is not run.study and (why := _why_changed(node, sources.changed(sources.contents(run.study), study), study)):
            self._put_away(node, why)

    def _take_up(self, node) -> None:
        """Beside images that changed it is shown only when the user asks for it, see `_bring_back`; so is a PET loaded again
        that nobody chose. A CT loaded again is that of the result all the same: beside none it would pass for gone."""
        runs.relink(node, (self._chosen.ct, self._chosen.pet), _loaded())
        why = self._why_not(node, runs.typed_for(node))
        if not why:
            study = self._study.read(self._chosen)
            why = _why_changed(node, runs.changed(node, study), study)
        if why:
            self._put_away(node, why)
        else:
            self._restore(node)

    def add(self, run: Run) -> bool:
        """Shows a new result in the place of the former one. False if its study is no longer the chosen one: it waits."""
        if self._why_not(run.node, run.typed):
            _draw(run.node, False)
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
        if self._lesions.run is None:
            self._ui.resultSelector.setCurrentNode(None)

    def _bring_back(self, node) -> None:
        """With its study, and what was typed for it; the views show them too."""
        runs.relink(node, (self._chosen.ct, self._chosen.pet, *_loaded()))
        ct, pet = self._chosen.ct, self._chosen.pet = runs.made_on(node)
        lines, typed = self._study.leave_former(), runs.typed_for(node)
        if typed is not None and pet is not None and parameters.give(self._chosen, typed):
            lines.append(_("The values that were typed for this result are in their fields again."))
        lines += told.measured_anew(runs.changed(node, self._study.read(self._chosen)))
        self._restore(node, lines)
        self._guarded(self._view.show_once, ct, pet, self._lesions.run.study)

    def _restore(self, node, lines: Sequence[str] = ()) -> None:
        """lines: to be told with what was looked at and what the run warned of."""
        run = runs.restore(node, self._study.read(self._chosen), self._histories.get(node.GetID()))
        self._show(run)
        lost = [told.lost_pet()] if runs.has_lost_pet(node) else []
        if lines := [*lines, *lost, *told.looked_at(run), *runs.notes_of(node)]:
            self._say("\n".join(lines))

    def _show(self, run: Run) -> None:
        self._made_on = [volume.GetID() if volume is not None else None for volume in runs.made_on(run.node)]
        self._lesions.show(run)
        self._ui.resultSelector.setCurrentNode(run.node)
        _draw(run.node, True)
        self._guarded(self._use_contour, run.node)

    def _choose(self, node) -> None:
        """Another result, or None: the former one is no longer drawn over it, and the new one not before `_show`."""
        for one in (self._chosen.result, node):
            _draw(one, False)
        self._chosen.result = node

    def _put_away(self, node, why: str) -> None:
        """node: None if it is gone."""
        self._leave()
        self._lesions.show(None, why)
        self._ui.resultSelector.setCurrentNode(None)
        _draw(node, False)

    def _leave(self) -> None:
        """Keeps what can be undone of the result that is shown, for when it comes back."""
        run = self._lesions.run
        if run is not None and slicer.mrmlScene.GetNodeByID(run.node_id) is not None:
            self._histories[run.node_id] = run.history

    def _on_choices(self, _caller=None, _event=None) -> None:
        """Puts the result away once something else is chosen than it was made of."""
        run = self._lesions.run
        if run is None:
            return
        node = slicer.mrmlScene.GetNodeByID(run.node_id)
        if why := self._why_not(node, run.typed) if node is not None else self._why_gone():
            self._put_away(node, why)

    def _why_gone(self) -> str:
        """The same of a result that was taken out of the scene; beside its own study it can still be removed for good."""
        made_on = tuple(slicer.mrmlScene.GetNodeByID(id) if id else None for id in self._made_on)
        beside = any(made_on) and made_on == (self._chosen.ct, self._chosen.pet)
        return "" if beside else _("The result was taken out of the scene.")

    def _why_not(self, node, typed: Mapping[str, Any] | None) -> str:
        """Why a result is not that of the study as it is chosen now, "" if it is."""
        made_on = runs.made_on(node)
        if made_on != (self._chosen.ct, self._chosen.pet):
            return _("The result of another study is put away. Choose it under Result to go back to it.")
        if typed is not None and made_on[1] is not None and typed != parameters.given(self._chosen):
            return _("The result was made with other typed values and is put away: segment again, or choose it under Result.")
        return ""


def _why_changed(node, kinds: Sequence[str], study: PetCtStudy) -> str:
    """Why a result is not shown beside a study of whose images these ("ct", "pet") are others now; "" if none is."""
    return told.put_away(kinds, runs.fits(node, study)) if kinds else ""


def _loaded() -> list:
    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def _draw(node, shown: bool) -> None:
    """node: None, or one without a display, is not drawn anyway."""
    if node is not None and node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetVisibility(shown)

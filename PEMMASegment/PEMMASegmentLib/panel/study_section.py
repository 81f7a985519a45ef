"""The section Study: what the two volumes are, why they were chosen, what their headers lack."""

from collections.abc import Callable

import qt
import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..study.types import PetCtStudy
from . import candidates, own_nodes, parameters, regions, studies, volumes
from .words import in_panel, warning

#: code of an error -> the field that helps
_FIELDS = {
    "weight": "weightSpinBox", "height": "heightSpinBox", "dose": "doseSpinBox", "injection": "injectionTimeEdit",
    "typed-time": "injectionTimeEdit", "half-life": "isotopeEdit",
}  # fmt: skip


class StudySection:
    """Shows sizes at once and the rest when the study is read; a study is read again only when something changed.

    say(words) tells. on_another(): called when another CT or PET is chosen.
    """

    def __init__(self, ui, say: Callable[[str], None], on_another: Callable[[], None]):
        self._ui, self._say, self._on_another = ui, say, on_another
        self._chosen: parameters.Parameters | None = None
        self._pair = "", ""  # IDs of the CT and PET that region and typed values are for
        self._key: tuple = ()
        self._study: PetCtStudy | None = None
        self._seen: set[str] = set()  # IDs of volumes
        for selector in (ui.ctSelector, ui.petSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_chosen)
            selector.connect("nodeActivated(vtkMRMLNode*)", lambda _node: self._tell(self.leave_former()))
        ui.candidatesTable.setColumnCount(3)
        ui.candidatesTable.setHorizontalHeaderLabels([_("Volume"), _("Is"), _("Why")])
        ui.candidatesTable.horizontalHeader().setStretchLastSection(True)
        ui.candidatesGroupBox.connect("toggled(bool)", self._on_opened)

    def use(self, chosen: "parameters.Parameters") -> None:
        """The choices of a scene; where there are none the best guess."""
        self._chosen, self._pair = chosen, ("", "")
        self._take_over()
        self._seen = set() if chosen.ct is chosen.pet is None else _ids(_volumes())
        self.guess(chosen)
        self._on_chosen()

    def guess(self, chosen: "parameters.Parameters") -> None:
        """Fills empty selectors with the best guess once volumes have come that were not there the last time."""
        found = _volumes()
        if not _ids(found) <= self._seen:
            ct, pet = candidates.guess(found)
            if chosen.ct in (None, ct) and chosen.pet in (None, pet):
                chosen.ct, chosen.pet = ct, pet
                self._tell(self.leave_former())
            self._list()
        self._seen = _ids(found)

    def forget(self) -> None:
        """The scene closes: nothing of it is kept."""
        self._chosen, self._pair, self._key, self._study = None, ("", ""), (), None

    def leave_former(self) -> list[str]:
        """What was given for a study does not hold for the next: a region, which may cut its tumour; values of another PET.

        Returns what to tell of it.
        """
        if self._chosen is None:
            return []
        before, after = self._pair, self._take_over()
        if after == before or before == ("", ""):
            return []
        self._on_another()
        told = []
        if self._chosen.roi is not None:
            regions.show(self._chosen.roi, False)
            self._chosen.roi = None
            told.append(_("Another CT or PET is chosen: the region of the former study was taken away."))
        if before[1] not in ("", after[1]) and parameters.give(self._chosen, {}):
            told.append(_("Another PET is chosen: the values that were typed for the former one were cleared."))
        return told

    def _tell(self, told: list[str]) -> None:
        if told:
            self._say("\n".join(told))

    def _take_over(self) -> tuple[str, str]:
        """The chosen pair's IDs from now on; none chosen leaves the former one."""
        chosen = (self._chosen.ct, self._chosen.pet)
        self._pair = tuple(node.GetID() if node is not None else id for node, id in zip(chosen, self._pair, strict=True))
        return self._pair

    def read(self, chosen: "parameters.Parameters") -> PetCtStudy:
        """The chosen study, with its status shown. Raises PemmaError, and opens the fields for what headers lack."""
        key = _key(chosen)
        if key != self._key:
            self._key, self._study = (), None
            try:
                typed = parameters.typed_of(chosen)
                self._study = studies.read_study(chosen.ct, chosen.pet, typed=typed, pet_is_suv=chosen.petIsSuv)
            except PemmaError as error:
                self._ask_for(error.code)
                raise
            self._key = key
        warnings = [warning(told.sentence, told.way_out) for told in self._study.warnings]
        self._ui.studyLabel.text = "\n".join([in_panel(studies.in_words(self._study)), *warnings])
        return self._study

    def _ask_for(self, code: str) -> None:
        field = next((field for start, field in _FIELDS.items() if code.startswith(start)), None)
        if field is not None:
            self._ui.typedGroupBox.collapsed = False
            getattr(self._ui, field).setFocus()
        if code == "pet-unit-unknown":
            self._ui.petIsSuvCheckBox.visible = True

    def _on_chosen(self, _node=None) -> None:
        ct, pet = self._ui.ctSelector.currentNode(), self._ui.petSelector.currentNode()
        self._ui.studyLabel.text = studies.sizes(ct, pet)
        self._ui.petIsSuvCheckBox.visible = pet is not None and not pet.GetAttribute(studies.UIDS)
        self._list()

    def _on_opened(self, _open=False) -> None:
        self._list()

    def _list(self) -> None:
        """Every volume of the scene with its reason; only when somebody looks, because it reads headers."""
        if self._ui.candidatesGroupBox.collapsed:
            return
        found = candidates.candidates(_volumes())
        self._ui.candidatesTable.setRowCount(len(found))
        for row, one in enumerate(found):
            for column, words in enumerate((one.node.GetName(), one.kind or "–", one.reason)):
                item = qt.QTableWidgetItem(words)
                item.setToolTip(words)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                self._ui.candidatesTable.setItem(row, column, item)
        self._ui.candidatesTable.resizeColumnsToContents()


def _volumes() -> list:
    return [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") if own_nodes.is_of_user(node)]


def _ids(nodes: list) -> set[str]:
    return {node.GetID() for node in nodes}


def _key(chosen: "parameters.Parameters") -> tuple:
    """Changes whenever the study would be another one."""
    typed = (parameters.typed_of(chosen), chosen.petIsSuv)
    return (typed, *(_state(node) for node in (chosen.ct, chosen.pet)))


def _state(node) -> tuple:
    if node is None or node.GetImageData() is None:
        return ()
    units, transform = node.GetVoxelValueUnits(), node.GetParentTransformNode()
    return (
        node.GetID(), node.GetImageData().GetMTime(), volumes.ijk_to_ras(node).tobytes(),
        node.GetAttribute(studies.UIDS), units.GetCodeValue() if units else "", transform.GetID() if transform else "",
    )  # fmt: skip

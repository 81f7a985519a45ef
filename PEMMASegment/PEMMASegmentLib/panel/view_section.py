"""The section View: PET over CT with one button, which then brings the user's layout back; the rest follows at once."""

from collections.abc import Callable

from slicer.i18n import tr as _

from ..study.types import PetCtStudy
from . import view
from .words import rename


class ViewSection:
    """guarded(act, *arguments): does it and says errors in the panel. say(words). study(): reads the chosen one.
    looked_at(): called when the user has asked to see it. make_room(): called before; takes away what else is shown.
    """

    def __init__(self, ui, guarded: Callable, say: Callable[[str], None], study: Callable[[], PetCtStudy],
                 looked_at: Callable[[], None], make_room: Callable[[], None]):  # fmt: skip
        self._ui, self._guarded, self._say, self._study = ui, guarded, say, study
        self._looked_at, self._make_room = looked_at, make_room
        self._shown: tuple | None = None  # CT node, PET node, what the PET's voxels hold for an SUV of 1
        self._former: int | None = None  # the layout before ours
        self._in_3d = False  # whether the 3D views are ours too
        self._looks: dict[str, tuple] = {}  # of the 3D views, before the projection
        ui.viewButton.connect("clicked(bool)", self._on_view)
        for selector in (ui.ctSelector, ui.petSelector):
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._name_button)
        ui.petWindowComboBox.connect("currentTextChanged(QString)", self._on_window)
        ui.petColourComboBox.connect("currentTextChanged(QString)", self._on_look)
        ui.petProjectionCheckBox.connect("toggled(bool)", self._on_look)
        for number in (ui.petLowestSpinBox, ui.petHighestSpinBox, ui.petOpacitySlider):
            number.connect("valueChanged(double)", self._on_look)
        self._on_window(ui.petWindowComboBox.currentText)

    def forget(self) -> None:
        """The scene closes, or the views show something else: nothing of it is kept, and the projection goes."""
        self._leave_3d()
        self._shown = self._former = None
        self._name_button()

    def show(self, ct, pet, study: PetCtStudy) -> None:
        """Lays out four views and shows these nodes there. Raises PemmaError, when all but the projection is there.

        study: of these nodes, which need not be the chosen ones.
        """
        self._make_room()
        self._leave_3d()  # else the PET of another patient stays there
        scale = view.per_suv(pet, study.pet) if pet is not None and study.pet is not None else 1.0
        self._shown, self._in_3d = (ct, pet, scale), True
        before = view.layout()
        if before != view.FOUR_UP:
            self._former = before
        view.lay_out(view.FOUR_UP)
        self._name_button()
        self._look(fit=True)

    def show_once(self, ct, pet, study: PetCtStudy) -> None:
        """`show`, unless the user has these nodes before the eyes."""
        if self._shown is None or self._shown[:2] != (ct, pet):
            self.show(ct, pet, study)

    def _on_view(self, _checked=False) -> None:
        self._say("")
        if self._is_ours():
            view.lay_out(self._former)
            self._leave_3d()
            self._former = None
            self._name_button()
            return
        self._guarded(lambda: self.show(*self._chosen(), self._study()))
        if self._shown is not None:
            self._looked_at()

    def _is_ours(self) -> bool:
        """Whether the chosen pair is shown in our layout, and the user's own was another."""
        return self._former is not None and view.layout() == view.FOUR_UP and self._shown[:2] == self._chosen()

    def _chosen(self) -> tuple:
        return self._ui.ctSelector.currentNode(), self._ui.petSelector.currentNode()

    def _name_button(self, _node=None) -> None:
        rename(self._ui.viewButton, _("Back to the layout before") if self._is_ours() else _("Show PET over CT"))

    def _on_window(self, words: str) -> None:
        free = view.WINDOWS.get(words) is None and bool(words)
        for widget in (self._ui.petLowestSpinBox, self._ui.petHighestSpinBox):
            widget.visible = free
        self._on_look()

    def _on_look(self, _value=None) -> None:
        if self._shown is None:
            return
        *shown, scale = self._shown
        ct, pet = (node if node is not None and node.GetScene() is not None else None for node in shown)  # may be deleted
        self._shown = ct, pet, scale
        if (ct or pet) is not None:
            self._guarded(self._look)

    def _look(self, *, fit: bool = False) -> None:
        ct, pet, scale = self._shown
        low, high = (value * scale for value in self._window())
        opacity = self._ui.petOpacitySlider.value
        view.fuse(ct, pet, colour=self._ui.petColourComboBox.currentText, window=(low, high), opacity=opacity, fit=fit)
        self._project(pet, (low, high))

    def _project(self, pet, window: tuple[float, float]) -> None:
        possible = view.has_rendering()
        if pet is not None and self._ui.petProjectionCheckBox.checked and possible:
            if self._in_3d:
                self._looks = view.looks_in_3d() | self._looks
                view.project(pet, window)
        else:
            self._clear_3d()
        self._ui.petProjectionCheckBox.enabled = possible
        if not possible and self._ui.petProjectionCheckBox.checked and pet is not None:
            self._ui.petProjectionCheckBox.checked = False
            raise view.no_rendering()

    def _leave_3d(self) -> None:
        """The 3D views are the user's own again."""
        self._clear_3d()
        self._in_3d = False

    def _clear_3d(self) -> None:
        """Takes the projection that is shown out of the 3D views, which then look as before."""
        pet = self._shown[1] if self._shown is not None else None
        if pet is not None and pet.GetScene() is not None:
            view.hide_projection(pet)
        view.restore_3d(self._looks)
        self._looks = {}

    def _window(self) -> tuple[float, float]:
        """SUV from, to."""
        typed = self._ui.petLowestSpinBox.value, self._ui.petHighestSpinBox.value
        low, high = view.WINDOWS.get(self._ui.petWindowComboBox.currentText) or typed
        return low, max(high, low + 0.1)

"""The choices kept in the scene: bound to the widgets, checked, replaced, read from scenes of other versions; reload."""

import sys

import pytest

from .conftest import MODULE, click

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


def test_choices_follow_the_widgets_and_the_widgets_the_choices(module):
    import slicer

    ui, chosen = module.panel.ui, module.panel.chosen
    ui.weightSpinBox.value, ui.deviceComboBox.currentText, ui.wholeStudyCheckBox.checked = 71.5, "cpu", True
    ui.injectionTimeEdit.text, ui.petOpacitySlider.value = "101500", 0.3
    ui.petSelector.setCurrentNode(None)
    kept = chosen.weightKg, chosen.device, chosen.wholeStudy, chosen.injectionTime, chosen.petOpacity, chosen.pet
    assert kept == (71.5, "cpu", True, "101500", 0.3, None)
    again = module.logic.getParameterNode()
    assert (again.weightKg, again.device, again.ct.GetName()) == (71.5, "cpu", "CT")
    again.pet, again.petWindow, again.heightM = slicer.util.getNode("PET"), "SUV 0 to 5", 1.8
    assert ui.petSelector.currentNode().GetName() == "PET" and chosen.pet.GetName() == "PET"
    assert (ui.petWindowComboBox.currentText, ui.heightSpinBox.value) == ("SUV 0 to 5", 1.8)
    slicer.mrmlScene.RemoveNode(chosen.pet)
    assert chosen.pet is None and ui.petSelector.currentNode() is None


def user_chooses(selector, node) -> None:
    selector.setCurrentNode(node)
    selector.nodeActivated.emit(node)


def test_what_was_typed_holds_for_one_pet(app, module, sts_008):
    """Not for another that the user chooses, or that is chosen once it is loaded; the choices of a scene come back."""
    import slicer
    import slicer_app

    panel, ui, chosen = module.panel, module.panel.ui, module.panel.chosen
    first, other = chosen.pet, slicer_app.slicer_scene.load_series(sts_008 / "PET", "Other")

    def type_in() -> None:
        ui.weightSpinBox.value, ui.isotopeEdit.text, ui.petIsSuvCheckBox.checked = 71.5, "Ga-68", True

    type_in()
    for node in (first, None, first):  # the same one
        user_chooses(ui.petSelector, node)
    module._on_scene_closed(None, None)  # as after a scene was added
    assert (chosen.weightKg, chosen.isotope, chosen.petIsSuv) == (71.5, "Ga-68", True) and not ui.messageLabel.text
    user_chooses(ui.petSelector, None)
    user_chooses(ui.petSelector, other)
    assert (chosen.weightKg, chosen.isotope, chosen.petIsSuv) == (0.0, "", False) and ui.isotopeEdit.text == ""
    assert "cleared" in ui.messageLabel.text and chosen.pet is other
    type_in()
    for node in (first, other):
        slicer.mrmlScene.RemoveNode(node)
    module.exit()
    again = slicer_app.slicer_scene.load_series(sts_008 / "PET", "PET")
    module.enter()
    assert module.panel.chosen.pet is again and ui.weightSpinBox.value == 0
    click(ui.studyButton)
    slicer.mrmlScene.Clear(0)
    assert panel._study_section._study is None


def test_what_can_not_be_is_refused(module):
    chosen = module.panel.chosen
    for name, value in (("petOpacity", 1.5), ("device", "tpu"), ("wholeStudy", 1), ("weightKg", "70"), ("model", None)):
        with pytest.raises((ValueError, TypeError)):
            setattr(chosen, name, value)
    with pytest.raises(TypeError):
        chosen.result = chosen.ct


def test_another_parameter_node_takes_the_widgets_over(module):
    import slicer

    from PEMMASegmentLib.panel import parameters

    panel = module.panel
    first = panel.chosen
    other = parameters.of(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode"))
    panel.use(other)
    panel.ui.weightSpinBox.value = 70
    assert (first.weightKg, other.weightKg) == (0, 70)
    first.weightKg = 60
    assert panel.ui.weightSpinBox.value == other.weightKg == 70


def test_a_choice_of_another_version_is_as_if_not_chosen(app):
    import slicer_app

    file = slicer_app.load_file(MODULE)
    node = super(file.PEMMASegmentLogic, file.PEMMASegmentLogic()).getParameterNode()
    node.SetParameter("petColour", "rainbow")
    node.SetParameter("device", "cpu")
    opened = slicer_app.open_module(MODULE)
    assert (opened.panel.chosen.petColour, opened.panel.ui.petColourComboBox.currentText) == ("colour", "colour")
    assert opened.panel.ui.deviceComboBox.currentText == "cpu"
    opened.cleanup()


def test_reloaded_it_works_and_the_old_one_is_silent(app, module):
    import slicer

    ours = {name: one for name, one in sys.modules.items() if name.partition(".")[0] == "PEMMASegmentLib"}
    try:
        module.onReload()
        again = slicer.modules.PEMMASegmentWidget
        assert again is not module and again.panel.chosen.ct.GetName() == "CT"
        click(again.panel.ui.studyButton)
        assert "CT 141 x 137 x 51" in again.panel.ui.studyLabel.text
        again.cleanup()
    finally:
        sys.modules.update(ours)


def test_without_a_window_of_the_application_it_makes_its_own(app, sts_008):
    import slicer
    import slicer_app

    slicer_app.slicer_scene.load_series(sts_008 / "CT", "CT")
    slicer_app.load_file(MODULE)
    alone = sys.modules["PEMMASegment"].PEMMASegmentWidget()
    assert alone.panel.chosen.ct.GetName() == "CT"
    slicer.mrmlScene.Clear(0)
    assert alone.panel.chosen.ct is None
    alone.cleanup()
    alone.parent.hide()
    slicer.mrmlScene.Clear(0)  # nothing of it observes the scene any more
    assert alone.panel.chosen is None


def test_a_scene_that_is_opened_while_another_module_is_shown_is_looked_at_on_the_way_back(app, module):
    import slicer

    before = module.panel.chosen
    module.exit()
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndImportEvent)
    assert module.panel.chosen is before  # a run may be under way
    module.enter()
    assert module.panel.chosen is not before and module.panel.chosen.ct.GetName() == "CT"
    module.enter()
    slicer.mrmlScene.Clear(0)
    assert module.panel.chosen.ct is None

"""PET over CT in Slicer's own views: windows in SUV, the projection in 3D, what happens without volume rendering."""

import importlib
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from .conftest import click

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
view = importlib.import_module("PEMMASegmentLib.panel.view")


@pytest.fixture
def layers(app):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")


def test_one_button_shows_the_pet_over_the_ct_and_the_rest_follows_at_once(module, layers):
    panel, ui = module.panel, module.panel.ui
    ct, pet = panel.chosen.ct, panel.chosen.pet
    ui.petWindowComboBox.currentText = "SUV 0 to 5"
    assert layers.GetBackgroundVolumeID() is None  # nothing before the button
    click(ui.viewButton)
    display = pet.GetDisplayNode()
    assert (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()) == (ct.GetID(), pet.GetID())
    assert layers.GetForegroundOpacity() == 0.5
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((0, 5))
    ui.petOpacitySlider.value = 0.3
    ui.petColourComboBox.currentText = "inverted grey"
    ui.petWindowComboBox.currentText = "free"
    assert not ui.petLowestSpinBox.isHidden()
    ui.petLowestSpinBox.value, ui.petHighestSpinBox.value = 1.0, 7.0
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == pytest.approx((1, 7))
    assert layers.GetForegroundOpacity() == pytest.approx(0.3)
    assert display.GetColorNodeID() == "vtkMRMLColorTableNodeInvertedGrey"
    ui.petWindowComboBox.currentText = "SUV 0 to 10"
    assert display.GetWindowLevelMax() == pytest.approx(10) and ui.petLowestSpinBox.isHidden()


def test_pressed_again_it_brings_the_users_layout_back(app, module, monkeypatch):
    import slicer
    import vtk

    logic = slicer.vtkMRMLLayoutLogic()
    logic.SetMRMLScene(slicer.mrmlScene)
    node, kind = logic.GetLayoutNode(), slicer.vtkMRMLLayoutNode
    manager = SimpleNamespace(layoutLogic=lambda: logic, setLayout=node.SetViewArrangement, threeDViewCount=0,
                              mrmlSliceLogics=vtk.vtkCollection)  # fmt: skip
    monkeypatch.setattr(slicer.app, "layoutManager", lambda: manager)
    node.SetViewArrangement(kind.SlicerLayoutConventionalView)
    ui, chosen = module.panel.ui, module.panel.chosen
    shortcut = ui.viewButton.shortcut.toString()
    click(ui.viewButton)
    assert node.GetViewArrangement() == view.FOUR_UP and ui.viewButton.text == "Back to the layout before"
    click(ui.viewButton)
    assert node.GetViewArrangement() == kind.SlicerLayoutConventionalView and ui.viewButton.text == "Show PET over CT"
    click(ui.viewButton)
    chosen.ct = None  # another pair: the button shows it
    assert ui.viewButton.text == "Show PET over CT" and ui.viewButton.shortcut.toString() == shortcut != ""
    click(ui.viewButton)
    assert node.GetViewArrangement() == view.FOUR_UP
    click(ui.viewButton)
    assert node.GetViewArrangement() == kind.SlicerLayoutConventionalView
    node.SetViewArrangement(view.FOUR_UP)  # the user's own now
    click(ui.viewButton)
    assert ui.viewButton.text == "Show PET over CT"


@pytest.mark.parametrize("alone", ["ct", "pet"])
def test_one_of_the_two_is_shown_alone(module, layers, alone):
    chosen = module.panel.chosen
    setattr(chosen, "pet" if alone == "ct" else "ct", None)
    click(module.panel.ui.viewButton)
    assert layers.GetBackgroundVolumeID() == getattr(chosen, alone).GetID() and layers.GetForegroundVolumeID() is None
    assert module.panel.ui.messageLabel.text == ""


def test_what_was_deleted_is_no_longer_shown(module, layers):
    """The rest follows as before; with nothing left the views are the user's own."""
    import slicer

    ui, chosen = module.panel.ui, module.panel.chosen
    click(ui.viewButton)
    ct = chosen.ct
    slicer.mrmlScene.RemoveNode(chosen.pet)
    ui.petOpacitySlider.value = 0.3
    assert (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()) == (ct.GetID(), None)
    slicer.mrmlScene.RemoveNode(ct)
    another = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode").GetID()
    layers.SetBackgroundVolumeID(another)
    ui.petColourComboBox.currentText = "inverted grey"
    assert layers.GetBackgroundVolumeID() == another and ui.messageLabel.text == ""


def test_a_window_in_suv_holds_for_a_pet_in_bq_per_ml(module, layers):
    import slicer

    panel = module.panel
    study = panel._study()
    voxels = slicer.util.arrayFromVolume(panel.chosen.pet)
    voxels *= 2000.0
    slicer.util.arrayFromVolumeModified(panel.chosen.pet)
    assert view.per_suv(panel.chosen.pet, study.pet) == pytest.approx(2000.0, rel=1e-4)


def test_the_projection_is_dark_where_the_uptake_is_high(app, module, tmp_path):
    """The real volume rendering; to look at the picture give a folder in PEMMA_PICTURES."""
    import slicer
    import slicer_app

    file = Path(os.environ.get("PEMMA_PICTURES", tmp_path)) / "projection.png"
    ui, scene = module.panel.ui, slicer_app.slicer_scene
    kept = scene.picture_3d(file, scene.application, before=lambda: click(ui.viewButton))
    grey = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[..., :3].mean(-1)
    assert grey[150:350, 150:350].min() < 120 and np.median(grey) > 240
    display = slicer.modules.volumerendering.logic().GetFirstVolumeRenderingDisplayNode(module.panel.chosen.pet)
    ui.petProjectionCheckBox.checked = False
    assert not display.GetVisibility() and kept


def test_another_study_takes_the_views_over_and_leaves_them_as_they_were(app, module, layers, sts_008):
    """Its window is that of its own study, whatever is chosen now; no patient's projection stays beside another's."""
    import slicer
    import slicer_app

    section, ui, ct, first = module.panel._view_section, module.panel.ui, module.panel.chosen.ct, module.panel.chosen.pet
    other = slicer_app.slicer_scene.load_series(sts_008 / "PET", "Other")
    study = module.panel._study()
    slicer.util.arrayFromVolume(other)[:] *= 3
    own = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLViewNode")
    own.SetBackgroundColor(0.1, 0.2, 0.3)
    own.SetRaycastTechnique(slicer.vtkMRMLViewNode.Composite)
    logic = slicer.modules.volumerendering.logic()

    def seen(*nodes) -> list[bool]:
        return [bool(logic.GetFirstVolumeRenderingDisplayNode(node).GetVisibility()) for node in nodes]

    click(ui.viewButton)
    assert seen(first) == [True] and own.GetBackgroundColor() == (1, 1, 1) and not own.GetBoxVisible()
    module.panel.chosen.pet = None
    section.show_once(ct, other, study)
    assert seen(first, other) == [False, True] and own.GetRaycastTechnique() == own.MaximumIntensityProjection
    assert other.GetDisplayNode().GetWindowLevelMax() == pytest.approx(10 * view.per_suv(other, study.pet))
    assert view.per_suv(other, study.pet) == pytest.approx(3 * view.per_suv(first, study.pet)) != 1
    section.forget()
    assert seen(first, other) == [False, False] and own.GetBackgroundColor() == pytest.approx((0.1, 0.2, 0.3))
    assert own.GetRaycastTechnique() == own.Composite and own.GetBoxVisible()


def test_a_slicer_without_volume_rendering_shows_the_rest_and_says_so(module, layers, monkeypatch):
    import slicer

    monkeypatch.delattr(slicer.modules, "volumerendering")
    ui = module.panel.ui
    click(ui.viewButton)
    assert "Volume Rendering" in ui.messageLabel.text and not ui.petProjectionCheckBox.enabled
    assert layers.GetForegroundVolumeID() == module.panel.chosen.pet.GetID()
    click(ui.viewButton)
    assert ui.messageLabel.text == ""


def test_lesions_let_the_pet_shine_through(scene):
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    view.see_through(node)
    assert node.GetDisplayNode().GetOpacity2DFill() < 0.3 and node.GetDisplayNode().GetOpacity3D() < 0.6

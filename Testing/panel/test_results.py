"""The result that is shown: beside its own study and what was typed for it; put away, and brought back as it was left."""

import importlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from .conftest import FIELDS, click, put_crosshair, runs_in_scene
from .lesions.acts import finished
from .test_parameters import user_chooses

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)
runs = importlib.import_module("PEMMASegmentLib.panel.runs")
ONLY_PET = (23, 61, 0)  # z, y, x in the CT of STS_008: uptake, and no tumour


def result(panel, expert):
    """A new result of the chosen study, from the expert's contour."""
    from PEMMASegmentLib.panel import parameters

    chosen = panel.chosen
    return runs.create(panel._study(), FIELDS, expert[1], chosen.ct, chosen.pet, typed=parameters.given(chosen))


@pytest.fixture
def panel(module, expert):
    """The panel with such a result in it."""
    assert module.panel._results.add(result(module.panel, expert))
    return module.panel


@pytest.fixture
def other(panel, sts_008) -> SimpleNamespace:
    """Another CT and PET, which lie in the same place."""
    import slicer_app

    load = slicer_app.slicer_scene.load_series
    return SimpleNamespace(ct=load(sts_008 / "CT", "Other CT"), pet=load(sts_008 / "PET", "Other PET"))


@pytest.fixture
def layers(app):
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceCompositeNode")


def choose(panel, ct, pet) -> None:
    user_chooses(panel.ui.ctSelector, ct)
    user_chooses(panel.ui.petSelector, pet)


def seen(*made) -> list[bool]:
    """Whether these results are drawn in the views."""
    return [bool(run.node.GetDisplayNode().GetVisibility()) for run in made]


def nothing_to_export(panel) -> bool:
    buttons = ("exportButton", "tableButton", "addButton", "copyButton", "reviewButton", "undoButton")
    return panel.run is None and panel.ui.lesionTable.rowCount == 0 and not any(getattr(panel.ui, b).enabled for b in buttons)


def test_beside_another_study_it_is_put_away_and_comes_back_as_it_was_left(panel, other, layers, expert):
    ui, chosen, first = panel.ui, panel.chosen, panel.run
    own = chosen.ct, chosen.pet
    put_crosshair(panel, ONLY_PET)
    click(ui.addButton)
    user_chooses(ui.petSelector, other.pet)
    assert nothing_to_export(panel) and seen(first) == [False] and ui.resultSelector.currentNode() is None
    assert "another study" in ui.totalsLabel.text and "no result" in ui.exportLabel.text
    choose(panel, other.ct, other.pet)
    click(ui.studyButton)
    click(ui.viewButton)
    assert nothing_to_export(panel)
    second = result(panel, expert)
    assert panel._results.add(second) and panel.run is second and seen(first, second) == [False, True]
    user_chooses(ui.resultSelector, first.node)
    assert (chosen.ct, chosen.pet) == own and seen(first, second) == [True, False]
    assert (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()) == tuple(node.GetID() for node in own)
    assert panel.run.node is first.node and ui.lesionTable.rowCount == 2 and ui.undoButton.text == "Undo: added lesion"
    click(ui.undoButton)
    assert ui.lesionTable.rowCount == 1 and not ui.undoButton.enabled
    put_crosshair(panel, ONLY_PET)
    click(ui.addButton)
    user_chooses(ui.resultSelector, second.node)
    first.node.GetSegmentation().RemoveSegment("Lesion_2")  # in the Segment Editor: what came before is of other lesions
    user_chooses(ui.resultSelector, first.node)
    assert ui.lesionTable.rowCount == 1 and not ui.undoButton.enabled


def test_one_of_a_study_that_was_left_meanwhile_waits_under_result(panel, other, tmp_path):
    ui, own, before, finish = panel.ui, panel.chosen.ct, panel.run.node, finished(panel, tmp_path, inputs="ct")
    choose(panel, other.ct, other.pet)
    finish()
    assert nothing_to_export(panel) and panel.chosen.ct is other.ct and "waits under Result" in ui.messageLabel.text
    [new] = [node for node in runs_in_scene() if node is not before]
    assert not new.GetDisplayNode().GetVisibility()
    user_chooses(ui.resultSelector, new)
    assert panel.run.node is new and panel.chosen.ct is own and ui.messageLabel.text == "Segmented from the CT alone."


def test_its_figures_stand_only_beside_the_values_that_they_were_made_with(module, weightless, expert, tmp_path):
    panel, ui, chosen = module.panel, module.panel.ui, module.panel.chosen
    former = chosen.pet
    user_chooses(ui.petSelector, weightless)
    ui.weightSpinBox.value = 7.0
    light = result(panel, expert)
    assert panel._results.add(light)
    figures = row(ui.lesionTable)
    ui.weightSpinBox.value = 70.0
    click(ui.studyButton)
    assert nothing_to_export(panel) and "other typed values" in ui.totalsLabel.text and seen(light) == [False]
    heavy = result(panel, expert)
    assert panel._results.add(heavy)
    assert float(row(ui.lesionTable)[3]) == pytest.approx(10 * float(figures[3]), abs=0.1)
    user_chooses(ui.resultSelector, light.node)
    assert row(ui.lesionTable) == figures and ui.weightSpinBox.value == chosen.weightKg == 7.0
    assert "in their fields again" in ui.messageLabel.text
    user_chooses(ui.petSelector, former)
    assert nothing_to_export(panel) and ui.weightSpinBox.value == 0
    user_chooses(ui.resultSelector, heavy.node)  # with its PET, and what was typed for it
    assert chosen.weightKg == 70.0 and row(ui.lesionTable) != figures and "typed" in ui.studyLabel.text
    ui.weightSpinBox.value = 71.0
    ui.weightSpinBox.value = 70.0
    click(ui.studyButton)
    assert panel.run.node is heavy.node and seen(light, heavy) == [False, True]


def row(table) -> list[str]:
    return [table.item(0, column).text() for column in range(table.columnCount)]


def test_one_that_was_deleted_with_its_study_leaves_no_figures_beside_the_next(module, panel, other):
    import slicer

    ui, chosen, run = panel.ui, panel.chosen, panel.run
    for node in (run.node, chosen.ct, chosen.pet):
        slicer.mrmlScene.RemoveNode(node)
    module.exit()
    module.enter()
    assert (chosen.ct, chosen.pet) == (other.ct, other.pet)
    assert nothing_to_export(panel) and "taken out of the scene" in ui.totalsLabel.text


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0)])
def test_one_whose_study_is_deleted_too_leaves_no_figures(panel, order):
    import slicer

    nodes = panel.run.node, panel.chosen.ct, panel.chosen.pet
    for n in order:
        slicer.mrmlScene.RemoveNode(nodes[n])
    assert nothing_to_export(panel)


def test_one_that_can_not_come_back_is_not_drawn_over_the_next_study(module, panel, other, monkeypatch):
    import slicer

    ui, chosen, run = panel.ui, panel.chosen, panel.run
    own = chosen.ct, chosen.pet
    with monkeypatch.context() as patch:  # as in a scene that is opened on another computer
        patch.setattr(slicer, "dicomDatabase", type(slicer.dicomDatabase)())
        module._on_scene_closed(None, None)
    assert "no longer there" in ui.messageLabel.text
    other.ct.RemoveAttribute("DICOM.instanceUIDs")  # another series
    choose(panel, other.ct, other.pet)
    assert nothing_to_export(panel) and seen(run) == [False]
    slicer.mrmlScene.RemoveNode(own[0])
    user_chooses(ui.resultSelector, run.node)
    assert "cropped or moved" in ui.messageLabel.text and (chosen.ct, chosen.pet) == (None, own[1])
    choose(panel, other.ct, other.pet)
    click(ui.studyButton)
    assert nothing_to_export(panel) and seen(run) == [False] and ui.resultSelector.currentNode() is None
    assert "another study" in ui.totalsLabel.text


def test_beside_images_that_changed_it_is_shown_only_when_asked_for_and_says_so(module, panel):
    import slicer

    ui, chosen, run = panel.ui, panel.chosen, panel.run
    before = float(row(ui.lesionTable)[3])
    click(ui.studyButton)
    assert panel.run is run
    double(chosen.pet)
    click(ui.studyButton)
    assert nothing_to_export(panel) and seen(run) == [False] and ui.totalsLabel.text.startswith("The PET changed since")
    module._on_scene_closed(None, None)  # as in a scene that was saved like this
    assert nothing_to_export(panel) and "The PET changed since" in ui.totalsLabel.text
    user_chooses(ui.resultSelector, run.node)
    assert float(row(ui.lesionTable)[3]) == pytest.approx(2 * before, abs=0.02)
    assert "Warning: the PET changed since" in ui.messageLabel.text and "measured anew" in ui.messageLabel.text
    click(ui.studyButton)
    assert panel.run.node is run.node
    matrix = slicer.util.vtkMatrixFromArray(np.diag([1.0, 1.0, 1.0, 1.0]) + 30 * np.eye(4, k=3))
    for volume in (chosen.ct, chosen.pet):  # as a hardened transform
        volume.ApplyTransformMatrix(matrix)
    module.exit()
    module.enter()
    assert nothing_to_export(panel) and "The CT and PET changed place or size" in ui.totalsLabel.text


def test_under_a_transform_it_stays_and_back_in_its_place_it_comes_back(module, panel):
    """Hardened, CT and PET lie elsewhere than the probability: the way out that is told must lead back to what was edited."""
    import slicer

    ui, nodes = panel.ui, (panel.chosen.ct, panel.chosen.pet, panel.run.node)
    put_crosshair(panel, ONLY_PET)
    click(ui.addButton)
    figures, said = row(ui.lesionTable), ui.messageLabel.text
    matrix = np.eye(4)
    matrix[0, 3] = 30.0

    def come_back(*, hardened: bool) -> None:
        transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
        for node in nodes:
            node.SetAndObserveTransformNodeID(transform.GetID())
            if hardened:
                node.HardenTransform()
        module.exit()
        module.enter()

    come_back(hardened=False)
    assert panel.run is not None and ui.messageLabel.text == said
    come_back(hardened=True)
    assert nothing_to_export(panel) and "changed place or size" in ui.totalsLabel.text
    user_chooses(ui.resultSelector, nodes[2])
    assert nothing_to_export(panel) and "bring it back" in ui.messageLabel.text
    matrix[0, 3] = -30.0
    come_back(hardened=True)
    user_chooses(ui.resultSelector, nodes[2])
    assert row(ui.lesionTable) == figures and ui.lesionTable.rowCount == 2 and ui.undoButton.text == "Undo: added lesion"


def double(volume) -> None:
    import slicer

    slicer.util.arrayFromVolume(volume)[:] *= 2
    slicer.util.arrayFromVolumeModified(volume)


def test_one_of_an_earlier_version_is_shown_without_what_its_record_lacks(module, panel):
    run = panel.run
    record = json.loads(run.node.GetAttribute(runs.RECORD))
    for name in ("images", "series", "notes"):
        record.pop(name, None)
    run.node.SetAttribute(runs.RECORD, json.dumps(record))
    module._on_scene_closed(None, None)
    assert panel.run.node is run.node and not panel.ui.messageLabel.text


def test_what_the_run_warned_of_is_told_whenever_it_comes_back(module, panel, other, tmp_path):
    sentence, ui = "the adapter x is not accepted: harm seen", panel.ui
    finished(panel, tmp_path, warnings=[{"code": "adapter-not-accepted", "sentence": sentence}])()
    run = panel.run
    assert sentence in ui.messageLabel.text
    choose(panel, other.ct, other.pet)
    panel._say("")
    user_chooses(ui.resultSelector, run.node)
    assert ui.messageLabel.text == f"Warning: {sentence}."
    panel._say("")
    module._on_scene_closed(None, None)
    assert panel.run.node is run.node and ui.messageLabel.text == f"Warning: {sentence}."


def test_a_pet_that_is_deleted_and_loaded_again_is_that_of_the_result(module, panel, sts_008):
    import slicer
    import slicer_app

    ui, chosen, first = panel.ui, panel.chosen, panel.run
    put_crosshair(panel, ONLY_PET)
    click(ui.addButton)
    figures = row(ui.lesionTable)
    slicer.mrmlScene.RemoveNode(chosen.pet)
    assert panel.run is first and row(ui.lesionTable) == figures
    user_chooses(ui.resultSelector, None)
    user_chooses(ui.resultSelector, first.node)
    assert row(ui.lesionTable)[3] == "–" and "the PET of the result is gone" in ui.messageLabel.text
    again = slicer_app.slicer_scene.load_series(sts_008 / "PET", "Again")
    module.exit()
    module.enter()
    assert chosen.pet is again and row(ui.lesionTable) == figures and ui.lesionTable.rowCount == 2
    slicer.mrmlScene.RemoveNode(again)
    again = slicer_app.slicer_scene.load_series(sts_008 / "PET", "And again")
    user_chooses(ui.petSelector, again)
    assert nothing_to_export(panel)
    user_chooses(ui.resultSelector, first.node)
    assert chosen.pet is again and row(ui.lesionTable) == figures and not ui.messageLabel.text
    slicer.mrmlScene.RemoveNode(again)
    for _ in range(2):  # which one is not plain: none is chosen
        slicer_app.slicer_scene.load_series(sts_008 / "PET", "Nobody's choice")
    module._on_scene_closed(None, None)  # as in a scene that is opened
    assert chosen.pet is None and row(ui.lesionTable)[3] == "–" and "the PET of the result is gone" in ui.messageLabel.text


def test_a_ct_that_is_loaded_again_but_not_chosen_is_not_told_to_be_gone(module, panel, sts_008):
    import slicer
    import slicer_app

    ui, chosen, first = panel.ui, panel.chosen, panel.run
    figures = row(ui.lesionTable)
    slicer.mrmlScene.RemoveNode(chosen.ct)
    for _ in range(2):  # which one is not plain: none is chosen
        again = slicer_app.slicer_scene.load_series(sts_008 / "CT", "Again")
    module._on_scene_closed(None, None)  # as in a scene that is opened
    assert chosen.ct is None and nothing_to_export(panel) and "another study" in ui.totalsLabel.text
    user_chooses(ui.resultSelector, first.node)
    assert chosen.ct is not None and row(ui.lesionTable) == figures and slicer.mrmlScene.IsNodePresent(again)


def test_without_its_pet_it_needs_no_typed_values(module, weightless, expert):
    import slicer

    panel, ui = module.panel, module.panel.ui
    user_chooses(ui.petSelector, weightless)
    ui.weightSpinBox.value = 7.0
    run = result(panel, expert)
    assert panel._results.add(run)
    slicer.mrmlScene.RemoveNode(weightless)
    assert panel.run is run
    user_chooses(ui.resultSelector, None)
    user_chooses(ui.resultSelector, run.node)
    ui.petOpacitySlider.value = 0.3  # whatever else is chosen
    assert panel.run.node is run.node and "the PET of the result is gone" in ui.messageLabel.text


def test_the_rule_for_the_mtv_is_that_of_the_result(panel, expert):
    ui, first = panel.ui, panel.run
    assert panel._results.add(result(panel, expert))
    ui.mtvRuleComboBox.currentText = "suv4"
    user_chooses(ui.resultSelector, first.node)
    ui.petOpacitySlider.value = 0.3  # whatever else is chosen
    assert ui.mtvRuleComboBox.currentText == panel.chosen.mtvRule == panel.run.mtv_rule == "41%"
    assert "41%" in ui.lesionTable.horizontalHeaderItem(2).text() and not panel.run.last_act


def test_a_region_holds_for_one_study(panel, other):
    """Whole-body studies share their coordinates: the box of one patient would cut the next one's tumour."""
    ui, chosen = panel.ui, panel.chosen
    ui.optionsGroupBox.collapsed = False
    panel._guarded(panel._segment_section.ask_for_region)
    region = chosen.roi
    for pet in (None, chosen.pet):
        user_chooses(ui.petSelector, pet)
        assert chosen.roi is region
    user_chooses(ui.ctSelector, other.ct)
    assert chosen.roi is None and ui.roiSelector.currentNode() is None and not region.GetDisplayNode().GetVisibility()
    assert "region of the former study" in ui.messageLabel.text
    user_chooses(ui.roiSelector, region)
    assert region.GetDisplayNode().GetVisibility() and chosen.roi is region


def test_a_box_is_offered_to_the_study_alone_that_needs_it(panel, other):
    from PEMMASegmentLib.panel.remaining import Remaining
    from PEMMASegmentLib.panel.widget import _Asked
    from PEMMASegmentLib.worker.events import Error

    ui, chosen, own = panel.ui, panel.chosen, (panel.chosen.ct, panel.chosen.pet)

    def refused():
        panel._asked = _Asked(7, panel._study(), *(node.GetID() for node in own), 0.0, Remaining(lambda: 0.0), {}, {})
        panel._take(Error(7, "outside-region", "the study reaches too far", "give --roi", ""))

    choose(panel, other.ct, other.pet)
    refused()
    assert chosen.roi is None and "choose the former one again" in ui.messageLabel.text
    choose(panel, *own)
    refused()
    assert chosen.roi is not None and "move the box" in ui.messageLabel.text

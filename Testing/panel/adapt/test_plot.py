"""What the panel puts into the scene for Adapt locally, its plots and comparisons, beside what is the user's."""

from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


def columns(role: str) -> dict[str, list[float]]:
    """What is drawn."""
    from PEMMASegmentLib.panel import own_nodes

    table = own_nodes.marked("vtkMRMLTableNode", f"plot {role}")[0].GetTable()
    found = [table.GetColumn(n) for n in range(table.GetNumberOfColumns())]
    return {column.GetName(): [column.GetValue(n) for n in range(table.GetNumberOfRows())] for column in found}


def test_a_closed_scene_makes_no_node_of_the_user_one_of_ours(app, tmp_path):
    """The scene gives the IDs of ours to those that come next: they are neither deleted nor written over."""
    import slicer

    from PEMMASegmentLib.panel import volumes
    from PEMMASegmentLib.panel.adapt_compare import Comparison
    from PEMMASegmentLib.panel.adapt_plot import Plot

    voxels = np.zeros((6, 6, 6), np.int16)
    voxels[2:4, 2:4, 2:4] = 1
    image, names = sitk.GetImageFromArray(voxels), ("ct", "pet", "mask", "before", "after")
    files = {name: tmp_path / f"{name}.nrrd" for name in names}
    for file in files.values():
        sitk.WriteImage(image, str(file))
    frame, comparison, host = framed(), Comparison(), SimpleNamespace(forget_view=lambda: None)
    plot = Plot(frame)

    def show() -> None:
        comparison.show({name: files[name] for name in names[:3]}, {name: files[name] for name in names[3:]}, host)
        plot.show_loss([1, 2], [0.5, 0.4], "loss")

    show()
    theirs = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLNode")}
    plot.clear()
    slicer.mrmlScene.Clear(0)
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "lesions")
    mine = [volumes.volume_of(image, name) for name in ("my CT", "my PET")]
    mine += [slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "my edits"), table]
    assert {node.GetID() for node in mine} <= theirs
    show()
    show()
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 4  # mine, and one case at a time
    assert all(node.GetScene() is slicer.mrmlScene for node in mine) and table.GetTable().GetNumberOfColumns() == 0


def framed():
    """A widget with a layout."""
    import qt

    frame = qt.QWidget()
    frame.setLayout(qt.QVBoxLayout())
    return frame


def test_the_plot_keeps_its_axes_and_makes_no_window_in_the_layouts(app):
    """Slicer's fitToContent would put the values' own ranges over those that are given."""
    import slicer

    from PEMMASegmentLib.panel.adapt_plot import Plot

    owners, scene = [], slicer.mrmlScene

    def added(*_):
        owners.extend(view.GetParentLayoutNode() for view in slicer.util.getNodesByClass("vtkMRMLPlotViewNode"))

    tag = scene.AddObserver(scene.NodeAddedEvent, added)
    frame = framed()
    plot = Plot(frame)
    plot.show_loss([1, 2, 3], [0.5, 0.4, 0.3], "loss")
    [chart] = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")
    assert chart.GetXAxisRange() == (1, 3) and chart.GetXAxisRangeAuto()
    plot.show_pairs([(0.62, 0.71), (0.55, 0.58)], (0.585, 0.645), (0.01, 0.11), "Dice")
    assert chart.GetYAxisRange() == pytest.approx((0.5, 0.8)) and not chart.GetYAxisRangeAuto()
    low, high = chart.GetXAxisRange()
    shown = {x for role in ("table", "interval") for x in columns(role)["Case"]}
    assert 0 < low < min(shown) and max(shown) < high < 3  # the axis numbers the two cases, and nothing else
    plot.clear()
    scene.Clear(0)
    assert not slicer.util.getNodesByClass("vtkMRMLPlotViewNode")  # a singleton, which would have lost its owner
    plot.show_loss([1, 2], [0.5, 0.4], "loss")
    scene.RemoveObserver(tag)
    assert owners and None not in owners

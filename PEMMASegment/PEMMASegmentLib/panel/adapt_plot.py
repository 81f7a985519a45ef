"""Slicer's plot view in the section Adapt locally: the loss of the training under way, then Dice before and after."""

from collections.abc import Sequence
from math import ceil, floor

import slicer
import vtk
from slicer.i18n import tr as _

#: as the segments of a comparison, so that a colour means the same everywhere; RGB in 0..1
BASE, ADAPTER = (0.90, 0.62, 0.00), (0.00, 0.45, 0.70)
_GREY = (0.6, 0.6, 0.6)
SMOOTHED = 10  # steps
APART, BESIDE = 1.5, 0.25  # cases: from the last one to the mean, and from there to the interval
_NAME = "PEMMASegment adaptation"


class Plot:
    """view: a qMRMLPlotView. The nodes are made when they are needed, and again after a scene was closed."""

    def __init__(self, view):
        self._view = view
        self._ids: dict[str, str] = {}

    def show_loss(self, steps: Sequence[int], losses: Sequence[float], title: str) -> None:
        """The loss of each step told so far, and its mean over the last steps."""
        means = [sum(part) / len(part) for part in (losses[max(0, n - SMOOTHED + 1) : n + 1] for n in range(len(losses)))]
        table = self._table({"Step": steps, "Loss": losses, "Mean": means})
        kind = slicer.vtkMRMLPlotSeriesNode
        series = [
            self._series("Loss", table, ("Step", "Loss"), _GREY, kind.LineStyleSolid, kind.MarkerStyleNone),
            self._series("Mean", table, ("Step", "Mean"), ADAPTER, kind.LineStyleSolid, kind.MarkerStyleNone),
        ]
        self._show(series, title, ("Step", "Loss"))

    def show_pairs(self, pairs: Sequence[tuple[float, float]], mean: tuple[float, float], interval: tuple[float, float],
                   title: str) -> None:  # fmt: skip
        """A pair of dots, Dice before and after, for each held-out case in the order of the table; apart at the right the
        mean over patients, beside it a line from the least to the most that its gain may be (`interval`)."""
        before, after = zip(*pairs, mean, strict=True)
        at, ends = [*range(1, len(pairs) + 1), len(pairs) + APART], [mean[0] + end for end in interval]
        table = self._table({"Case": at, "Base": before, "Adapter": after})
        line = self._table({"Case": [at[-1] + BESIDE] * 2, "Ends": ends}, "interval")
        kind = slicer.vtkMRMLPlotSeriesNode
        series = [
            self._series("95 %", line, ("Case", "Ends"), ADAPTER, kind.LineStyleSolid, kind.MarkerStyleNone),
            *(self._series(name, table, ("Case", name), colour, kind.LineStyleNone, kind.MarkerStyleCircle)
              for name, colour in (("Base", BASE), ("Adapter", ADAPTER))),
        ]  # fmt: skip
        axes = (_("Case; at the right mean and 95 % interval"), "Dice")
        told = [*before, *after, *ends]  # not from 0 to 1: pairs a few hundredths apart would lie on each other
        reach = (floor(10 * min(told) - 0.2) / 10, ceil(10 * max(told) + 0.2) / 10)
        self._show(series, title, axes, ((0.5, at[-1] + 0.5), reach))

    def _table(self, columns: dict[str, Sequence[float]], role: str = "table"):
        table = vtk.vtkTable()
        for name, values in columns.items():
            array = vtk.vtkDoubleArray()
            array.SetName(name)
            for value in values:
                array.InsertNextValue(value)
            table.AddColumn(array)
        node = self._node("vtkMRMLTableNode", role)
        node.SetAndObserveTable(table)
        return node

    def _series(self, name: str, table, columns: tuple[str, str], colour, line: int, marker: int):
        node = self._node("vtkMRMLPlotSeriesNode", name)
        node.SetName(name)
        node.SetAndObserveTableNodeID(table.GetID())
        node.SetPlotType(node.PlotTypeScatter)
        node.SetXColumnName(columns[0])
        node.SetYColumnName(columns[1])
        node.SetColor(*colour)
        node.SetLineStyle(line)
        node.SetMarkerStyle(marker)
        node.SetMarkerSize(9)
        return node

    def _show(self, series: list, title: str, axes: tuple[str, str], ranges=None) -> None:
        """axes: what is along x and y; ranges: of both, None for that of the values, with a legend, which hides none of them."""
        chart = self._node("vtkMRMLPlotChartNode", "chart")
        wanted = [one.GetID() for one in series]
        if [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())] != wanted:
            chart.RemoveAllPlotSeriesNodeIDs()
            for one in wanted:
                chart.AddAndObservePlotSeriesNodeID(one)
        chart.SetTitle(title)
        chart.SetXAxisTitle(axes[0])
        chart.SetYAxisTitle(axes[1])
        chart.SetXAxisRangeAuto(ranges is None)
        chart.SetYAxisRangeAuto(ranges is None)
        if ranges is not None:
            chart.SetXAxisRange(*ranges[0])
            chart.SetYAxisRange(*ranges[1])
        chart.SetTitleFontSize(12)
        chart.SetLegendVisibility(ranges is None)
        self._place().SetPlotChartNodeID(chart.GetID())
        self._view.fitToContent()

    def _place(self):
        """The view's node. It belongs to none of the application's layouts, or these would make a window for it."""
        node = self._node("vtkMRMLPlotViewNode", "view")
        if not node.GetLayoutName():
            owner = self._node("vtkMRMLScriptedModuleNode", "owner")
            node.SetLayoutName(_NAME)
            node.SetAndObserveParentLayoutNodeID(owner.GetID())
        self._view.setMRMLPlotViewNode(node)
        return node

    def _node(self, kind: str, role: str):
        """Ours, hidden and never saved."""
        node = slicer.mrmlScene.GetNodeByID(self._ids.get(role, ""))
        if node is None or not node.IsA(kind):
            node = slicer.mrmlScene.CreateNodeByClass(kind)
            node.UnRegister(None)
            node.SetName(f"{_NAME} {role}")
            node.SetHideFromEditors(True)
            node.SetSaveWithScene(False)
            node = slicer.mrmlScene.AddNode(node)
            self._ids[role] = node.GetID()
        return node

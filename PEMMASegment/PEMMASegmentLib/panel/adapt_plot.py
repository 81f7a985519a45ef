"""Slicer's plot view in the section Adapt locally: the loss of the training under way, then Dice before and after."""

from collections.abc import Callable, Sequence
from math import ceil, floor

import slicer
import vtk
from slicer.i18n import tr as _

from . import own_nodes

#: as the segments of a comparison, so that a colour means the same everywhere; RGB in 0..1
BASE, ADAPTER = (0.90, 0.62, 0.00), (0.00, 0.45, 0.70)
_GREY = (0.6, 0.6, 0.6)
SMOOTHED = 10  # steps
#: From the last case to the mean, to the interval and to the axis's end: below 1, or there would be a number without a case.
MEAN, INTERVAL, END = 0.6, 0.85, 0.95
_NAME, _VIEW = "PEMMASegment adaptation", "plot view"


class Plot:
    """frame: a widget with a layout, for the view. Nodes are made when they are needed, and again after a scene was closed."""

    def __init__(self, frame):
        self._view = slicer.qMRMLPlotView()  # not in the .ui file: without a plug-in for Qt's designer it would be a QWidget
        self._view.setMRMLScene(slicer.mrmlScene)
        frame.layout().addWidget(self._view)

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
        """A pair of dots, Dice before and after, for each held-out case over its number in the table; at the right the
        mean over patients, beside it a line from the least to the most that its gain may be (`interval`)."""
        before, after = zip(*pairs, mean, strict=True)
        last, ends = len(pairs), [mean[0] + end for end in interval]
        at = [*range(1, last + 1), last + MEAN]
        table = self._table({"Case": at, "Base": before, "Adapter": after})
        line = self._table({"Case": [last + INTERVAL] * 2, "Ends": ends}, "interval")
        kind = slicer.vtkMRMLPlotSeriesNode
        series = [
            self._series("95 %", line, ("Case", "Ends"), ADAPTER, kind.LineStyleSolid, kind.MarkerStyleNone),
            *(self._series(name, table, ("Case", name), colour, kind.LineStyleNone, kind.MarkerStyleCircle)
              for name, colour in (("Base", BASE), ("Adapter", ADAPTER))),
        ]  # fmt: skip
        axes = (_("Row of the table; at the right mean and 95 % interval"), "Dice")
        told = [*before, *after, *ends]  # not from 0 to 1: pairs a few hundredths apart would lie on each other
        reach = (floor(10 * min(told) - 0.2) / 10, ceil(10 * max(told) + 0.2) / 10)
        self._show(series, title, axes, ((1 - END, last + END), reach))

    def clear(self) -> None:
        """Before a scene closes: the view's node is a singleton, which would stay, but without its owner."""
        self._view.setMRMLPlotViewNode(None)
        for node in own_nodes.marked("vtkMRMLPlotViewNode", _VIEW):
            slicer.mrmlScene.RemoveNode(node)

    def _table(self, columns: dict[str, Sequence[float]], role: str = "table"):
        table = vtk.vtkTable()
        for name, values in columns.items():
            array = vtk.vtkDoubleArray()
            array.SetName(name)
            for value in values:
                array.InsertNextValue(value)
            table.AddColumn(array)
        node = self._node("vtkMRMLTableNode", f"plot {role}")
        node.SetAndObserveTable(table)
        return node

    def _series(self, name: str, table, columns: tuple[str, str], colour, line: int, marker: int):
        node = self._node("vtkMRMLPlotSeriesNode", f"plot {name}")
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
        chart = self._node("vtkMRMLPlotChartNode", "plot chart")
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
        if ranges is None:  # else it would put the values' own ranges into the chart
            self._view.fitToContent()

    def _place(self):
        """The view's node. It belongs to none of the application's layouts, or these would make a window for it."""
        node = self._node("vtkMRMLPlotViewNode", _VIEW, self._take_out_of_layouts)
        self._view.setMRMLPlotViewNode(node)
        return node

    def _take_out_of_layouts(self, view) -> None:
        owner = self._node("vtkMRMLScriptedModuleNode", "plot owner")
        view.SetLayoutName(_NAME)
        view.SetAndObserveParentLayoutNodeID(owner.GetID())

    def _node(self, kind: str, role: str, prepare: Callable = lambda node: None):
        """Of ours, the one with this role. prepare(node): what must be so before the scene tells others of a new one."""
        found = own_nodes.marked(kind, role)
        if found:
            return found[0]
        node = own_nodes.mark(slicer.mrmlScene.CreateNodeByClass(kind), role)
        node.UnRegister(None)
        node.SetName(f"{_NAME} {role}")
        prepare(node)
        return slicer.mrmlScene.AddNode(node)

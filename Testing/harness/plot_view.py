"""Stand-in for qMRMLPlotView: draws the chart of its view node with VTK's charts, as Slicer's own does."""

import slicer
import vtk
from PyQt5 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

_LINES = {"none": vtk.vtkPen.NO_PEN, "solid": vtk.vtkPen.SOLID_LINE}
_MARKERS = {"none": vtk.vtkPlotPoints.NONE, "circle": vtk.vtkPlotPoints.CIRCLE}


class PlotView(QtWidgets.QWidget):
    """Draws anew when it is shown and something has changed."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.__dict__.update(scene=None, node=None, drawn=None, image=None, view=None)

    def setMRMLScene(self, scene):
        self.__dict__["scene"] = scene

    def setMRMLPlotViewNode(self, node):
        assert node is None or node.IsA("vtkMRMLPlotViewNode")
        self.__dict__["node"] = node
        QtWidgets.QWidget.update(self)

    def mrmlPlotViewNode(self):
        return self.__dict__["node"]

    def fitToContent(self):
        """As Slicer's does it: also axes with a fixed range get that of the values, and so does the chart node."""
        chart = self._chart()
        if chart is not None:
            tables = [(one, one.GetTableNode().GetTable()) for one in _series(chart)]
            chart.SetXAxisRange(*_reach([table.GetColumnByName(one.GetXColumnName()) for one, table in tables]))
            chart.SetYAxisRange(*_reach([table.GetColumnByName(one.GetYColumnName()) for one, table in tables]))
        QtWidgets.QWidget.update(self)

    def _chart(self):
        node, scene = self.__dict__["node"], self.__dict__["scene"]
        return scene.GetNodeByID(node.GetPlotChartNodeID() or "") if node is not None and scene is not None else None

    def paintEvent(self, event):
        painter = QtGui.QPainter(self)
        size = QtWidgets.QWidget.size(self)
        painter.fillRect(0, 0, size.width(), size.height(), QtCore.Qt.white)
        chart = self._chart()
        if chart is not None:
            painter.drawImage(0, 0, self._image(chart, size))
        painter.end()

    def _image(self, chart, size):
        series = _series(chart)
        tables = [one.GetTableNode().GetTable() for one in series]
        key = (chart.GetMTime(), *(one.GetMTime() for one in series), *(table.GetMTime() for table in tables),
               size.width(), size.height())  # fmt: skip
        if self.__dict__["drawn"] != key:
            view = self.__dict__["view"] or _view()
            self.__dict__.update(drawn=key, view=view, image=_drawn(view, chart, series, size.width(), size.height()))
        return self.__dict__["image"]


def _series(chart) -> list:
    return [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]


def _reach(columns) -> tuple[float, float]:
    values = [column.GetValue(n) for column in columns for n in range(column.GetNumberOfTuples())]
    return min(values), max(values)


def _view():
    view = vtk.vtkContextView()
    view.GetRenderWindow().SetOffScreenRendering(1)
    view.GetRenderer().SetBackground(1, 1, 1)
    return view


def _drawn(view, chart, series, width: int, height: int) -> QtGui.QImage:
    window = view.GetRenderWindow()
    window.SetSize(width, height)
    view.GetScene().ClearItems()
    view.GetScene().AddItem(_chart(chart, series))
    window.Render()
    picture = vtk.vtkWindowToImageFilter()
    picture.SetInput(window)
    picture.ReadFrontBufferOff()
    picture.Update()
    pixels = vtk_to_numpy(picture.GetOutput().GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()
    return QtGui.QImage(pixels.data, width, height, 3 * width, QtGui.QImage.Format_RGB888).copy()


def _chart(node, series):
    chart = vtk.vtkChartXY()
    chart.SetTitle(node.GetTitle())
    chart.SetShowLegend(node.GetLegendVisibility())
    chart.GetAxis(1).SetTitle(node.GetXAxisTitle())
    chart.GetAxis(0).SetTitle(node.GetYAxisTitle())
    if not node.GetXAxisRangeAuto():
        for axis, given in ((chart.GetAxis(1), node.GetXAxisRange()), (chart.GetAxis(0), node.GetYAxisRange())):
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetRange(*given)
    for one in series:
        plot = chart.AddPlot(vtk.vtkChart.LINE)
        plot.SetInputData(one.GetTableNode().GetTable(), one.GetXColumnName(), one.GetYColumnName())
        plot.SetLabel(one.GetName())
        plot.SetColorF(*one.GetColor())
        plot.SetWidth(2)
        plot.GetPen().SetLineType(_LINES[one.GetLineStyleAsString(one.GetLineStyle())])
        plot.SetMarkerStyle(_MARKERS[one.GetMarkerStyleAsString(one.GetMarkerStyle())])
        plot.SetMarkerSize(one.GetMarkerSize())
    assert slicer.mrmlScene is node.GetScene()
    return chart

"""Slicer's own MRML scene and logic from the package slicer-core, set up as the application does it; no widgets.

Software OpenGL, no X server. The DICOM database is a folder of files. Where the environment variable SLICER_BASE_PYTHON
names the folder Python of an installed Slicer (below bin), its own files serve in the place of our stand-ins.
"""

import importlib
import os
import sys
import types
from pathlib import Path

import pydicom
import slicer
import vtk

#: the package slicer of an installed Slicer, None: our stand-ins
OWN = Path(os.environ["SLICER_BASE_PYTHON"]) / "slicer" if os.environ.get("SLICER_BASE_PYTHON") else None
if OWN is not None:
    slicer.__path__.insert(0, str(OWN))
    del sys.modules["slicer.util"]
    slicer.util = importlib.import_module("slicer.util")

LOGICS = {
    "Volumes": "vtkSlicerVolumesLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Units": "vtkSlicerUnitsLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
}
_MANAGERS_2D = (
    "vtkMRMLModelSliceDisplayableManager", "vtkMRMLSegmentationsDisplayableManager2D",
)  # fmt: skip
_MANAGERS_3D = (
    "vtkMRMLCameraDisplayableManager", "vtkMRMLViewDisplayableManager", "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D", "vtkMRMLVolumeRenderingDisplayableManager",
)  # fmt: skip


class FolderDatabase:
    """What the panel asks of the DICOM database. Without a folder it is not open, as in a Slicer that is new."""

    def __init__(self, folder: Path | None = None):
        self.isOpen = folder is not None
        self.inserted: list[str] = []
        self._files: dict[str, str] = {}
        self._series: dict[str, Path] = {}
        self._headers: dict[str, pydicom.Dataset] = {}
        if folder is not None:
            self.add(folder)

    def add(self, folder: Path) -> None:
        for file in sorted(folder.rglob("*.dcm")):
            told = pydicom.dcmread(file, specific_tags=["SOPInstanceUID", "SeriesInstanceUID"], stop_before_pixels=True)
            self._files[str(told.SOPInstanceUID)] = str(file)
            self._series[str(told.SeriesInstanceUID)] = file.parent

    def openDatabase(self, file: str) -> None:
        """Its own; one that is there already is of another Slicer, with another schema."""
        self.isOpen = Path(file).parent.is_dir() and not Path(file).exists()

    def closeDatabase(self) -> None:
        self.isOpen = False

    def folder_of(self, series_uid: str) -> Path | None:
        return self._series.get(series_uid)

    def fileForInstance(self, uid: str) -> str:
        return self._files.get(uid, "")

    def instanceValue(self, uid: str, tag: str) -> str:
        if uid not in self._headers:  # the real one looks into its cache of tags
            self._headers[uid] = pydicom.dcmread(self._files[uid], stop_before_pixels=True)
        element = self._headers[uid].get(int(tag.replace(",", ""), 16))
        return str(element.value) if element is not None else ""

    def insert(self, path: str) -> None:
        """One that is closed takes nothing, and says nothing."""
        self.inserted.append(path)
        if self.isOpen:
            self._files[str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)] = path


def start():
    """A new scene as `slicer.mrmlScene` with the logics of LOGICS; returns the application logic."""
    scene, application = slicer.vtkMRMLScene(), slicer.vtkSlicerApplicationLogic()
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    application.SetMRMLScene(scene)
    application.GetColorLogic().SetMRMLScene(scene)
    application.GetColorLogic().AddDefaultColorNodes()
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    application.SetModuleLogic("Colors", application.GetColorLogic())
    modules = {}
    for name, kind in LOGICS.items():
        logic = getattr(slicer, kind)()
        logic.SetMRMLScene(scene)
        logic.SetMRMLApplicationLogic(application)
        application.SetModuleLogic(name, logic)
        modules[name.lower()] = types.SimpleNamespace(logic=lambda logic=logic: logic)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    for factory in (slicer.vtkMRMLSliceViewDisplayableManagerFactory, slicer.vtkMRMLThreeDViewDisplayableManagerFactory):
        factory.GetInstance().SetMRMLApplicationLogic(application)
    slicer.mrmlScene, slicer.modules = scene, types.SimpleNamespace(**modules)
    put("i18n", {"tr": lambda text: text, "translate": lambda context, text: text})
    return application


def put(name: str, members: dict, *, never_own: bool = False) -> None:
    """A Python module of Slicer's that slicer-core lacks: its own if there is one, else of these stand-ins."""
    if OWN is not None and not never_own:
        setattr(slicer, name, importlib.import_module(f"slicer.{name}"))
        return
    made = types.ModuleType(f"slicer.{name}")
    made.__dict__.update(members)
    sys.modules[made.__name__] = made
    setattr(slicer, name, made)


def load_series(folder: Path, name: str):
    """A volume node read by Slicer's own reader, with the attribute that its DICOM module gives it."""
    files = sorted(str(file) for file in folder.glob("*.dcm"))
    names = vtk.vtkStringArray()
    for file in files:
        names.InsertNextValue(file)
    node = slicer.modules.volumes.logic().AddArchetypeVolume(files[0], name, 0, names)
    uids = (pydicom.dcmread(file, specific_tags=["SOPInstanceUID"]).SOPInstanceUID for file in files)
    node.SetAttribute("DICOM.instanceUIDs", " ".join(uids))
    return node


def slice_picture(path: Path, application, background, foreground, orientation: str, at, opacity=0.5,
                  size=(512, 512)) -> list:  # fmt: skip
    """A slice view through a point (RAS, mm), as the application renders it. Keep what it returns while the scene lives."""
    renderer, window, interactor = _window(size)
    renderer.GetActiveCamera().ParallelProjectionOn()
    mapper, actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
    mapper.SetColorWindow(255)
    mapper.SetColorLevel(127.5)
    actor.SetMapper(mapper)
    actor.GetProperty().SetDisplayLocationToBackground()
    renderer.AddViewProp(actor)  # before the managers: else segments are blended onto black
    group = _managers(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), _MANAGERS_2D, renderer)
    logic = slicer.vtkMRMLSliceLogic()
    logic.SetMRMLApplicationLogic(application)
    application.GetSliceLogics().AddItem(logic)
    logic.SetMRMLScene(slicer.mrmlScene)
    view = logic.AddSliceNode(f"{orientation}{application.GetSliceLogics().GetNumberOfItems()}")
    group.SetMRMLDisplayableNode(view)
    view.SetOrientation(orientation)
    layers = logic.GetSliceCompositeNode()
    layers.SetBackgroundVolumeID(background.GetID())
    layers.SetForegroundVolumeID(foreground.GetID())
    layers.SetForegroundOpacity(opacity)
    logic.ResizeSliceNode(*size)
    logic.FitSliceToBackground()
    view.JumpSliceByOffsetting(*at)
    mapper.SetInputConnection(logic.GetImageDataConnection())
    _save(window, path)
    return [window, interactor, group, logic]


def picture_3d(path: Path, application, size=(512, 512), before=lambda: None) -> list:
    """The 3D view from the front, after `before` was called. Keep what it returns for as long as the scene lives."""
    renderer, window, interactor = _window(size)
    group = _managers(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), _MANAGERS_3D, renderer)
    logic = slicer.vtkMRMLViewLogic()
    logic.SetMRMLApplicationLogic(application)
    application.GetViewLogics().AddItem(logic)
    logic.SetMRMLScene(slicer.mrmlScene)
    group.SetMRMLDisplayableNode(logic.AddViewNode("1"))
    before()
    renderer.ResetCamera()
    renderer.GetActiveCamera().Zoom(1.25)
    _save(window, path)
    return [window, interactor, group, logic]


def _window(size):
    renderer, window, interactor = vtk.vtkRenderer(), vtk.vtkRenderWindow(), vtk.vtkRenderWindowInteractor()
    window.SetOffScreenRendering(1)
    window.SetSize(*size)
    window.AddRenderer(renderer)
    interactor.SetRenderWindow(window)
    return renderer, window, interactor


def _managers(factory, names, renderer):
    for name in names:
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)
    group = slicer.vtkMRMLDisplayableManagerGroup()
    group.SetRenderer(renderer)
    group.Initialize(factory, renderer)
    return group


def _save(window, path: Path) -> None:
    window.Render()
    picture, writer = vtk.vtkWindowToImageFilter(), vtk.vtkPNGWriter()
    picture.SetInput(window)
    picture.ReadFrontBufferOff()
    writer.SetFileName(str(path))
    writer.SetInputConnection(picture.GetOutputPort())
    writer.Write()

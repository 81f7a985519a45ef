"""How CT and PET are shown together: PET in colour or inverted grey over the CT, its window in SUV, its projection in 3D."""

from collections.abc import Mapping

import SimpleITK as sitk
import slicer

from ..core import PemmaError

#: name in the panel -> colour node
COLOURS = {
    "colour": "vtkMRMLPETProceduralColorNodePET-HotMetalBlue",
    "inverted grey": "vtkMRMLColorTableNodeInvertedGrey",
}
#: name in the panel -> SUV from, to; None: as typed
WINDOWS = {"SUV 0 to 5": (0.0, 5.0), "SUV 0 to 10": (0.0, 10.0), "free": None}
CT_WINDOW = (-160.0, 240.0)  # HU, soft tissue
WHITE = (1.0, 1.0, 1.0)
_LOOK = ("RaycastTechnique", "BackgroundColor", "BackgroundColor2", "BoxVisible")  # of a 3D view
#: of the projection: share of the window -> how dense; low uptake is a haze through which a lesion's surface is seen
DENSITY = ((0.0, 0.0), (0.15, 0.6), (1.0, 0.95))
FILL, THICKNESS, SURFACE = 0.12, 2, 0.45  # of lesions: the PET shines through


def fuse(ct, pet, *, colour: str, window: tuple[float, float], opacity: float, fit: bool = True) -> None:
    """Shows the PET over the CT in all slice views; one of them may be None, then the other is shown alone.

    window: of the PET, in what its voxels hold. opacity: of the PET, 0..1. fit: also moves the views to the volumes.
    """
    if ct is not None:
        _display(ct, *CT_WINDOW, "vtkMRMLColorTableNodeGrey")
    if pet is not None:
        _display(pet, *window, COLOURS[colour])
    above = pet if ct is not None else None
    slicer.util.setSliceViewerLayers(background=ct or pet, foreground=above, foregroundOpacity=opacity, fit=fit)


FOUR_UP = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView  # axial, coronal, sagittal and 3D view


def layout() -> int | None:
    """The number of the views' layout; None without a main window."""
    manager = slicer.app.layoutManager()
    return manager.layoutLogic().GetLayoutNode().GetViewArrangement() if manager is not None else None


def lay_out(number: int) -> None:
    """Lays the views out as they were, or as FOUR_UP."""
    manager = slicer.app.layoutManager()
    if manager is not None:
        manager.setLayout(number)


def looks_in_3d() -> dict[str, tuple]:
    """How the 3D views look: ID of the view -> what `project` changes in it; back with `restore_3d`."""
    return {node.GetID(): tuple(getattr(node, f"Get{name}")() for name in _LOOK) for node in _views_3d()}


def restore_3d(looks: Mapping[str, tuple]) -> None:
    """Gives the 3D views a look of `looks_in_3d`; those that are not in it stay as they are."""
    for node in _views_3d():
        for name, value in zip(_LOOK, looks.get(node.GetID(), ()), strict=False):
            getattr(node, f"Set{name}")(value)


def project(pet, window: tuple[float, float]) -> None:
    """The PET's maximum intensity projection in the 3D views, inverted grey on white, lesions before it.

    window: in what the PET's voxels hold. Raises PemmaError "no-volume-rendering" in a Slicer without that module.
    """
    logic = _rendering()
    display = logic.GetFirstVolumeRenderingDisplayNode(pet) or logic.CreateDefaultVolumeRenderingNodes(pet)
    display.SetFollowVolumeDisplayNode(False)
    shades = display.GetVolumePropertyNode().GetVolumeProperty()
    opacity, colour = shades.GetScalarOpacity(), shades.GetRGBTransferFunction()
    opacity.RemoveAllPoints()
    colour.RemoveAllPoints()
    low, high = window
    for share, dense in DENSITY:
        opacity.AddPoint(low + share * (high - low), dense)
        colour.AddRGBPoint(low + share * (high - low), *(1 - share,) * 3)
    restore_3d(dict.fromkeys(looks_in_3d(), (slicer.vtkMRMLViewNode.MaximumIntensityProjection, WHITE, WHITE, False)))
    display.SetVisibility(True)
    _look_from_the_front()


def hide_projection(pet) -> None:
    """Takes the projection out of the 3D views again."""
    display = _rendering().GetFirstVolumeRenderingDisplayNode(pet) if pet is not None and has_rendering() else None
    if display is not None:
        display.SetVisibility(False)


def jump_to(point_ras: tuple[float, float, float]) -> None:
    """Brings all slice views to a point, RAS millimetres."""
    slicer.modules.markups.logic().JumpSlicesToLocation(*point_ras, True)


def see_through(segmentation) -> None:
    """Lesions as outlines in the slice views and as half transparent surfaces in 3D."""
    display = segmentation.GetDisplayNode()
    display.SetOpacity2DFill(FILL)
    display.SetSliceIntersectionThickness(THICKNESS)
    display.SetOpacity3D(SURFACE)


def has_rendering() -> bool:
    """Whether this Slicer has the module Volume Rendering."""
    return getattr(slicer.modules, "volumerendering", None) is not None


def no_rendering() -> PemmaError:
    """What to say where it is missing."""
    sentence = "this Slicer has no module Volume Rendering, so there is no projection of the PET in 3D"
    return PemmaError("no-volume-rendering", sentence, "the slice views show everything else")


def per_suv(pet, suv: sitk.Image) -> float:
    """What the node's voxels hold for an SUV of 1: another number than 1 when they are in Bq/ml. suv: the same in SUVbw."""
    stored, meant = slicer.util.arrayFromVolume(pet).max(), sitk.GetArrayViewFromImage(suv).max()
    return float(stored / meant) if meant > 0 else 1.0


def _rendering():
    if not has_rendering():
        raise no_rendering()
    return slicer.modules.volumerendering.logic()


def _views_3d() -> list:
    return list(slicer.util.getNodesByClass("vtkMRMLViewNode"))


def _look_from_the_front() -> None:
    manager = slicer.app.layoutManager()
    for number in range(manager.threeDViewCount if manager is not None else 0):
        view = manager.threeDWidget(number).threeDView()
        view.rotateToViewAxis(3)  # from the front
        view.resetFocalPoint()
        view.resetCamera()


def _display(node, low: float, high: float, colour: str) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)
    display.SetAndObserveColorNodeID(colour)

"""How CT and PET are shown together: PET in colour or inverted grey over the CT, its window in SUV, its opacity."""

import SimpleITK as sitk
import slicer

#: name in the panel -> colour node
COLOURS = {
    "colour": "vtkMRMLPETProceduralColorNodePET-DICOM",
    "inverted grey": "vtkMRMLColorTableNodeInvertedGrey",
}
CT_WINDOW = (-160.0, 240.0)  # HU, soft tissue


def fuse(ct, pet, *, colour: str, highest: float, opacity: float) -> None:
    """Shows the PET over the CT in all slice views; one of them may be None, then the other is shown alone.

    highest: upper end of the PET's window, in what its voxels hold. opacity: of the PET, 0..1.
    """
    if ct is not None:
        _display(ct, *CT_WINDOW, "vtkMRMLColorTableNodeGrey")
    if pet is not None:
        _display(pet, 0.0, highest, COLOURS[colour])
    above = pet if ct is not None else None
    slicer.util.setSliceViewerLayers(background=ct or pet, foreground=above, foregroundOpacity=opacity, fit=True)


def four_up() -> None:
    """Axial, coronal, sagittal and 3D view."""
    layout = slicer.app.layoutManager()
    if layout is not None:  # there is none without a main window
        layout.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def per_suv(pet, suv: sitk.Image) -> float:
    """What the node's voxels hold for an SUV of 1: another number than 1 when they are in Bq/ml. suv: the same in SUVbw."""
    stored, meant = slicer.util.arrayFromVolume(pet).max(), sitk.GetArrayViewFromImage(suv).max()
    return float(stored / meant) if meant > 0 else 1.0


def _display(node, low: float, high: float, colour: str) -> None:
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(low, high)
    display.SetAndObserveColorNodeID(colour)

"""The panel in 3D Slicer: MRML nodes in and out, widgets; the only room that knows Qt, VTK and Slicer."""

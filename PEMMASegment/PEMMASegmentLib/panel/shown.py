"""How one result lies in the scene: its segments with their surfaces, names and colours, its table and its record."""

import json
from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np
import slicer

from ..core import Lesion, PemmaError, Segmentation
from . import segments, table, volumes
from .drawing import Drawing, changed
from .looks import Look, Place, as_text, looks_of, placed, seen

RECORD = "PEMMASegment.Record"
PROBABILITY, TABLE, CT, PET = (f"PEMMASegment.{name}" for name in ("Probability", "Table", "CT", "PET"))


class Shown:
    """Nodes are looked up by ID each time: the user may have removed them.

    places: names and colours, and where. placed: lesion that is drawn -> index of its place.
    """

    def __init__(self, node_id: str, segmentation: Segmentation):
        self._node_id, self._grid, self._model = node_id, segmentation.probability, segmentation.model
        self.places: tuple[Place, ...] = ()
        self.placed: Mapping[int, int] = {}
        self._in_3d = True
        self._surfaces: dict | None = None  # those that are still right, while the others wait to be made

    @property
    def node(self):
        """The segmentation node. Raises PemmaError "result-gone" after its removal."""
        node = slicer.mrmlScene.GetNodeByID(self._node_id)
        if node is None:
            raise PemmaError("result-gone", "the result is no longer in the scene", "segment again")
        return node

    @property
    def reference(self):
        """The volume node that the result is shown over; may be gone, and no longer lie on the label's grid."""
        return self.node.GetNodeReference(CT) or self.node.GetNodeReference(PET)

    def in_place(self, role: str) -> bool:
        """Whether the volume of this role, on whose grid the result lies, is where it was: moved contours are not edited."""
        volume, here = self.node.GetNodeReference(role), volumes.matrix_of(self._grid)
        return volume is None or np.allclose(volumes.ijk_to_ras(volume), here, rtol=0, atol=1e-3)

    @property
    def looks(self) -> dict[int, Look]:
        """Lesion -> what the user gave to it, as noticed last."""
        return looks_of(self.places, self.placed)

    def notice(self, drawing: Drawing) -> None:
        """Names and colours as they are in the segments, and where; a segment that is gone had what it was given at last."""
        there = segments.ids(self.node)
        looks = {number: look for number, look in self.looks.items() if number not in there} | segments.looks(self.node)
        self.places = seen(self.places, self.placed, drawing, looks)
        self.placed = {place.number: n for n, place in enumerate(self.places) if place.number}

    def draw(self, drawing: Drawing, before: Drawing | None, lesions: Sequence[Lesion], reviewed: Set[int]) -> None:
        """Segments of this drawing; the surfaces of lesions that have other voxels than before wait for `make_surfaces`."""
        self._keep_surfaces(drawing, before)
        self.placed = placed(self.places, drawing, before.touched if before is not None else ())
        segments.draw(self.node, drawing.voxels, self._grid, lesions, self._model, reviewed, self.looks)

    def describe(self, lesions: Sequence[Lesion], reviewed: Set[int]) -> None:
        """Figures and marks of segments whose voxels stay."""
        segments.describe(self.node, lesions, self._model, reviewed)

    def make_surfaces(self) -> None:
        """Makes the surfaces that are missing, unless the user has switched them off."""
        if self._surfaces is not None:
            segments.make_surfaces(self.node, self._surfaces)
            self._surfaces = None

    def record(self, about: Mapping[str, Any]) -> None:
        """Brings up to date what the scene keeps."""
        kept = json.loads(self.node.GetAttribute(RECORD))
        self.node.SetAttribute(RECORD, json.dumps(kept | about | {"gone_looks": as_text(self.places)}))

    def fill_table(self, lesions: Sequence[Lesion], mtv_rule: str) -> None:
        """The figures, where the table is still there."""
        if self.node.GetNodeReference(TABLE) is not None:
            table.fill(self.node.GetNodeReference(TABLE), lesions, mtv_rule)

    def _keep_surfaces(self, drawing: Drawing, before: Drawing | None) -> None:
        """Surfaces of lesions that have the same voxels in the new drawing."""
        known = segments.surfaces(self.node)
        if self._surfaces is None and segments.ids(self.node):
            self._in_3d = bool(known)
        differ = changed(before.voxels, drawing.voxels) if before is not None else ()
        known = {n: surface for n, surface in (known | (self._surfaces or {})).items() if n not in differ}
        self._surfaces = known if self._in_3d else None

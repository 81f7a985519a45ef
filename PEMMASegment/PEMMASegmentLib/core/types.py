"""What travels between the rooms: a segmentation with its history, a lesion with its figures; and the words of choices."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import PemmaWarning

if TYPE_CHECKING:  # the command line has its choices from here, and starts at once
    import SimpleITK as sitk

#: What a network looks at, where it computes, and which voxels of a lesion its MTV counts (`results.measure` knows how).
INPUTS = ("ct+pet", "ct", "pet")
DEVICES = ("auto", "cuda", "cpu")
MTV_RULES = ("41%", "50%", "suv2.5", "suv4", "contour")
USUAL_RULE = "41%"
#: SNOMED CT codes (scheme SCT) of what a segment is said to be: Morphologically Abnormal Structure, Neoplasm.
CATEGORY_CODE, TYPE_CODE = "49755003", "108369006"
#: A smaller component is no lesion, where neither the user nor an adapter says otherwise; a ball of 10 mm.
SMALLEST_ML = 0.5


@dataclass(frozen=True)
class Identity:
    """Which model or adapter made a result: its name, version and the sha256 of its weights (hex)."""

    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class Step:
    """One thing that was done, and the wall-clock seconds it took."""

    name: str
    seconds: float


@dataclass(frozen=True)
class Segmentation:
    """What the network said of one study, on the CT grid (PET grid when there is no CT), in LPS millimetres.

    probability: float32 in 0..1; label: uint8, 1 where probability >= threshold.
    inputs: "ct+pet", "ct" or "pet". device: in words ("CPU, 2 threads"). precision: "float32", "bfloat16", "float16".
    roi_mm: (x0, x1, y0, y1, z0, z1) of the region that was looked at, None for all of the study.
    warnings: of the run (outside the known region, memory ladder ...).
    adapter_parts: in words, each part of the adapter that acted. min_volume_ml: of the smallest component that the label
    was left with on account of the adapter; None: none was taken out.
    numbers: after a user's edits the lesion of each voxel, 0 outside; None: lesions are the components of the label.
    """

    probability: "sitk.Image"
    label: "sitk.Image"
    threshold: float
    model: Identity
    adapter: Identity | None
    inputs: str
    device: str
    precision: str
    roi_mm: tuple[float, float, float, float, float, float] | None = None
    steps: tuple[Step, ...] = ()
    warnings: tuple[PemmaWarning, ...] = ()
    adapter_parts: tuple[str, ...] = ()
    min_volume_ml: float | None = None
    numbers: "sitk.Image | None" = None

    @property
    def smallest_ml(self) -> float:
        """Volume of the smallest component that counts as a lesion, ml."""
        return SMALLEST_ML if self.min_volume_ml is None else self.min_volume_ml


@dataclass
class Lesion:
    """One 26-connected component of the label, or what a user made of it, and its figures (`results.measure`).

    PET figures are None without a PET. volume_ml is the contour's volume, which is not the MTV.
    algorithm_type: DICOM's word for who drew it: AUTOMATIC, or SEMIAUTOMATIC after a user's edit.
    """

    number: int
    volume_ml: float
    centroid_mm: tuple[float, float, float]
    tracking_uid: str
    suv_max: float | None = None
    suv_mean: float | None = None
    suv_peak: float | None = None
    mtv_ml: float | None = None
    mtv_rule: str | None = None
    tlg: float | None = None
    algorithm_type: str = "AUTOMATIC"
    kept: bool = field(default=True)

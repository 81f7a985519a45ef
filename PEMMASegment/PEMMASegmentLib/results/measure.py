"""Lesions of a label and their figures: contour volume, SUVmax, SUVmean, SUVpeak, MTV, TLG.

Definitions (PET figures on the PET's own voxels, those of which the lesion covers half or more):
    volume_ml          voxels of the label times voxel volume: of the contour, which is not the MTV
    suv_max, suv_mean  over the lesion's PET voxels
    mtv_ml             volume of the lesion's PET voxels at or above the rule
    tlg                SUVmean inside the MTV times MTV, g
    suv_peak           highest mean in a 1 cm3 sphere centred on any voxel of the lesion (IBSI's global intensity peak)
A lesion of which the PET shows less than 95 % has no PET figures: those of its visible part would pass for its own.
"""

from collections.abc import Callable, Iterable

import numpy as np
import SimpleITK as sitk

from ..core import Lesion, PemmaError
from ..core.components import Box, components
from ..core.images import voxel_ml, voxels_in
from ..core.types import MTV_RULES, SMALLEST_ML, USUAL_RULE
from ..core.voxels import Voxels
from .covered import TIE, covered_voxels, share_inside, within
from .uids import uid_of

#: rule -> threshold in SUV for a lesion of this SUVmax
_RULES: dict[str, Callable[[float], float]] = {
    "41%": lambda suv_max: 0.41 * suv_max,
    "50%": lambda suv_max: 0.50 * suv_max,
    "suv2.5": lambda suv_max: 2.5,
    "suv4": lambda suv_max: 4.0,
    "contour": lambda suv_max: -np.inf,
}
_WORDS = {"41%": "41% of SUVmax", "50%": "50% of SUVmax", "suv2.5": "SUV >= 2.5", "suv4": "SUV >= 4"}

#: a sphere of 1 cm3, mm
PEAK_RADIUS = (3000 / (4 * np.pi)) ** (1 / 3)
#: a lesion needs at least this share of its volume inside the PET's field of view to have PET figures
LEAST_INSIDE = 0.95
_AT_ONCE = 1_000_000  # voxels whose spheres are averaged in one go: about 100 MB


def rule_in_words(rule: str) -> str:
    """What a title says: "41% of SUVmax", "SUV >= 4", "all of the contour"."""
    return _WORDS.get(rule, "all of the contour")


def measure(
    label: sitk.Image, pet: sitk.Image | None, *, min_volume_ml: float = SMALLEST_ML, mtv_rule: str = USUAL_RULE, key: str = ""
) -> list[Lesion]:
    """The lesions of `label` (non-zero is tumour), largest first, numbered from 1 as `components` numbers them.

    pet: SUVbw, its own grid; None leaves its figures None. min_volume_ml: smaller components are no lesions.
    key: text (study, model, adapter) from which, with the voxels, tracking UIDs are made.
    Raises PemmaError "mtv-rule" for a rule that is not in MTV_RULES.
    """
    numbers, boxes = components(label, max(voxels_in(min_volume_ml, label), 1))
    found = ((number, box, numbers[box] == number) for number, box in enumerate(boxes, start=1))
    return _measured(found, label, pet, mtv_rule, key)


def measure_edited(
    voxels: Voxels, grid: sitk.Image, pet: sitk.Image | None, *, mtv_rule: str = USUAL_RULE, key: str = ""
) -> list[Lesion]:
    """As `measure` for lesions as a user sees them, on `grid`: in one piece or not, however small."""
    return _measured(voxels.boxes(), grid, pet, mtv_rule, key)


def _measured(found: Iterable[tuple[int, Box, np.ndarray]], grid: sitk.Image, pet, mtv_rule: str, key: str) -> list[Lesion]:
    """found: each lesion, its box (z, y, x) on `grid`, and its voxels (bool) in there."""
    if mtv_rule not in _RULES:
        raise PemmaError("mtv-rule", f"there is no MTV rule {mtv_rule!r}", f"choose one of {', '.join(MTV_RULES)}")
    suv = None if pet is None else sitk.GetArrayViewFromImage(pet)
    lesions = []
    for number, box, inside in found:
        lesion = _contour(number, inside, box, grid, key)
        if pet is not None:
            lesion.mtv_rule = mtv_rule
        if pet is not None and share_inside(inside, box, grid, pet) >= LEAST_INSIDE:
            _add_pet_figures(lesion, lesion_pet_voxels(inside, box, grid, pet), suv, pet, mtv_rule)
        lesions.append(lesion)
    return lesions


def totals(lesions: Iterable[Lesion]) -> dict[str, float | int | None]:
    """Sums over the kept lesions, and the highest SUVmax; None where no lesion has the figure."""
    kept = [lesion for lesion in lesions if lesion.kept]
    sums = {name: _of(kept, name, sum) for name in ("volume_ml", "mtv_ml", "tlg")}
    return {"number": len(kept), **sums, "suv_max": _of(kept, "suv_max", max)}


def lesion_pet_voxels(inside: np.ndarray, box: Box, label: sitk.Image, pet: sitk.Image) -> np.ndarray:
    """Indices (n, 3), z y x, of a lesion's PET voxels: half covered, else the one under the centroid, else none.

    Between two voxels it is the lower one, however the grid was rounded: a scene's file rounds it anew.
    """
    voxels = covered_voxels(inside, box, label, pet)
    if len(voxels):
        return voxels
    index = np.array(pet.TransformPhysicalPointToContinuousIndex(_centroid(inside, box, label)))[None, ::-1]
    size = np.array(pet.GetSize()[::-1])
    if not within(index.T, size).all():
        return voxels
    return np.clip(np.floor(index + 0.5 - TIE).astype(int), 0, size - 1)


def sphere_means(suv: np.ndarray, spacing: tuple[float, ...], at: np.ndarray) -> np.ndarray:
    """Mean of the voxels whose centres lie in the 1 cm3 sphere around each voxel of `at`; beyond the border are none.

    suv: (z, y, x). spacing: mm, x y z as SimpleITK gives it. at: indices (n, 3), z y x. Returns (n,).
    """
    step = np.array(spacing[::-1])
    reach = np.floor(PEAK_RADIUS / step + 1e-6).astype(int)
    offsets = np.array(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")).reshape(3, -1).T
    offsets = offsets[np.linalg.norm(offsets * step, axis=1) <= PEAK_RADIUS + 1e-6]
    parts = np.array_split(at, 1 + len(at) // _AT_ONCE)
    return np.concatenate([_means(suv, part, offsets) for part in parts])


def _means(suv: np.ndarray, at: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    total, count = np.zeros(len(at)), np.zeros(len(at))
    for offset in offsets:
        index = at + offset
        exists = np.all((index >= 0) & (index < suv.shape), axis=1)
        total[exists] += suv[tuple(index[exists].T)]
        count += exists
    return total / count


def _contour(number: int, inside: np.ndarray, box: Box, label: sitk.Image, key: str) -> Lesion:
    place = repr([(part.start, part.stop) for part in box])
    return Lesion(
        number=number,
        volume_ml=float(np.count_nonzero(inside) * voxel_ml(label)),
        centroid_mm=tuple(float(c) for c in _centroid(inside, box, label)),
        tracking_uid=uid_of("lesion", key, place, np.packbits(inside).tobytes()),
    )


def _centroid(inside: np.ndarray, box: Box, label: sitk.Image) -> tuple[float, ...]:
    """Mean of the voxel centres, LPS millimetres."""
    index = np.array([_mean_index(inside, axis) for axis in range(3)]) + [part.start for part in box]
    return label.TransformContinuousIndexToPhysicalPoint(index[::-1].tolist())


def _mean_index(inside: np.ndarray, axis: int) -> float:
    """Mean index of the set voxels along an axis, from counts: a list of a whole body's voxels would not fit."""
    counts = np.count_nonzero(inside, axis=tuple({0, 1, 2} - {axis}))
    return float(np.average(np.arange(len(counts)), weights=counts))


def _add_pet_figures(lesion: Lesion, voxels: np.ndarray, suv: np.ndarray, pet: sitk.Image, rule: str) -> None:
    if not len(voxels):  # thinner than a PET voxel, and its centroid just outside: its figures stay None
        return
    values = suv[tuple(voxels.T)].astype(float)
    lesion.suv_max, lesion.suv_mean = float(values.max()), float(values.mean())
    lesion.suv_peak = float(sphere_means(suv, pet.GetSpacing(), voxels).max())
    active = values[values >= _RULES[rule](values.max())]
    lesion.mtv_ml = float(len(active) * voxel_ml(pet))
    lesion.tlg = float(active.sum() * voxel_ml(pet))  # 1 ml weighs 1 g


def _of(lesions: list[Lesion], name: str, combine: Callable) -> float | None:
    values = [value for lesion in lesions if (value := getattr(lesion, name)) is not None]
    return combine(values) if values else None

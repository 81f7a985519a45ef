"""Intensity maps of a site, fitted without annotations: its HU and SUVs onto those of the model's own site.

Each modality gets a straight line (a gain and a shift) through the quantiles of its body voxels, site against the model's
reference cases. A curve through every quantile fits five cases too closely: lesions and bones differ between patients.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from ..core import PemmaError, Progress, no_progress
from ..core.images import array, to_grid_of
from ..inference.intensity import Curve, mapped, pet_scale, scales_much
from ..inference.region import BODY_ABOVE
from ..network.files import Model
from ..network.preprocess import AIR_HU
from ..study.types import PetCtStudy
from .fitness import LEAVE_OUT
from .proof import references, untrained
from .types import Fitted, SiteCase, fix

#: Below are skin, lung and table, above mostly lesions, bladder and bones.
QUANTILES = (0.10, 0.20, 0.30, 0.40, 0.50, 0.60, 0.70, 0.80, 0.90, 0.95)
#: Where the line of each modality holds; beyond it the map goes to what does not change: air, metal, no uptake.
_HU, _METAL_HU, _NO_SUV, _SUV = (-500.0, 400.0), 3071.0, 1e-3, 1000.0


@dataclass(frozen=True)
class Maps:
    """A `Procedure` that looks at the cases' images alone; the line is straight whatever the seed."""

    name: str = "maps"
    words: str = "maps the site's HU and SUV onto those that the model was trained on"

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        """Raises PemmaError "no-reference" for a model without reference cases."""
        progress(0.0, "reading the reference cases")
        own = [case.study for case in untrained(references(model, inputs), cases)]
        if not own:
            sentence = f"the model has no reference cases with {inputs} beside those among the cases: no map can be fitted"
            raise PemmaError("no-reference", sentence,
                             "choose another fix, or a model with reference cases")
        curves = fit_maps([case.study for case in cases], own, inputs)
        progress(1.0, "maps fitted")
        training = {"cases": len(cases), "reference_cases": len(own), "seed": seed} | _told(curves)
        return fix(self, model, inputs, intensity=curves, training=training)


def fit_maps(site: Sequence[PetCtStudy], own: Sequence[PetCtStudy], inputs: str) -> dict[str, Curve]:
    """The curves by modality from the studies of a site to those of the model's own site.

    Each study counts alike, however large: its quantiles are averaged with the others'.
    """
    given, wanted = (np.mean([_quantiles(study, inputs) for study in studies], axis=0) for studies in (site, own))
    lines = {"ct": _ct_line, "pet": _pet_line}
    return {name: lines[name](x, y) for name, x, y in zip(inputs.split("+"), given, wanted, strict=True)}


def mapped_case(case: SiteCase, curves: dict[str, Curve] | None) -> SiteCase:
    """The case as the network would be given it, to train on; its study's key says so. Never for figures."""
    if not curves:
        return case
    images = mapped({name: getattr(case.study, name) for name in curves}, curves)
    digest = hashlib.sha256(json.dumps(curves, sort_keys=True).encode()).hexdigest()
    return replace(case, study=replace(case.study, **images, study_key=f"{case.study.study_key}|mapped {digest}"))


def _told(curves: dict[str, Curve]) -> dict:
    """For the card: how much PET is scaled, and what to do when it is much."""
    scale = pet_scale(curves)
    if scale is None:
        return {}
    advice = {"advice": "check the SUV calibration of this scanner"} if scales_much(scale) else {}
    return {"pet_scale": round(scale, 3)} | advice


def _quantiles(study: PetCtStudy, inputs: str) -> list[np.ndarray]:
    """Quantiles of the body voxels, one array a modality in the order of `inputs`."""
    return [np.quantile(_body(study, name, inputs), QUANTILES) for name in inputs.split("+")]


def _body(study: PetCtStudy, modality: str, inputs: str) -> np.ndarray:
    """Values inside the body: as the CT shows it where there is one, else by uptake."""
    image = getattr(study, modality)
    if modality == "pet" and "ct" in inputs.split("+"):
        inside = array(to_grid_of(study.ct, image, AIR_HU)) > BODY_ABOVE["ct"]
    else:
        inside = sitk.GetArrayViewFromImage(image) > BODY_ABOVE[modality]
    values = sitk.GetArrayViewFromImage(image)[inside]
    if not values.size:
        raise PemmaError("no-body", f"nothing of a body is to be seen on the {modality.upper()} of a case",
                         LEAVE_OUT)
    return values


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Gain and shift of the straight line through points (x, y); a gain of 1 where x tells nothing."""
    if np.ptp(x) < 1e-6:
        return 1.0, float(np.mean(y) - np.mean(x))
    gain = float(np.cov(x, y, bias=True)[0, 1] / np.var(x))
    return gain, float(np.mean(y) - gain * np.mean(x))


def _ct_line(x: np.ndarray, y: np.ndarray) -> Curve:
    """HU: the line over tissue; air stays air and metal metal."""
    gain, shift = _line(x, y)
    low, high = (gain * hu + shift for hu in _HU)
    return [[AIR_HU, *_HU, _METAL_HU], [AIR_HU, max(low, AIR_HU), max(high, AIR_HU), max(high, _METAL_HU)]]


def _pet_line(x: np.ndarray, y: np.ndarray) -> Curve:
    """SUV: the line, cut off at no uptake; nothing stays nothing."""
    gain, shift = _line(x, y)
    # below the bend the line would be negative, or lift the air: where there is no uptake at all there stays none
    bend = -shift / gain if shift < 0 else max(float(x[0]), _NO_SUV)
    return [[0.0, bend, _SUV], [0.0, max(gain * bend + shift, 0.0), gain * _SUV + shift]]

"""Scores on patients kept apart: cut one-sidedly, every input set, beside what a guess and a threshold get."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from PEMMASegmentLib.adaptation.types import label_of_lesions
from PEMMASegmentLib.core.images import to_grid_of
from PEMMASegmentLib.core.metrics import bootstrap_interval, dice
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.network.files import Model
from PEMMASegmentLib.study.types import PetCtStudy

SHARED = Path(__file__).resolve().parents[3] / "shared"


@dataclass(frozen=True)
class Case:
    """A patient's study and the expert's label on the study's grid."""

    name: str
    study: PetCtStudy
    label: sitk.Image


def cases(names: list[str], cut: bool = True) -> list[Case]:
    """Patients of shared/data/sts, cut by the rule of shared/tools/cut_case.py (one side narrow, the other wide)."""
    rule = tool("cut_case")
    out = []
    for name in names:
        folder = SHARED / "data/sts" / name
        kinds = (("ct", sitk.sitkInt16), ("pet", sitk.sitkFloat32), ("mask", sitk.sitkUInt8))
        images = [sitk.ReadImage(str(folder / f"{n}.nii.gz"), t) for n, t in kinds]
        ct, pet, label = rule.cut(*images, name) if cut else images
        out.append(Case(name, PetCtStudy(ct, pet, study_key=name, kind="nifti"), label))
    return out


def blind(patients: list[Case]) -> list[float]:
    """Dice of the best fixed ellipsoid in the middle, one size for all of these cases."""
    rule = tool("cut_case")
    masks = [sitk.GetArrayFromImage(c.label) > 0 for c in patients]
    table = [[rule.blind_dice(m, share) for m in masks] for share in np.arange(0.3, 1.01, 0.05)]
    return max(table, key=np.mean)


def suv_threshold(patients: list[Case], suv: float = 2.5) -> list[float]:
    """Dice of "SUV at least 2.5", on the CT grid."""
    out = []
    for case in patients:
        pet = to_grid_of(case.study.pet, case.study.ct, 0.0)
        out.append(dice(sitk.BinaryThreshold(pet, suv, 1e9, 1, 0), case.label))
    return out


def model_dice(model: Model, patients: list[Case], inputs: str) -> list[float]:
    """Dice of a model's lesions on each case with these inputs and its own threshold, as `evaluate` gives it."""
    return [dice(label_of_lesions(segment(c.study, model, inputs=inputs, device="auto")), c.label) for c in patients]


def row(title: str, values: list[float]) -> str:
    """One line of a Markdown table: mean, 95 % interval over patients (BCa bootstrap), and each patient."""
    low, high = bootstrap_interval(values)
    return f"| {title} | {np.mean(values):.3f} | {low:.3f} to {high:.3f} | {' '.join(f'{v:.2f}' for v in values)} |"


def tool(name: str):
    """A tool of the shared folder as a fresh module."""
    spec = importlib.util.spec_from_file_location(name, SHARED / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

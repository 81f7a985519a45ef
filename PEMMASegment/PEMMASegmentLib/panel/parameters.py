"""What the user has chosen, kept in the scene: Slicer's parameter node with typed members."""

from collections.abc import Mapping
from typing import Annotated, Any

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.parameterNodeWrapper import Choice, Default, WithinRange, parameterNodeWrapper

from ..core.types import DEVICES, INPUTS, MTV_RULES, SMALLEST_ML, USUAL_RULE
from ..study.types import Typed
from .regions import box_of
from .view import COLOURS, WINDOWS

#: member -> what can be chosen
CHOICES = {
    "petColour": list(COLOURS), "petWindow": list(WINDOWS), "inputs": ["auto", *INPUTS], "device": list(DEVICES),
    "mtvRule": list(MTV_RULES),
}  # fmt: skip
#: member that holds for one PET -> not given
_OF_THE_PET = {"weightKg": 0.0, "heightM": 0.0, "doseMBq": 0.0, "injectionTime": "", "isotope": "", "petIsSuv": False}


@parameterNodeWrapper
class Parameters:
    """Members are bound to the widgets whose property SlicerParameterName names them. Zero or "": not given.

    weightKg: kg; heightM: m; doseMBq: MBq; injectionTime: HHMMSS; isotope: F-18; minVolumeMl: ml; petLowest, petHighest: SUV;
    model, adapter: folders.
    """

    ct: vtkMRMLScalarVolumeNode
    pet: vtkMRMLScalarVolumeNode
    petIsSuv: bool = False
    weightKg: Annotated[float, WithinRange(0, 500), Default(0.0)]
    heightM: Annotated[float, WithinRange(0, 3), Default(0.0)]
    doseMBq: Annotated[float, WithinRange(0, 20000), Default(0.0)]
    injectionTime: str = ""
    isotope: str = ""
    petColour: Annotated[str, Choice(CHOICES["petColour"]), Default("colour")]
    petWindow: Annotated[str, Choice(CHOICES["petWindow"]), Default("SUV 0 to 10")]
    petLowest: Annotated[float, WithinRange(0, 100), Default(0.0)]
    petHighest: Annotated[float, WithinRange(0.5, 100), Default(10.0)]
    petProjection: bool = True
    petOpacity: Annotated[float, WithinRange(0, 1), Default(0.5)]
    model: str = ""
    adapter: str = ""
    inputs: Annotated[str, Choice(CHOICES["inputs"]), Default("auto")]
    device: Annotated[str, Choice(CHOICES["device"]), Default("auto")]
    roi: vtkMRMLMarkupsROINode
    wholeStudy: bool = False
    minVolumeMl: Annotated[float, WithinRange(0, 100), Default(SMALLEST_ML)]
    mtvRule: Annotated[str, Choice(CHOICES["mtvRule"]), Default(USUAL_RULE)]
    result: vtkMRMLSegmentationNode


def of(node) -> Parameters:
    """The choices in a parameter node. What a scene of another version holds and this one can't offer is as if not chosen."""
    for name, choices in CHOICES.items():
        if node.HasParameter(name) and node.GetParameter(name) not in choices:
            node.UnsetParameter(name)
    return Parameters(node)


def typed_of(chosen: Parameters) -> Typed:
    """The values for what the PET's headers lack."""
    return Typed(
        weight_kg=chosen.weightKg or None,
        height_m=chosen.heightM or None,
        dose_bq=chosen.doseMBq * 1e6 or None,
        injection_time=chosen.injectionTime.strip() or None,
        isotope=chosen.isotope.strip() or None,
    )


def given(chosen: Parameters) -> dict[str, Any]:
    """What the user gave for the chosen PET, by member."""
    if chosen.pet is None:
        return {}
    return {name: getattr(chosen, name) for name, none in _OF_THE_PET.items() if getattr(chosen, name) != none}


def give(chosen: Parameters, values: Mapping[str, Any]) -> bool:
    """Gives these values for the PET, as `given` has them, and takes away all others; whether that changed anything."""
    wanted = _OF_THE_PET | dict(values)
    differ = [name for name in _OF_THE_PET if getattr(chosen, name) != wanted[name]]
    for name in differ:
        setattr(chosen, name, wanted[name])
    return bool(differ)


def given_by(typed: Typed) -> dict[str, Any]:
    """A script's values as `given` has them."""
    dose = typed.dose_bq / 1e6 if typed.dose_bq else None
    values = {"weightKg": typed.weight_kg, "heightM": typed.height_m, "doseMBq": dose, "injectionTime": typed.injection_time,
              "isotope": typed.isotope}  # fmt: skip
    return {name: value for name, value in values.items() if value}


def options_of(chosen: Parameters) -> dict:
    """Fields of a segment request, by the command line's names.

    The usual smallest volume is not sent: an adapter may have its own, with which it was proved.
    """
    min_volume = None if chosen.minVolumeMl == SMALLEST_ML else chosen.minVolumeMl
    return {
        "model": chosen.model or None, "adapter": chosen.adapter or None, "inputs": chosen.inputs, "device": chosen.device,
        "min_volume": min_volume, "mtv_rule": chosen.mtvRule, "whole_study": chosen.wholeStudy,
        "roi": box_of(chosen.roi) if chosen.roi else None,
    }  # fmt: skip


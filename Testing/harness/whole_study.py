"""Segments a study in a process of its own, first as it is, then with `whole_study`; prints what came of it as JSON.

    python whole_study.py STUDY [MODEL]

Without MODEL: random weights in the starter model's shape on a grid of 10 mm, so that few windows are needed; what
takes the memory, the study's own grids and the activations of a batch, is as large as with the starter model.
"""

import json
import resource
import sys
from dataclasses import replace
from pathlib import Path

import torch

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.core.images import array, voxel_ml
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Model, ModelCard, Region, load_model
from PEMMASegmentLib.network.pemma import Pemma


def main(folder: Path, model_folder: Path | None = None) -> None:
    case = study.load(folder)
    model = load_model(model_folder) if model_folder else random_model()
    try:
        segment(case, model)
        refused = None
    except PemmaError as error:
        refused = error.code
    found = segment(case, model, whole_study=True)
    print(json.dumps({
        "refused": refused, "warnings": [told.code for told in found.warnings], "inputs": found.inputs,
        "size": found.label.GetSize(), "same_grid": found.label.IsSameImageGeometryAs(case.grid),
        "label_ml": float(array(found.label).sum() * voxel_ml(found.label)),
        "steps": {step.name: step.seconds for step in found.steps},
        "peak_mib": peak_mib(),
    }))


def peak_mib() -> float:
    """The most memory that this program held. On Linux `ru_maxrss` would begin at what the program that started it holds."""
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def random_model() -> Model:
    torch.manual_seed(0)
    shape = Architecture(window=(40, 40, 40), patch=8, hidden=192, depth=12, heads=6, mlp=768, feature=16, rank=4,
                         embedding="stem", taps=(), modalities=("pet",), fused_decoder=("decoder2", "decoder3", "out"))
    card = ModelCard("random", "0", shape, replace(Preprocessing(), spacing_mm=(10.0, 10.0, 10.0)), (),
                     Region("nothing", 320.0), dict.fromkeys(("ct+pet", "ct", "pet"), 0.5))
    return Model(card, Pemma(shape).eval(), Path())


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

"""The prepared cases of a run in files that all its processes map: whole bodies by the hundred fit a disk, not the memory."""

from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from ..core.folders import WRITING
from .case import TrainingCase

#: The folder in the run's own; what a killed run leaves there goes when the run goes on.
FOLDER = f"{WRITING}cases"


def put(file: Path, case: TrainingCase, longest_mm: float) -> None:
    """Writes a case and the longest extent of its images. A file is mapped in the order of its name."""
    images = {name: getattr(case, name) for name in ("ct", "pet", "label")}
    save_file({name: t.contiguous() for name, t in images.items() if t is not None}, str(file),
              metadata={"name": case.name, "longest_mm": repr(longest_mm)})


def mapped(folder: Path) -> tuple[list[TrainingCase], float]:
    """The cases, whose voxels stay in the files until they are used, bit for bit as written; and the longest extent in mm."""
    cases, longest = [], 0.0
    for file in sorted(folder.iterdir()):
        with safe_open(str(file), "pt") as stream:
            about = stream.metadata()
            images = {name: stream.get_tensor(name) for name in stream.keys()}
        cases.append(TrainingCase(about["name"], images.get("ct"), images.get("pet"), images["label"]))
        longest = max(longest, float(about["longest_mm"]))
    return cases, longest

"""The background process' side of "Check my system": what is there, and the bundled patient against stored figures.

`python Testing/evidence/expected.py` writes the figures whenever the bundled model changes.
"""

import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import Progress
from ..core.progress import part
from ..core.resources import resources, unpack
from ..jobs.options import Segmenting
from .request import read

if TYPE_CHECKING:
    from ..jobs.segmenting import Segmented
    from .warm import WarmModel

PACKAGES = ("torch", "monai", "numpy", "scipy", "SimpleITK", "pydicom", "highdicom", "safetensors")
FIGURES = ("number", "volume_ml", "mtv_ml", "tlg", "suv_max")
#: bfloat16 instead of float32 changes the bundled patient's volume by 0.4 % (seen on a CPU); what is wrong changes more.
TOLERANCE = 0.02
EXPECTED = "expected.json"
REPORTED = 0.05  # share of the progress


def check_system(request: dict, progress: Progress, warm: "WarmModel") -> dict:
    """`report`: rows [what, value] without anything of a patient or user; `figures`, `expected` (None for a model
    without stored figures), `agrees` (None likewise), `seconds` of the bundled patient's run; `steps`.
    """
    from ..jobs import segmenting

    given = read(Segmenting, request)
    progress(0.0, "looking at the computer")
    rows = computer() + packages()
    model = warm.get(given.model)
    rows.append(["model", f"{model.card.name} {model.card.version}, sha256 {model.card.sha256[:12]}, weights as stated"])
    with tempfile.TemporaryDirectory(prefix="pemma-check-") as folder:
        unpack(Path(folder))
        done = segmenting.segment(Path(folder), model, given, part(progress, REPORTED, 1.0))
    figures, stored = figures_of(done), expected(model.card.sha256)
    return {
        "report": rows + run_rows(done, figures, stored), "figures": figures, "expected": stored,
        "agrees": None if stored is None else agree(figures, stored),
        "steps": [[step.name, step.seconds] for step in done.segmentation.steps],
    }  # fmt: skip


def figures_of(done: "Segmented") -> dict[str, float]:
    """Totals of a run, rounded to what people compare."""
    from ..results import totals

    sums = totals(done.lesions)
    return {name: round(float(sums[name] or 0), 3) for name in FIGURES}


def expected(sha256: str) -> dict[str, float] | None:
    """The stored figures of the bundled patient for the model of this hash, None when there are none."""
    file = resources() / "SampleData" / EXPECTED
    stored = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return stored["figures"] if stored.get("model", {}).get("sha256") == sha256 else None


def agree(figures: dict[str, float], stored: dict[str, float]) -> bool:
    """As many lesions, and each sum within TOLERANCE."""
    near = all(abs(figures[name] - stored[name]) <= TOLERANCE * abs(stored[name]) for name in FIGURES[1:])
    return figures["number"] == stored["number"] and near


def computer() -> list[list[str]]:
    """System, processor, memory, free disk, GPU."""
    from .. import __version__

    free = shutil.disk_usage(tempfile.gettempdir()).free
    return [
        ["PEMMASegment", __version__],
        ["Python", platform.python_version()],
        ["system", f"{platform.system()} {platform.release().partition('-')[0]}, {platform.machine()}"],
        ["processor", f"{os.cpu_count()} threads"],
        ["memory", _memory()],
        ["free disk (temporary files)", f"{free / 2**30:.1f} GiB"],
        *_gpu(),
    ]


def packages() -> list[list[str]]:
    """Versions of what the library needs most."""
    from importlib import metadata

    found = []
    for name in PACKAGES:
        try:
            found.append([name, metadata.version(name)])
        except metadata.PackageNotFoundError:
            found.append([name, "not installed"])
    return found


def run_rows(done: "Segmented", figures: dict[str, float], stored: dict[str, float] | None) -> list[list[str]]:
    """The bundled patient's run in rows."""
    segmentation = done.segmentation
    seconds = sum(step.seconds for step in segmentation.steps)
    rows = [["bundled patient", f"{seconds:.1f} s on {segmentation.device}, {segmentation.precision}"]]
    for name in FIGURES:
        wanted = f", expected {stored[name]:g}" if stored else ""
        rows.append([f"  {name}", f"{figures[name]:g}{wanted}"])
    return rows


def _gpu() -> list[list[str]]:
    import torch

    from ..inference.device import choose

    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built for the CPU only"
        return [["GPU", f"none that torch can use; {built}"]]
    if why := choose("auto").passed_over:
        return [["GPU", f"one that can't be used: {why}"]]
    free, total = torch.cuda.mem_get_info()
    name = torch.cuda.get_device_name()
    return [["GPU", f"{name}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free, CUDA {torch.version.cuda}"]]


def _memory() -> str:
    if os.name == "nt":
        return f"{_windows_memory() / 2**30:.1f} GiB"
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB"


def _windows_memory() -> int:
    """Bytes of memory, from GlobalMemoryStatusEx: its structure is two 32-bit and seven 64-bit numbers."""
    import ctypes

    status = (ctypes.c_uint64 * 8)()
    ctypes.cast(status, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(status)
    ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return status[1]

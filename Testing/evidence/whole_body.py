"""What the model does with whole bodies: seconds, peak memory, and the millilitres it marks outside the tumour.

    python Testing/evidence/whole_body.py [--model FOLDER]      (needs `shared` beside the checkout)

A synthesised PET/CT (CT 512 x 512 x 326) and the real whole-body PET of shared/data/suv, both through the command
`segment --whole-study`. The starter model knows limbs and trunk around a sarcoma, so a whole body is outside its region.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from scoring import SHARED

from PEMMASegmentLib import study
from PEMMASegmentLib.core.metrics import extra_ml, missed_ml
from PEMMASegmentLib.study import annotation

HARNESS = Path(__file__).resolve().parents[1] / "harness"


def segment(folder: Path, out: Path, model: list[str]) -> str:
    """Runs the command; returns seconds and peak memory of all commands so far, in words."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "PEMMASegmentLib", "segment", str(folder), "--out", str(out), "--whole-study", "--quiet"]
    subprocess.run(command + model, check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    lesions = json.loads((out / "result.json").read_text("utf-8"))["lesions"]
    return f"{time.perf_counter() - began:.0f} s, at most {peak:.2f} GiB, {len(lesions)} lesions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    options = parser.parse_args()
    model = ["--model", options.model] if options.model else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(SHARED / "data/suv/STS_001_wholebody.zip") as archive:
            archive.extractall(folder / "real")
        print("real whole-body PET:", segment(folder / "real", folder / "real-out", model))
        patient = study.load(folder / "real")
        truth, _ = annotation.read(next((folder / "real").rglob("RS/*")), patient, roi_name="GTV_Mass")
        found, _ = annotation.read(folder / "real-out/segmentation.dcm", patient)
        print(f"  {extra_ml(found, truth):.0f} ml marked outside the contoured tumour, {missed_ml(found, truth):.0f} ml missed")
        subprocess.run([sys.executable, str(HARNESS / "whole_body.py"), str(folder / "made")], check=True)
        print("synthesised whole-body PET/CT:", segment(folder / "made", folder / "made-out", model))


if __name__ == "__main__":
    main()

"""Segments the bundled patient with the bundled model and stores the figures that "Check my system" compares with.

python Testing/evidence/expected.py        # on the CPU in float32; anew whenever the bundled model or patient changes
"""

import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "PEMMASegment"))

from PEMMASegmentLib.core import no_progress  # noqa: E402
from PEMMASegmentLib.core.files import write_text  # noqa: E402
from PEMMASegmentLib.core.resources import PATIENT, resources, unpack  # noqa: E402
from PEMMASegmentLib.jobs import segmenting  # noqa: E402
from PEMMASegmentLib.jobs.options import Segmenting  # noqa: E402
from PEMMASegmentLib.worker.checkup import EXPECTED, figures_of  # noqa: E402


def main() -> None:
    options = Segmenting(device="cpu")
    model = segmenting.load_model(options)
    with tempfile.TemporaryDirectory() as folder:
        unpack(Path(folder))
        done = segmenting.segment(Path(folder), model, options, no_progress)
    segmentation = done.segmentation
    stored = {
        "study": PATIENT, "model": vars(model.identity), "inputs": segmentation.inputs,
        "precision": segmentation.precision, "figures": figures_of(done),
    }  # fmt: skip
    write_text(resources() / "SampleData" / EXPECTED, json.dumps(stored, indent=1) + "\n")
    print(json.dumps(stored, indent=1))


if __name__ == "__main__":
    main()

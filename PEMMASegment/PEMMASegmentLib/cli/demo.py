"""`pemma-segment demo`: the bundled patient from DICOM files to lesions, compared with the expert's contour."""

import argparse
import tempfile
from pathlib import Path

from ..core.resources import PATIENT, unpack
from ..jobs.options import Segmenting
from . import options as shared
from .terminal import Terminal


def add_to(commands) -> None:
    parser = shared.command(commands, "demo", run, "segment the bundled patient")
    parser.add_argument(
        "--out", type=Path, default=Path("pemma-demo"), metavar="DIR", help="default: ./pemma-demo"
    )
    shared.add_segment_options(parser)
    shared.add_result_options(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    from .. import results
    from ..core import metrics
    from ..jobs import segmenting
    from ..jobs.places import nothing_stale
    from ..study import annotation
    from .segment import warn_of

    given = shared.typed(Segmenting, options)
    results.check_out(options.out)
    with nothing_stale(options.out):
        model = segmenting.load_model(given)
        with tempfile.TemporaryDirectory() as folder, terminal.progress(PATIENT) as progress:
            unpack(Path(folder))
            done = segmenting.segment(Path(folder), model, given, progress)
            truth, _ = annotation.read(annotation.find(Path(folder)), done.study)
        record = segmenting.write(options.out, done, given)
    warn_of(terminal, record)
    dice = metrics.dice(segmenting.label_of_lesions(done, given), truth)
    words = f"{results.as_text(done.lesions)}\nDice against the expert's contour: {dice:.2f}\nwritten to {options.out}"
    terminal.result({"study": PATIENT, "dice": dice, "out": str(options.out)}, words)
    return True

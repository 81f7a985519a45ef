"""`pemma-segment demo`: the bundled patient from DICOM files to lesions, compared with the expert's contour."""

import argparse
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from .terminal import Terminal

PATIENT = "STS_008"


def add_to(commands) -> None:
    parser = shared.command(commands, "demo", run, "segment the bundled patient")
    parser.add_argument(
        "--out", type=Path, default=Path("pemma-demo"), metavar="DIR", help="default: ./pemma-demo"
    )
    shared.add_segment_options(parser)
    shared.add_result_options(parser)


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from .. import results
    from ..core import metrics
    from ..study import annotation, load
    from . import work
    from .segment import nothing_stale

    results.check_out(options.out)
    with nothing_stale(options.out):
        model = work.load_model(options)
        with tempfile.TemporaryDirectory() as folder, terminal.progress(PATIENT) as progress:
            unpack(Path(folder))
            need = None if options.inputs == "auto" else options.inputs
            done = work.segment_study(
                lambda progress: load(Path(folder), need=need, progress=progress), model, work.load_adapter(options, model),
                options, progress,
            )  # fmt: skip
            truth, _ = annotation.read(annotation.find(Path(folder)), done.study)
        record = work.write(options.out, done, options)
    work.warn_of(terminal, record)
    dice = metrics.dice(work.label_of_lesions(done, options), truth)
    words = f"{results.as_text(done.lesions)}\nDice against the expert's contour: {dice:.2f}\nwritten to {options.out}"
    terminal.result({"study": PATIENT, "dice": dice, "out": str(options.out)}, words)
    return True


def unpack(folder: Path) -> None:
    """The bundled patient's DICOM files into `folder`."""
    from ..core.resources import resources

    with zipfile.ZipFile(resources() / "SampleData" / f"{PATIENT}.zip") as archive:
        archive.extractall(folder)

"""`pemma-segment segment`: tumours of one or several studies, as DICOM SEG, table, picture and JSON."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import PemmaWarning
from ..jobs.options import Segmenting
from . import options as shared
from . import streams
from .terminal import Terminal, base_name, for_each, name_among

if TYPE_CHECKING:
    from ..network.files import Model


def add_to(commands) -> None:
    parser = shared.command(commands, "segment", run, "segment the tumours of one or several studies")
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, empty, or an earlier result to replace; of several "
        "studies each gets a folder in it, and results of others stay there"
    )
    shared.add_segment_options(parser)
    shared.add_result_options(parser)
    shared.add_study_options(parser)
    parser.set_defaults(usage_error=parser.error)


def run(options: argparse.Namespace, terminal: Terminal) -> bool:
    shared.refuse_for_several(options)
    from ..jobs import segmenting
    from ..jobs.places import nothing_stale, others_in, places_of

    given, places = shared.typed(Segmenting, options), places_of(options.studies, options.out)
    terminal.warnings(others_in(options.out, places.values()))
    with nothing_stale(*places.values()):
        model = segmenting.load_model(given)
    done, failed = for_each(
        options.studies,
        lambda study: segment_one(study, places[study], model, given, terminal, name_among(options.studies, study)),
        terminal,
    )
    if terminal.as_json:
        terminal.result({"studies": done + failed}, "")
    return not failed


def segment_one(study: Path, out: Path, model: "Model", options: Segmenting, terminal: Terminal, among: str) -> dict:
    """Segments one study into `out`, prints its table, and gives its part of the JSON answer. among: see `name_among`."""
    from .. import results
    from ..jobs import segmenting
    from ..jobs.places import nothing_stale

    name = base_name(study)
    with terminal.progress(name) as progress, nothing_stale(out):
        done = segmenting.segment(study, model, options, progress)
        record = segmenting.write(out, done, options)
    warn_of(terminal, record, among)
    if not terminal.as_json:
        files = ", ".join(sorted([*(file["name"] for file in record["files"]), "result.json"]))
        streams.answer(f"{name}\n{results.as_text(done.lesions)}\nwritten to {out}: {files}")
    return {"study": name, "out": str(out), "result": record}


def warn_of(terminal: Terminal, record: dict, study: str = "") -> None:
    """Says what the study, the run and the writing of its result have to tell."""
    terminal.warnings([PemmaWarning(**told) for told in record["warnings"]], study)

"""`pemma-segment segment`: tumours of one or several studies, as DICOM SEG, table, picture and JSON."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared

if TYPE_CHECKING:
    from ..network.files import Model
    from .terminal import Terminal


def add_to(commands) -> None:
    parser = shared.command(commands, "segment", run, "segment the tumours of one or several studies")
    parser.add_argument("studies", type=Path, nargs="+", metavar="STUDY", help="folder of DICOM or NIfTI files")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new, empty, or an earlier result to replace"
    )
    shared.add_segment_options(parser)
    shared.add_study_options(parser)


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    from . import work
    from .terminal import for_each

    places = places_of(options.studies, options.out)
    model = work.load_model(options)
    done, failed = for_each(
        options.studies, lambda study: segment_one(study, places[study], model, options, terminal), terminal
    )
    if terminal.as_json:
        terminal.result({"studies": done + failed}, "")
    return not failed


def places_of(studies: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where each study's result goes: `out` for a single one, otherwise a folder in it named like the study's.

    Raises PemmaError when a place holds something else than a result, or two studies have one name.
    """
    from .. import results
    from ..core import PemmaError
    from .terminal import base_name

    if len(studies) == 1:
        results.check_out(out)
        return {studies[0]: out}
    places = {study: out / base_name(study) for study in studies}
    if len(set(places.values())) < len(studies):
        raise PemmaError("same-name", "two studies have folders of one name", "segment them one at a time")
    if out.exists():
        for entry in out.iterdir():
            results.check_out(entry)
    return places


def segment_one(study: Path, out: Path, model: "Model", options: argparse.Namespace, terminal: "Terminal") -> dict:
    """Segments one study into `out`, prints its table, and gives its part of the JSON answer."""
    from ..results import table
    from . import work
    from .terminal import base_name

    name = base_name(study)
    with terminal.progress(name) as progress:
        done = work.segment(study, model, options, progress)
        written = work.write(out, done, options)
    work.warn(terminal, done)
    if not terminal.as_json:
        files = ", ".join(path.name for path in written)
        print(f"{name}\n{table.as_text(done.lesions)}\nwritten to {out}: {files}", flush=True)
    return {"study": name, "out": str(out), "result": json.loads((out / "result.json").read_text(encoding="utf-8"))}

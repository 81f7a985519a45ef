"""`pemma-segment segment`: tumours of one or several studies, as DICOM SEG, table, picture and JSON."""

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..jobs.options import Segmenting
from . import options as shared

if TYPE_CHECKING:
    from ..core import PemmaWarning
    from ..network.files import Model
    from .terminal import Terminal


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


def run(options: argparse.Namespace, terminal: "Terminal") -> bool:
    shared.refuse_for_several(options)
    from ..jobs import segmenting
    from .terminal import for_each, name_among

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


def places_of(studies: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where each study's result goes: `out` for a single one, otherwise a folder in it named like the study's.

    Raises PemmaError when a place holds something else than a result or can't be written, or two studies have one name.
    """
    from .. import results
    from ..core import PemmaError
    from ..core.files import as_utf8
    from ..study.nifti import is_nifti_study
    from .terminal import base_name

    places = {study: out / base_name(study) for study in studies} if len(studies) > 1 else {studies[0]: out}
    if len({place.name.casefold() for place in places.values()}) < len(studies):  # many disks take Scan and scan for one
        raise PemmaError("same-name", "two studies have folders of one name", "segment them one at a time")
    if len(studies) > 1:
        _check_results_in(out) if out.is_dir() else results.check_out(out)
    for place in places.values():
        results.check_out(place)
    if any(map(is_nifti_study, studies)):
        as_utf8(out.resolve())  # ITK will write the label; a study's own name fails when ITK reads it
    return places


def others_in(out: Path, places: Iterable[Path]) -> "list[PemmaWarning]":
    """A warning that names results in `out` which stay beside those in `places`, and would pass for results of this run."""
    from ..core import PemmaWarning
    from ..results.write import RECORD

    ours = {place.name.casefold() for place in places}
    found = sorted(record.parent.name for record in out.glob(f"*/{RECORD}") if record.parent.name.casefold() not in ours)
    if not found:
        return []
    return [PemmaWarning("earlier-results", f"results of other studies stay in {out}: {', '.join(found)}",
                         "name another folder with --out, or delete them")]


def _check_results_in(out: Path) -> None:
    from .. import results
    from ..core import PemmaError
    from ..core.folders import is_litter

    for entry in out.iterdir():
        if entry.name.startswith(".") or is_litter(entry.name):  # left by a run that was killed, or the system's own
            continue
        if not entry.is_dir():
            sentence = f"the folder for the results of several studies holds something else ({entry.name})"
            raise PemmaError("out-not-empty", sentence, "name a new or an empty folder", out.name)
        results.check_out(entry)


def segment_one(study: Path, out: Path, model: "Model", options: Segmenting, terminal: "Terminal", among: str) -> dict:
    """Segments one study into `out`, prints its table, and gives its part of the JSON answer. among: see `name_among`."""
    from .. import results
    from ..jobs import segmenting
    from . import streams
    from .terminal import base_name

    name = base_name(study)
    with terminal.progress(name) as progress, nothing_stale(out):
        done = segmenting.segment(study, model, options, progress)
        record = segmenting.write(out, done, options)
    warn_of(terminal, record, among)
    if not terminal.as_json:
        files = ", ".join(sorted([*(file["name"] for file in record["files"]), "result.json"]))
        streams.answer(f"{name}\n{results.as_text(done.lesions)}\nwritten to {out}: {files}")
    return {"study": name, "out": str(out), "result": record}


def warn_of(terminal: "Terminal", record: dict, study: str = "") -> None:
    """Says what the study, the run and the writing of its result have to tell."""
    from ..core import PemmaWarning

    terminal.warnings([PemmaWarning(**told) for told in record["warnings"]], study)


@contextlib.contextmanager
def nothing_stale(*places: Path) -> Iterator[None]:
    """What fails inside leaves no earlier result in these places: it would pass for the refused study's.

    What the user stops leaves it as it is. One that can't be removed is named in the refusal.
    """
    from .. import results
    from ..core import Cancelled, PemmaError

    try:
        yield
    except Cancelled:
        raise
    except Exception as error:
        left = [place.name for place in places if not results.drop(place)]
        if left and isinstance(error, PemmaError):
            stale = f"close the files of the earlier result in {', '.join(left)} in other programs: it is still there"
            error.way_out = f"{error.way_out}; {stale}" if error.way_out else stale
        raise

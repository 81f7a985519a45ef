"""Where the results of several studies go, what lies there already, and that nothing stale stays there."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from .. import results
from ..core import Cancelled, PemmaError, PemmaWarning
from ..core.files import as_utf8
from ..core.folders import is_litter
from ..results.write import RECORD
from ..study.nifti import is_nifti_study
from .names import base_name


def places_of(studies: Sequence[Path], out: Path) -> dict[Path, Path]:
    """Where each study's result goes: `out` for a single one, otherwise a folder in it named like the study's.

    Raises PemmaError when a place holds something else than a result or can't be written, or two studies have one name.
    """
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


def others_in(out: Path, places: Iterable[Path]) -> list[PemmaWarning]:
    """A warning that names results in `out` which stay beside those in `places`, and would pass for results of this run."""
    ours = {place.name.casefold() for place in places}
    found = sorted(record.parent.name for record in out.glob(f"*/{RECORD}") if record.parent.name.casefold() not in ours)
    if not found:
        return []
    return [PemmaWarning("earlier-results", f"results of other studies stay in {out}: {', '.join(found)}",
                         "name another folder with --out, or delete them")]


def _check_results_in(out: Path) -> None:
    for entry in out.iterdir():
        if entry.name.startswith(".") or is_litter(entry.name):  # left by a run that was killed, or the system's own
            continue
        if not entry.is_dir():
            sentence = f"the folder for the results of several studies holds something else ({entry.name})"
            raise PemmaError("out-not-empty", sentence, "name a new or an empty folder", out.name)
        results.check_out(entry)


@contextlib.contextmanager
def nothing_stale(*places: Path) -> Iterator[None]:
    """What fails inside leaves no earlier result in these places: it would pass for the refused study's.

    What the user stops leaves it as it is, and so does a disk that takes no result ("cannot-write" says so), whether that is
    seen before the run or after. One that can't be removed is named in the refusal.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, Cancelled) or isinstance(error, PemmaError) and error.code == "cannot-write":
            raise
        left = [place.name for place in places if not results.drop(place)]
        if left and isinstance(error, PemmaError):
            stale = f"the earlier result in {', '.join(left)} is still there: a file of it was changed, or is open elsewhere"
            error.way_out = f"{error.way_out}; {stale}" if error.way_out else stale
        raise

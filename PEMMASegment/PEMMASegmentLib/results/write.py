"""All files of a result, as a whole: `out` holds the old result or the new one, never half of one."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ..core import Lesion, PemmaError, Segmentation
from ..study.types import PetCtStudy
from .preview import write_preview
from .record import SCHEMA, write_json
from .seg import write_label_nifti, write_seg
from .table import kept, write_csv

SEG, LABEL, TABLE, PREVIEW, RECORD = (
    "segmentation.dcm", "segmentation.nii.gz", "lesions.csv", "preview.png", "result.json",
)  # fmt: skip
_PREFIX = ".writing-"
_STALE_S = 24 * 3600.0


def write_all(
    out: Path,
    study: PetCtStudy,
    segmentation: Segmentation,
    lesions: Sequence[Lesion],
    *,
    segments: str = "each",
    command_options: dict | None = None,
) -> list[Path]:
    """Writes SEG (NIfTI study: label as NIfTI), table, picture and record into `out`, replacing an earlier result.

    command_options: what shaped the result beyond what `segmentation` and `lesions` say; see `write_seg`.
    Without a lesion there is no SEG. Returns the files. Raises PemmaError as `check_out` does, and "cannot-write" for a
    disk that is full or read-only; `out` is as it was then.
    """
    out = Path(out).resolve()
    check_out(out)
    try:
        return _write(out, lambda folder: _files(folder, study, segmentation, lesions, segments, command_options))
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise PemmaError("cannot-write", f"the results can't be written: {words}", _WAY_OUT, out.name) from error


def check_out(out: Path) -> None:
    """Raises PemmaError unless `out` is new, empty, or an earlier result of ours, and can be written.

    An earlier result that a killed program had put aside is put back first.
    """
    out = Path(out).resolve()
    _recover(out)
    if out.exists() and not out.is_dir():
        raise PemmaError("out-is-a-file", "the place for the results is a file", "name a folder", out.name)
    if out.is_dir() and (foreign := _foreign(out)):
        sentence = f"the folder for the results holds something else ({foreign})"
        raise PemmaError("out-not-empty", sentence, "name a new or an empty folder", out.name)
    parent = out if out.is_mount() else next(folder for folder in out.parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise PemmaError("cannot-write", "the results can't be written there", _WAY_OUT, out.name)


_WAY_OUT = "free some space or name another folder with --out"


def _foreign(out: Path) -> str:
    """Name of a file that no result of ours brought here, "" if there is none."""
    present = {entry.name for entry in out.iterdir() if not entry.name.startswith(_PREFIX)}
    ours = _listed(out / RECORD) if present else set()
    return min(present - ours, default="")


def _listed(record: Path) -> set[str]:
    """Names of the files that belong to the result with this record."""
    try:
        content = json.loads(record.read_text("utf-8"))
        if content["schema"] != SCHEMA:
            return set()
        return {RECORD, *(str(file["name"]) for file in content["files"])}
    except (OSError, ValueError, KeyError, TypeError):  # no record of ours: every file is foreign
        return set()


def _files(folder: Path, study, segmentation, lesions, segments, options) -> None:
    files, notes = [folder / TABLE, folder / PREVIEW], ()
    write_csv(folder / TABLE, lesions, study.suv.typed if study.suv else ())
    write_preview(folder / PREVIEW, study, segmentation, lesions)
    if study.kind == "nifti":
        files.append(folder / LABEL)
        write_label_nifti(folder / LABEL, segmentation, lesions, segments=segments)
    elif kept(lesions):
        files.append(folder / SEG)
        notes = write_seg(folder / SEG, study, segmentation, lesions, segments=segments, command_options=options)
    else:
        notes = (("no-lesion", "no lesion was found, so there is no DICOM-SEG"),)
    write_json(folder / RECORD, study, segmentation, lesions, files, notes)


def _write(out: Path, fill: Callable[[Path], None]) -> list[Path]:
    """Fills `new` in a folder of ours and puts it in the place of `out`, which stands aside in the same folder meanwhile."""
    beside = _beside(out)
    beside.mkdir(parents=True, exist_ok=True)
    ours = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=beside))  # `worker.folders` knows these names
    try:
        new = ours / "new"
        new.mkdir()
        fill(new)
        names = sorted(file.name for file in new.iterdir())
        (_move_files if out.is_mount() else _swap)(new, out)
    finally:
        if out.exists() or not _aside(ours, out).exists():  # else the old result is left there: not ours to throw away
            shutil.rmtree(ours, ignore_errors=True)
    return [out / name for name in names]


def _beside(out: Path) -> Path:
    return out if out.is_mount() else out.parent  # a mounted folder can't be renamed, only filled


def _aside(ours: Path, out: Path) -> Path:
    """Where an earlier result stands while a new one takes its place; its name tells whose it is."""
    return ours / "old" / out.name


def _swap(new: Path, out: Path) -> None:
    """Renames `new` to `out`; an earlier result steps aside first and comes back if that fails."""
    aside = _aside(new.parent, out)
    if out.exists():
        aside.parent.mkdir()
        os.rename(out, aside)
    try:
        os.rename(new, out)
    except OSError:
        if aside.exists():
            os.rename(aside, out)
        raise


def _recover(out: Path) -> None:
    """Puts back the result that a killed program had put aside from `out`, and removes what such programs left.

    A folder without an old result may belong to a program that is still writing: it goes when it is a day old.
    """
    for ours in _beside(out).glob(f"{_PREFIX}[0-9]*-*"):
        old = [result.name for result in (ours / "old").glob("*")]
        with suppress(OSError):  # another program was faster
            if old == [out.name]:
                if not out.exists():
                    os.rename(_aside(ours, out), out)
            elif old or time.time() - ours.stat().st_mtime < _STALE_S:
                continue
            shutil.rmtree(ours, ignore_errors=True)


def _move_files(new: Path, out: Path) -> None:
    """The record goes first and comes last: without it the folder is no result."""
    (out / RECORD).unlink(missing_ok=True)
    for old in [entry for entry in out.iterdir() if not entry.name.startswith(_PREFIX)]:
        old.unlink()
    for file in sorted(new.iterdir(), key=lambda file: file.name == RECORD):
        os.replace(file, out / file.name)

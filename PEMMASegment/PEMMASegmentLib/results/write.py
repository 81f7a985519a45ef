"""All files of a result, as a whole: `out` holds the old result or the new one, never half of one."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from ..core import Lesion, PemmaError, PemmaWarning, Segmentation
from ..core.files import sha256_of
from ..core.folders import can_replace, is_litter, recover_folder, replace_folder
from ..study.types import PetCtStudy
from .preview import write_preview
from .record import SCHEMA, as_record, write_json
from .seg import write_label_nifti, write_seg
from .sources import why_no_seg
from .table import kept, write_csv

SEG, LABEL, TABLE, PREVIEW, RECORD = (
    "segmentation.dcm", "segmentation.nii.gz", "lesions.csv", "preview.png", "result.json",
)  # fmt: skip


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

    command_options: what shaped the result beyond what `segmentation` and `lesions` say; see `write_seg` and `as_record`.
    Without a lesion, or with headers that it can't reference, there is no SEG, and the record says so. Returns the files.
    Raises PemmaError as `check_out` does, and "cannot-write" for a disk that is full or read-only; `out` is as it was then.
    """
    out = Path(out).resolve()
    check_out(out)
    try:
        names = replace_folder(
            out, lambda folder: _files(folder, study, segmentation, lesions, segments, command_options), last=RECORD
        )
        return [out / name for name in names]
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise _unwritable(out, f"the results can't be written: {words}") from error


def check_out(out: Path) -> None:
    """Raises PemmaError unless `out` is new, empty, or an earlier result of ours that nobody changed, and can be written.

    An earlier result that a killed program had put aside is put back first.
    """
    out = Path(out).resolve()
    recover_folder(out)
    if out.exists() and not out.is_dir():
        raise PemmaError("out-is-a-file", "the place for the results is a file", "name a folder", out.name)
    if out.is_dir() and (foreign := _foreign(out)):
        sentence = f"the folder for the results holds something else ({foreign})"
        raise PemmaError("out-not-empty", sentence, "name a new or an empty folder", out.name)
    if not can_replace(out):
        raise _unwritable(out, "the results can't be written there")


def drop(out: Path) -> bool:
    """Removes an earlier result of ours from `out`, whole or not at all; whether none is left there."""
    out = Path(out).resolve()
    recover_folder(out)
    try:
        if not out.is_dir() or not any(out.iterdir()):
            return True
        if not _foreign(out):
            replace_folder(out, lambda folder: None, last=RECORD)
            return True
    except OSError:  # Windows: a file of it is open in another program
        pass
    return False


def _unwritable(out: Path, sentence: str) -> PemmaError:
    """The refusal of a place that is left as it is; an earlier result in it might pass for that of the refused study."""
    stays = "; the earlier result stays there" if os.path.exists(out / RECORD) else ""
    way_out = "free some space, close the files of an earlier result, or name a folder with --out that you may write to"
    return PemmaError("cannot-write", sentence + stays, way_out, out.name)


def _foreign(out: Path) -> str:
    """What no result of ours brought here, or is no longer as it did: a file's name in words, "" if there is none."""
    present = sorted(entry.name for entry in out.iterdir() if not is_litter(entry.name))
    ours = _listed(out / RECORD) if present else {}
    for name in present:
        if name not in ours:
            return name
        if not (out / name).is_file() or ours[name] not in (None, sha256_of(out / name)):
            return f"{name}, changed since it was written"
    return ""


def _listed(record: Path) -> dict[str, str | None]:
    """The files that belong to the result with this record: name -> sha256, which the record does not know of itself."""
    try:
        content = json.loads(record.read_text("utf-8"))
        if content["schema"] != SCHEMA:
            return {}
        return {RECORD: None} | {str(file["name"]): str(file["sha256"]) for file in content["files"]}
    except (OSError, ValueError, KeyError, TypeError):  # no record of ours: every file is foreign
        return {}


def _files(folder: Path, study, segmentation, lesions, segments, options) -> None:
    files, told = [folder / TABLE, folder / PREVIEW], ()
    rule = (options or {}).get("mtv_rule") if study.pet is not None else None
    write_csv(folder / TABLE, lesions, study.suv.typed if study.suv else (), rule)
    write_preview(folder / PREVIEW, study, segmentation, lesions)
    if study.kind == "nifti":
        files.append(folder / LABEL)
        write_label_nifti(folder / LABEL, segmentation, lesions, segments=segments)
    elif not kept(lesions):
        told = (PemmaWarning("no-lesion", "no lesion was found, so there is no DICOM-SEG"),)
    elif why := why_no_seg(study.grid_headers):
        told = (PemmaWarning("seg-headers", f"{why}; export the series again"),)
    else:
        files.append(folder / SEG)
        told = write_seg(folder / SEG, study, segmentation, lesions, segments=segments, command_options=options)
    write_json(folder / RECORD, as_record(study, segmentation, lesions, files, told, options))

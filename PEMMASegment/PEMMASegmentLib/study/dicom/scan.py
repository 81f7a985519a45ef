"""Finds the DICOM files of a folder by their content, whatever their names, and tells what was skipped."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...core import PemmaError, PemmaWarning, Progress
from ..nifti.names import refuse_others
from .files import File, printable, read_header, unreachable

MOST_FILES = 50_000
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2")
DICOM_NAMES = (".dcm", ".dicom", ".ima")
ONE_FOLDER = "give the folder of one study"
UNPACK = "unpack the archive and give its folder"


@dataclass
class Scan:
    """All DICOM files of a folder, in order of their paths, and what was skipped."""

    files: list[File] = field(default_factory=list)
    warnings: list[PemmaWarning] = field(default_factory=list)


def scan(folder: Path, progress: Progress) -> Scan:
    """Reads all headers below `folder`. Refuses a missing or empty folder, damaged and unreadable files."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PemmaError(
            "no-folder",
            "there is no such folder" if not folder.exists() else "this is a file, not a folder",
            UNPACK if _is_archive(folder) else ONE_FOLDER,
            printable(folder.name),
        )
    paths, dead_links = _paths(folder)
    found, others = Scan(), []
    for count, path in enumerate(paths):
        progress(count / len(paths), "reading headers")
        file = read_header(path)
        if file is None:
            others.append(path)
        elif "FileSetID" not in file.header and "DirectoryRecordSequence" not in file.header:  # a DICOMDIR is an index
            found.files.append(file)
    found.warnings += _about_skipped(others, dead_links)
    if not found.files:
        refuse_others(folder, printable(folder.name))
        raise PemmaError(
            "nothing-to-load",
            f"none of the {len(paths)} files in the folder is a DICOM image" if paths else "the folder is empty",
            UNPACK if any(map(_is_archive, others)) else ONE_FOLDER,
            printable(folder.name),
        )
    return found


def _paths(folder: Path) -> tuple[list[Path], int]:
    found, dead = [], 0
    for path in _walk(folder, set()):
        if path is None:
            dead += 1
            continue
        found.append(path)
        if len(found) > MOST_FILES:
            raise PemmaError(
                "too-many-files",
                f"the folder holds more than {MOST_FILES} files",
                ONE_FOLDER,
                printable(folder.name),
            )
    return sorted(found), dead


def _walk(folder: Path, seen: set[str]) -> Iterator[Path | None]:
    """All files below, following links to folders once; None for a link that leads nowhere."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(folder) as listed:
            entries = list(listed)
    except OSError as problem:
        raise unreachable(problem, folder.name) from None
    for entry in entries:
        kind = _kind(entry)
        if kind == "folder":
            yield from _walk(Path(entry.path), seen)
        elif kind:
            yield Path(entry.path) if kind == "file" else None


def _kind(entry: os.DirEntry) -> str:
    """ "folder", "file", "dead link" (also one in a circle), or "" for sockets and devices, which are left alone."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        return "dead link" if entry.is_symlink() and not os.path.exists(entry.path) else ""
    except OSError as problem:
        if isinstance(problem, PermissionError) or not os.path.islink(entry.path):
            raise unreachable(problem, entry.name) from None
        return "dead link"


def _about_skipped(others: list[Path], dead_links: int) -> list[PemmaWarning]:
    found = []
    wrong = sum(path.suffix.lower() in DICOM_NAMES for path in others)
    if wrong:
        found.append(
            PemmaWarning(
                "not-dicom",
                f"{wrong} file{'s' * (wrong > 1)} named like DICOM are not DICOM and were skipped",
                "check that the export is complete",
            )
        )
    if any(map(_is_archive, others)):
        found.append(PemmaWarning("archive-ignored", "an archive in the folder was ignored", "unpack it first"))
    if dead_links:
        found.append(PemmaWarning("dead-link", f"{dead_links} links that lead nowhere were skipped"))
    return found


def _is_archive(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in ARCHIVES and not path.name.lower().endswith(".nii.gz")

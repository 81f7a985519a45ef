"""The DICOM files of a folder to one study: judge every series on its headers, choose and pair, only then read pixels."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset
from pydicom.uid import UID

from ...core import PemmaError, PemmaWarning, Progress
from ...core.progress import part
from .. import tags, times
from ..checks import plausible, registration
from ..types import Candidate, PetCtStudy, Typed, left_out
from . import choosing, pairing, pixels
from .examination import day_in_words
from .files import File, read_again
from .judging import judge, modality_of
from .pixelformat import OTHER_PET
from .scan import Scan, scan
from .series import Series


@tags.quiet
def load(
    folder: Path, ct_series: str | None, pet_series: str | None, typed: Typed, need: str | None, progress: Progress
) -> PetCtStudy:
    """The study in a folder of DICOM files; arguments and errors as of `study.load`."""
    scanned = scan(folder, part(progress, 0.0, 0.4))
    found, others = _judge_all(scanned, typed)
    if not found:
        raise _no_images(scanned)
    choice = choosing.choose(found, ct_series, pet_series, need)
    told = [*scanned.warnings, *choice.warnings]
    _pair(choice, need, told)
    ct, pet = (_image(choice, which, need, typed, progress, told) for which in ("ct", "pet"))
    if ct is not None and pet is not None:
        told += registration.check(ct, pet)
    chosen = [s for s in (choice.ct, choice.pet) if s is not None]
    told += _about_dates(chosen)
    return PetCtStudy(
        ct=ct,
        pet=pet,
        ct_headers=_headers(choice.ct),
        pet_headers=_headers(choice.pet),
        suv=choice.pet.plan.summary if choice.pet else None,
        warnings=tuple(dict.fromkeys(told)),
        candidates=choosing.candidates(found, others, choice),
        study_key=_key(chosen),
    )


def _no_images(scanned: Scan) -> PemmaError:
    """The refusal of a folder without CT and PET, which names the kinds of objects that it holds by their SOP class."""
    kinds = sorted({UID(tags.text(file.header, "SOPClassUID")).name for file in scanned.files} - {""})
    sentence = "the folder holds neither a CT nor a PET image series" + (f", only {', '.join(kinds)}" if kinds else "")
    return PemmaError("no-images", sentence, "give the folder of one study", tags.place("SOPClassUID") if kinds else "")


def _judge_all(scanned: Scan, typed: Typed) -> tuple[list[Series], list[Candidate]]:
    """CT and PET volumes, and a line for every other series."""
    images: dict[tuple[str, str], list[File]] = {}
    others: dict[tuple[str, str], list[File]] = {}
    for file in scanned.files:
        modality = modality_of(file)
        uid = tags.text(file.header, "SeriesInstanceUID")
        if modality is None:
            others.setdefault((uid, tags.words(file.header, "Modality")), []).append(file)
        else:
            images.setdefault((uid, modality), []).append(file)
    found = [volume for (uid, modality), files in images.items() for volume in judge(uid, modality, files, typed)]
    listed = [
        Candidate(
            uid,
            modality,
            tags.words(files[0].header, "SeriesDescription"),
            len(files),
            False,
            "neither CT nor PET images",
            day_in_words(files[0].header),
        )
        for (uid, modality), files in others.items()
    ]
    return found, listed


def _pair(choice: choosing.Choice, need: str | None, told: list[PemmaWarning]) -> None:
    """Tells what speaks against the pair; refuses it, or leaves out the one that `need` does without."""
    if choice.ct is None or choice.pet is None:
        return
    try:
        told += pairing.pair(choice.ct, choice.pet)
    except PemmaError as problem:
        if need not in ("ct", "pet"):
            raise
        _leave_out(choice, "pet" if need == "ct" else "ct", problem, told)


def _leave_out(choice: choosing.Choice, which: str, problem: PemmaError, told: list[PemmaWarning]) -> None:
    series = getattr(choice, which)
    choice.reasons[id(series)] = f"left out: {problem.sentence}"
    setattr(choice, which, None)
    told.append(left_out(which, problem))


def _image(
    choice: choosing.Choice, which: str, need: str | None, typed: Typed, progress: Progress, told: list[PemmaWarning]
) -> sitk.Image | None:
    """The chosen CT or PET with its pixels, None if there is none or if it can't be read and `need` does without."""
    series = getattr(choice, which)
    if series is None:
        return None
    span = (0.4, 0.8) if which == "ct" else (0.8, 1.0)
    try:
        voxels, odd = (_hounsfield if which == "ct" else _suv)(series, typed, part(progress, *span))
        told += [*series.warnings, *odd]
    except PemmaError as problem:
        if need is None or which in need.split("+"):
            raise
        _leave_out(choice, which, problem, told)
        return None
    return series.grid.image(voxels)


def _hounsfield(series: Series, _: Typed, progress: Progress) -> tuple[np.ndarray, list[PemmaWarning]]:
    voxels = pixels.volume(series, progress)
    return voxels, plausible.check_ct(voxels)


def _suv(series: Series, typed: Typed, progress: Progress) -> tuple[np.ndarray, list[PemmaWarning]]:
    """SUVbw and what is odd about it. Where no body has it the header must be wrong, and what was typed goes before it."""
    voxels = pixels.volume(series, progress)
    try:
        return voxels, plausible.check_pet(voxels, OTHER_PET, "(0054,1001)")
    except PemmaError as problem:
        if series.doubt(typed):
            return _suv(series, typed, progress)
        if not series.plan.options:
            raise
        sentence = "; ".join([problem.sentence, *(told.sentence for told in series.plan.warnings)])
        way_out = f"check them, type what is wrong with {', '.join(series.plan.options)}, or {OTHER_PET}"
        raise PemmaError(problem.code, sentence, way_out) from None


def _about_dates(chosen: Sequence[Series]) -> list[PemmaWarning]:
    for series in chosen:
        for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "PatientBirthDate"):
            stated = tags.text(series.header, keyword)
            day = times.date(stated)
            if stated and (day is None or day.year < 1900 or day > datetime.now() + timedelta(days=1)):
                return [PemmaWarning("date-invalid", f"{tags.title(keyword)} is no possible date", "check the export")]
    return []


def _headers(series: Series | None) -> tuple[Dataset, ...]:
    """Data sets in slice order without pixels and private elements; of a multi-frame file: that one as it is stored."""
    if series is None:
        return ()
    if series.multiframe:
        headers = [read_again(file, stop_before_pixels=True) for file in series.files]
    else:
        headers = [s.header for s in series.slices]
    unreadable = _unreadable(headers[0])
    for header in headers:
        for tag in list(header.keys()):
            if tag.is_private or tag in unreadable:
                del header[tag]
    return tuple(headers)


def _unreadable(header: Dataset) -> set:
    """Tags whose values make no sense; whoever reads them later, such as a SEG writer, would fail on them."""
    found = set()
    for tag in list(header.keys()):
        try:
            header[tag]
        except tags.VALUE_ERRORS:
            found.add(tag)
    return found


def _key(chosen: Sequence[Series]) -> str:
    uids = [
        tags.text(chosen[0].header, "StudyInstanceUID"),
        *(f"{s.uid}{'#' + s.part if s.part else ''}" for s in chosen),
    ]
    return "|".join(uids)

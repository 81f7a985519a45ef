"""A study as the options want it read, that none comes twice, and what the loader sees in one."""

from dataclasses import fields, replace
from pathlib import Path

from .. import study
from ..adaptation.volumes import contents_of
from ..core import PemmaError, PemmaWarning, Progress
from ..study.types import PetCtStudy, Typed
from .options import Reading


def load_study(folder: Path, options: Reading, need: str | None, progress: Progress) -> PetCtStudy:
    """The study in a folder; `need`: the modalities that must be there, None for any."""
    typed = Typed(**{field.name: getattr(options, field.name) for field in fields(Typed)})
    return study.load(
        folder, ct_series=options.ct_series, pet_series=options.pet_series, typed=typed, need=need, progress=progress
    )


class Apart:
    """The studies of one run, none of which may come twice: as patients of their own they would pass for more people than
    there are. As a case library does."""

    def __init__(self):
        self._whose: dict[str, str] = {}  # hash of an image -> the study that has it

    def take(self, study: PetCtStudy, name: str) -> None:
        """Raises PemmaError "case-known" for a study that has its CT or PET in common with an earlier one."""
        contents = contents_of(study)
        if others := {self._whose[one] for one in contents if one in self._whose}:
            raise PemmaError("case-known", f"the study has its CT or PET in common with {min(others)}: both are one study",
                             "leave one of them out")
        self._whose |= dict.fromkeys(contents, name)


def inspect(folder: Path, options: Reading, progress: Progress) -> tuple[dict, tuple[PemmaWarning, ...]]:
    """What the loader sees in plain values, and its warnings with what to do about them."""
    loaded = load_what_loads(folder, options, progress)
    return study.describe(loaded), loaded.warnings


def load_what_loads(folder: Path, options: Reading, progress: Progress) -> PetCtStudy:
    """The study, or what is left of it when one modality is refused, with that refusal as its first warning."""
    try:
        return load_study(folder, options, None, progress)
    except PemmaError as refusal:
        for need in ("ct", "pet"):
            try:
                left = load_study(folder, options, need, progress)
            except PemmaError:
                continue  # the first refusal is the one to tell
            told = PemmaWarning(refusal.code, refusal.sentence, refusal.way_out)
            return replace(left, warnings=(told, *left.warnings))
        raise

"""A study as the options want it read."""

import argparse
from dataclasses import fields
from pathlib import Path

from .. import study
from ..core import Progress
from ..study.types import PetCtStudy, Typed


def load_study(folder: Path, options: argparse.Namespace, need: str | None, progress: Progress) -> PetCtStudy:
    """The study in a folder; `need`: the modalities that must be there, None for any."""
    typed = Typed(**{field.name: getattr(options, field.name) for field in fields(Typed)})
    return study.load(
        folder, ct_series=options.ct_series, pet_series=options.pet_series, typed=typed, need=need, progress=progress
    )

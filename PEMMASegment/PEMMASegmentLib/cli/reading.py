"""A study as the options want it read."""

import argparse
from pathlib import Path

from .. import study
from ..core import Progress
from ..study.types import PetCtStudy, Typed


def load_study(folder: Path, options: argparse.Namespace, need: str | None, progress: Progress) -> PetCtStudy:
    """The study in a folder; `need`: the modalities that must be there, None for any."""
    typed = Typed(options.weight_kg, options.height_m, options.dose_bq, options.injection_time)
    return study.load(
        folder, ct_series=options.ct_series, pet_series=options.pet_series, typed=typed, need=need, progress=progress
    )

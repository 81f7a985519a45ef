"""What the training of a base model needs around it: a sound place for the run, and what judges a stage."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..core import PemmaError
from ..core.files import as_utf8
from ..core.folders import is_litter
from ..inference.selection import CANDIDATES, best_threshold, dice_by_threshold
from ..network.files import Model
from ..study.types import PetCtStudy
from ..training.config import read_config
from ..training.run import Selection
from ..training.windows import cut_study

#: The sets of inputs that a stage gives a model, to be judged when it ends.
INPUTS = {"ct": ("ct",), "pet": ("ct", "ct+pet", "pet")}


def check_out(out: Path) -> None:
    """Raises PemmaError when `out` is a file, or a folder with something else than a run, or can't be gone on with."""
    as_utf8(out)
    if out.exists() and not out.is_dir():
        raise PemmaError("out-is-a-file", "the place for the run is a file", "name a folder", out.name)
    entries = [f.name for f in out.iterdir() if not (f.name.startswith(".") or is_litter(f.name))] if out.is_dir() else []
    if entries and not any(name == "log.jsonl" or re.fullmatch(r"stage-\d+-.*", name) for name in entries):
        sentence = f"the folder for the run holds something else ({min(entries)})"
        raise PemmaError("out-not-empty", sentence, "name a new or an empty folder", out.name)


def on_selection_patients(config_file: Path):
    """What judges a stage: thresholds and Dice on the split's selection patients; None when it names none.

    Each patient counts as it is and cut at random: a threshold that suits only centred tumours suits nobody. One without
    a tumour counts as it is alone, 1 where nothing is found, else 0: what is drawn into healthy patients has to count.
    """
    config = read_config(config_file)
    if not config.select:
        return None

    def validate(net, card, stage: str, selection: Selection) -> dict:
        model = Model(card, net, Path())
        tables = {inputs: list(_in_turn(model, selection, inputs, config.seed)) for inputs in INPUTS.get(stage, ())}
        found = {inputs: best_threshold(table) for inputs, table in tables.items()}
        dice = {inputs: _in_pairs(each, selection) for inputs, (_, each) in found.items()}
        return {"cases": list(_patients(selection)), "threshold": {k: t for k, (t, _) in found.items()},
                "dice": {k: whole for k, (whole, _) in dice.items()}, "dice_cut": {k: cut for k, (_, cut) in dice.items()}}

    return validate


def _patients(selection: Selection) -> Iterator[str]:
    """The split's name of each case's patient, numbered from a second case on: the case's own may hold a date."""
    count = Counter()
    for ref, _ in selection:
        count[ref.patient] += 1
        yield ref.patient if count[ref.patient] == 1 else f"{ref.patient} ({count[ref.patient]})"


def _in_turn(model: Model, selection: Selection, inputs: str, seed: int) -> Iterator[list[float]]:
    """Dice by threshold of each selection case as it is, then, if it has a tumour, cut at random, and so on with the next.

    Read when its turn comes, one at a time: a hundred whole bodies would fill tens of gigabytes.
    Raises PemmaError that names the case and a way out that a training can follow.
    """
    for n, (ref, tumour) in enumerate(selection):
        try:
            pair = ref.read()
            yield dice_by_threshold(model, *pair, inputs)
            if tumour:
                yield _dice_of_a_cut(model, *cut_study(*pair, np.random.default_rng([seed, n])), inputs)
        except PemmaError as error:
            if error.code == "not-finite":
                way_out = "begin anew with lower rates, in another --out"
                raise PemmaError(error.code, error.sentence, way_out, ref.name) from error
            raise ref.refused(error, "select") from error


def _dice_of_a_cut(model: Model, study: PetCtStudy, label: sitk.Image, inputs: str) -> list[float]:
    """Dice by threshold of a cut that holds a tumour; nothing is found in one without a body to be seen, as around a nodule."""
    try:
        return dice_by_threshold(model, study, label, inputs)
    except PemmaError as error:
        if error.code != "no-body":
            raise
        return [0.0] * len(CANDIDATES)


def _in_pairs(dice: list[float], selection: Selection) -> tuple[list[float], list[float | None]]:
    """The Dice in the order of `_in_turn` as those of the cases as they are and those of the cut ones, None for one not cut."""
    left = iter(dice)
    pairs = [(next(left), next(left) if tumour else None) for _, tumour in selection]
    return [whole for whole, _ in pairs], [cut for _, cut in pairs]

"""The few-shot recipe, chosen on patients of the base's own training who play a hospital: learning rate, and how much is kept.

    python Testing/evidence/recipe.py --out FOLDER [--model NAME|DIR] [--shifts "second" "41 % of SUVmax"]
                                      [--rates 0.002 0.004 0.008] [--kept 1 1.5 2 inf] [--methods salt] [--steps 110]

--kept: the share of a training that is kept, as a multiple of what the base misses (`adaptation.keeping`); inf: all of it.
Five of them adapt, whole; the others are scored, cut, there and on the first site. The base has been trained on all as the
first site sees them, so that its scores are too good and the gains are for comparing recipes with each other, no more.
Neither the site group nor the select group is touched. FOLDER/recipes.jsonl gets one line a run; a run that is there is not
done again, and an unfinished one goes on where it was stopped; the adapters stay in FOLDER/work. Needs `shared` beside the
checkout.
"""

import argparse
import json
import math
import random
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
from second_site import INPUTS, Hospital, read, scores

from PEMMASegmentLib.adaptation import fewshot, keeping
from PEMMASegmentLib.adaptation.verdict import interval
from PEMMASegmentLib.adapters import Adapter, keep_merged, method, weakened
from PEMMASegmentLib.core.files import write_text
from PEMMASegmentLib.network.files import Model, find_model, load_model


def played(model: Model) -> dict[str, list[str]]:
    """A split of the base's training patients alone: five adapt (as `site`), the others are scored (as `select`)."""
    names = sorted(model.card.provenance["split"]["train"])
    site = sorted(random.Random(1).sample(names, 15)[:5])
    others = sorted({*names} - {*site})
    return {"site": site, "select": others, "train": others}


def fitted(model: Model, hospital: Hospital, name: str, rate: float, kept: float, steps: int, work: Path):
    """An adapter with this learning rate and so much of it kept, else as the recipe has it; trained once whatever is kept."""
    fewshot.RECIPE, keeping.PER_MISS = replace(fewshot.RECIPE, rate=rate), math.inf
    whole = fewshot.WeightUpdate(method(name), steps=steps, work=work).fit(model, hospital.adapting(5, 0), INPUTS, 0)
    share = min(1.0, kept * whole.card.training["missed"])
    return keep_merged(Adapter(whole.card, weakened(whole.tensors, share)), model.net), share


def line(row: dict, base: dict) -> str:
    """One line of the table: mean Dice there, paired gain over the base there, change on the first site."""
    told = [f"{np.mean(list(row['there'].values())):.3f}"]
    for where in ("there", "first"):
        gains = [row[where][name] - dice for name, dice in base[where].items()]
        low, high = interval(gains)
        told.append(f"{np.mean(gains):+.3f} ({low:+.3f} to {high:+.3f})")
    about = [row["shift"], row["method"], f"{row['rate']:g}", f"{row['kept']:g} ({row['share']:.2f})", str(row["steps"])]
    return f"| {' | '.join(about + told)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--shifts", nargs="+", default=["second", "41 % of SUVmax"])
    parser.add_argument("--rates", nargs="+", type=float, default=[0.002, 0.004, 0.008])
    parser.add_argument("--kept", nargs="+", type=float, default=[1.0, 1.5, 2.0, math.inf])
    parser.add_argument("--methods", nargs="+", default=["salt"])
    parser.add_argument("--steps", type=int, default=fewshot.EFFORTS["standard"])
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    model, file = load_model(find_model(options.model)), options.out / "recipes.jsonl"
    first = Hospital("first", played(model), False)
    names = ("shift", "method", "rate", "kept", "steps", "model")
    runs = [(shift, "base", 0.0, 0.0, 0) for shift in options.shifts]
    each = product(options.shifts, options.methods, options.rates, options.kept)
    runs += [(*run, options.steps) for run in each]
    for run in runs:
        about = dict(zip(names, (*run, model.identity.sha256[:12]), strict=True))
        if any(all(row[name] == value for name, value in about.items()) for row in read(file)):
            continue
        shift, name, rate, kept, steps = run
        there = Hospital(shift, played(model), False)
        work = options.out / "work"
        adapter, share = (None, 0.0) if name == "base" else fitted(model, there, name, rate, kept, steps, work)
        found = {where: scores(model, adapter, hospital, "auto")[0] for where, hospital in (("there", there), ("first", first))}
        write_text(file, "".join(json.dumps(row) + "\n" for row in [*read(file), about | {"share": share} | found]))
    rows = read(file)
    print("| shift | method | rate | kept | steps | Dice there | gain (95 % interval) | first site, change |\n|" + "---|" * 8)
    for row in rows:
        base = next(r for r in rows if r["method"] == "base" and all(r[n] == row[n] for n in ("shift", "model")))
        print(line(row, base))


if __name__ == "__main__":
    main()

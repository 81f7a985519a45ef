"""What adapting brings at another hospital: base, cheap fixes, SALT, LoRA, all weights; there and back on the first site.

    python Testing/evidence/second_site.py --out FOLDER [--quick] [--model NAME|DIR] [--shifts ...] [--arms ...]
                                           [--cases 3 5 10] [--seeds 0 1 2] [--steps N] [--device auto]
    python Testing/evidence/second_site.py --out FOLDER --table      only the tables of what is there already

Needs `shared` beside the checkout. Adapts to the site group (patients no base has seen; of ten cases the second five are
patients of the base's training, converted), scores the select group, cut one-sidedly after the change: the patients that
chose the base's threshold and that maps are fitted onto, which favours base and maps. FOLDER/runs.jsonl gets one line a run,
and a run that is there is not done again; FOLDER/work keeps unfinished trainings and finished adapters, so that the command
goes on where it was stopped, in the middle of a training too. Two at once with other --shifts may share a FOLDER.
FOLDER/tables.md is written at the end. --quick: three steps, one seed, three cases, one patient: does it work at all.

control: the same patients as the FIRST site sees them, as many steps; trained once for all shifts. lora: the rank whose
count is next to SALT's. Figures: volume and mean SUV inside the label, as a share of what the contour there has.
"""

import argparse
import json
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from scoring import Case, cases, tool
from shifts import SHIFTS

from PEMMASegmentLib.adaptation.fewshot import EFFORTS, WeightUpdate
from PEMMASegmentLib.adaptation.fixes import Flips, Stack, Threshold
from PEMMASegmentLib.adaptation.maps import Maps
from PEMMASegmentLib.adaptation.types import Fitted, Procedure, SiteCase, label_of_lesions
from PEMMASegmentLib.adaptation.verdict import interval
from PEMMASegmentLib.adaptation.whole import WholeParameters
from PEMMASegmentLib.adapters import Method, choose, find, method
from PEMMASegmentLib.adapters.files import keep_merged, shapes
from PEMMASegmentLib.core.images import array, to_grid_of, voxel_ml
from PEMMASegmentLib.core.metrics import dice
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.network.files import Model, find_model, load_model

INPUTS = "ct+pet"
#: What must be seen: share of the loss brought back, change on the first site, gain against another convention.
BACK, KEPT, CONVENTION = 0.5, -0.01, 0.10
#: Arms without chance: one seed is enough where all of the site's cases are used; and those that look at no case.
FIXED = ("base", "threshold", "maps", "flips", "maps+threshold")
BLIND = ("base", "flips")
ARMS = (*FIXED, "norm+out", "salt", "lora", "control", "maps+salt", "all weights")
#: So many cases for all shifts.
USUAL = 5


@dataclass(frozen=True)
class Run:
    """One line of runs.jsonl before its scores."""

    shift: str
    arm: str
    cases: int
    seed: int
    steps: int
    model: str

    @property
    def key(self) -> str:
        return json.dumps([self.shift, self.arm, self.cases, self.seed, self.steps, self.model])


class Hospital:
    """The patients as one shift makes them: to adapt to (whole), and to score (cut)."""

    def __init__(self, shift: str, split: dict, few: bool):
        self.change, self.shift = SHIFTS[shift], shift
        self.site = split["site"]
        self.more = random.Random(0).sample(sorted(split["train"]), 5)
        self.scored = [self._cut(case) for case in cases(split["select"][: 1 if few else None], cut=False)]

    def adapting(self, count: int, seed: int) -> list[SiteCase]:
        """`count` cases: of the site group, another choice for each seed; ten with five of the base's patients."""
        names = random.Random(seed).sample(self.site, min(count, len(self.site))) + self.more[: max(0, count - len(self.site))]
        return [SiteCase(c.name, c.name, c.study, c.label) for c in map(self._changed, cases(sorted(names), cut=False))]

    def _changed(self, case: Case) -> Case:
        changed = self.change(case)
        return replace(changed, study=replace(changed.study, study_key=f"{case.name} {self.shift}"))

    def _cut(self, case: Case) -> Case:
        """Cut by the expert's contour whatever the convention, so that all shifts are scored on the same box."""
        changed = self._changed(case)
        ct, pet, _ = tool("cut_case").cut(changed.study.ct, changed.study.pet, case.label, case.name)
        label = to_grid_of(changed.label, ct, 0, nearest=True)
        return Case(case.name, replace(changed.study, ct=ct, pet=pet), label)


def procedure(run: Run, model: Model, device: str, work: Path) -> Procedure:
    """What an arm does; `work` keeps what it trains."""
    salt = WeightUpdate(method("salt"), steps=run.steps, device=device, work=work)
    made: dict[str, Callable[[], Procedure]] = {
        "threshold": lambda: Threshold(device), "maps": Maps, "flips": Flips,
        "maps+threshold": lambda: Stack((Maps(), Threshold(device))),
        "norm+out": lambda: WholeParameters(False, run.steps, device, work),
        "all weights": lambda: WholeParameters(True, run.steps, device, work),
        "salt": lambda: salt, "control": lambda: salt, "maps+salt": lambda: Stack((Maps(), salt)),
        "lora": lambda: replace(salt, method=equal_lora(model)),
    }  # fmt: skip
    return made[run.arm]()


def equal_lora(model: Model) -> Method:
    """LoRA of the rank whose trained count is next to SALT's, on the same weights."""
    window = model.card.architecture.window
    names = choose(model.net, "all", {name: torch.zeros(1, 1, *window) for name in INPUTS.split("+")})
    blocks = [find(model.net)[name] for name in names]
    stored = ("u", "v", "sigma")
    count = lambda how: sum(t.numel() for n, t in shapes(how, blocks).items() if n.rpartition(".")[2] not in stored)  # noqa: E731
    return min((method("lora", rank=rank) for rank in range(1, 13)), key=lambda how: abs(count(how) - count(method("salt"))))


def done(run: Run, model: Model, hospitals: "Hospitals", device: str, work: Path) -> dict:
    """Adapts and scores: Dice of each patient there and on the first site, and the figures there."""
    fitted: Fitted | None = None
    began = time.process_time()
    if run.arm != "base":
        given = hospitals["first" if run.arm == "control" else run.shift].adapting(run.cases, run.seed)
        fitted = procedure(run, model, device, work).fit(model, given, INPUTS, run.seed, lambda *_: None)
    spent = time.process_time() - began
    card = fitted.card if fitted else None
    adapter = keep_merged(fitted, model.net) if fitted else None
    there, figures = scores(model, adapter, hospitals[run.shift], device)
    return {
        **vars(run), "cpu_seconds": round(card.training.get("cpu_seconds", spent) if card else 0.0, 1),
        "trained": card.trained_parameters if card else 0, "share": round(card.trained_share, 5) if card else 0.0,
        "threshold": card.threshold if card else None, "pet_scale": card.training.get("pet_scale") if card else None,
        "there": there, "first": scores(model, adapter, hospitals["first"], device)[0], "figures": figures,
    }  # fmt: skip


def scores(model: Model, adapter, hospital: Hospital, device: str) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Of each patient the Dice, and volume and mean SUV inside the label as shares of the contour's."""
    found, figures = {}, {}
    for case in hospital.scored:
        label = label_of_lesions(segment(case.study, model, adapter=adapter, inputs=INPUTS, device=device, whole_study=True))
        found[case.name] = round(dice(label, case.label), 5)
        own, wanted = _figures(label, case), _figures(case.label, case)
        figures[case.name] = [round(one / other, 4) for one, other in zip(own, wanted, strict=True)]
    return found, figures


def _figures(label, case: Case) -> tuple[float, float]:
    """Volume (ml) and mean SUV inside a label; an empty one has neither."""
    inside, suv = array(label) > 0, array(to_grid_of(case.study.pet, label, 0.0))
    return inside.sum() * voxel_ml(label), float(suv[inside].mean()) if inside.any() else 0.0


class Hospitals(dict):
    """Made when first asked for."""

    def __init__(self, split: dict, few: bool):
        super().__init__()
        self._split, self._few = split, few

    def __missing__(self, shift: str) -> Hospital:
        self[shift] = Hospital(shift, self._split, self._few)
        return self[shift]


def planned(options: argparse.Namespace, model: str) -> list[Run]:
    """All runs, each once, those that tell most first: five cases of every shift, then more seeds, then other numbers.

    Other numbers of cases only for the second site itself. What looks at no case has 0 of them.
    """
    usual = USUAL if USUAL in options.cases else options.cases[0]
    found = {}
    counts = sorted(options.cases, key=lambda n: n != usual)
    for count, seed, shift, arm in product(counts, options.seeds, options.shifts, options.arms):
        blind, chosen_once = arm in BLIND, arm in FIXED and count == len(options.split["site"])
        if count == usual or shift == "second":
            run = Run(shift, arm, 0 if blind else count, options.seeds[0] if blind or chosen_once else seed, options.steps, model)
            found[run.key] = run
    return list(found.values())


def read(file: Path) -> list[dict]:
    """The runs so far."""
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.is_file() else []


def tables(rows: list[dict]) -> str:
    """Markdown: one table a base and shift, and the paired differences that matter."""
    out = []
    for model, shift in dict.fromkeys((row["model"], row["shift"]) for row in rows):
        here = [row for row in rows if (row["model"], row["shift"]) == (model, shift)]
        out.append(f"\n### {shift}, base {model}\n\n| arm | cases | seeds | Dice there | gain (95 % interval) "
                   "| first site, change | trained | CPU s |\n|---|---|---|---|---|---|---|---|")
        for arm in ARMS:
            for count in sorted({row["cases"] for row in here if row["arm"] == arm}):
                out.append(_line(here, arm, count))
        out += ["", *_differences(here)]
    return "\n".join(out) + "\n"


def _line(here: list[dict], arm: str, count: int) -> str:
    mine = _of(here, arm, count)
    there, first = (_mean(mine, where) for where in ("there", "first"))
    base = _of(here, "base", 0)
    gain = _paired(there, _mean(base, "there")) if base else ""
    kept = _paired(first, _mean(base, "first")) if base else ""
    seconds = np.mean([row["cpu_seconds"] for row in mine])
    return (f"| {arm} | {count} | {len(mine)} | {np.mean(list(there.values())):.3f} | {gain} | {kept} | "
            f"{mine[0]['share']:.2%} | {seconds:.0f} |")


def _differences(here: list[dict]) -> Iterable[str]:
    base = _of(here, "base", 0)
    if base:
        cost = {name: base[0]["first"][name] - dice for name, dice in base[0]["there"].items()}
        yield f"- what the base loses there: {_paired(cost, dict.fromkeys(cost, 0.0))}"
        for count in sorted({row["cases"] for row in here if row["arm"] == "salt"}):
            yield _aims(_of(here, "salt", count), base, float(np.mean(list(cost.values()))))
    yield from _followed(here)
    pairs = (("salt", "maps"), ("salt", "lora"), ("salt", "control"), ("maps+salt", "maps"), ("all weights", "salt"))
    for one, other in pairs:
        for count in sorted({row["cases"] for row in here if row["arm"] == one}):
            mine, theirs = _of(here, one, count), _of(here, other, count)
            if mine and theirs:
                yield f"- {one} minus {other}, {count} cases: {_paired(_mean(mine, 'there'), _mean(theirs, 'there'))}"


def _aims(salt: list[dict], base: list[dict], lost: float) -> str:
    """How SALT stands to what must be seen."""
    gain, kept = (np.mean(list(_mean(salt, where).values())) - np.mean(list(_mean(base, where).values()))
                  for where in ("there", "first"))
    told = f"- salt, {salt[0]['cases']} cases: "
    if salt[0]["shift"] == "41 % of SUVmax":  # the first site's contours are of another convention: nothing to keep
        return told + f"{gain:+.3f} against this convention (aim: {CONVENTION:+.2f})"
    back = f"brings back {gain / lost:.0%} of the loss (aim: {BACK:.0%})" if lost >= 0.05 else "no loss of 0.05 to bring back"
    return told + f"{back}; first site {kept:+.3f} (aim: not below {KEPT:+.2f})"


def _followed(here: list[dict]) -> Iterable[str]:
    """Medians over patients of the figures as shares of the contour's."""
    for arm, count in dict.fromkeys((row["arm"], row["cases"]) for row in here):
        if arm in ("base", "maps", "salt", "lora", "all weights"):
            told = np.median([list(row["figures"].values()) for row in _of(here, arm, count)], axis=(0, 1))
            yield f"- figures, {arm}, {count} cases: volume {told[0]:.2f} and mean SUV {told[1]:.2f} of the contour's"


def _of(rows: list[dict], arm: str, count: int) -> list[dict]:
    return [row for row in rows if row["arm"] == arm and row["cases"] == count]


def _mean(rows: list[dict], where: str) -> dict[str, float]:
    """Dice of each patient, averaged over seeds first."""
    return {name: float(np.mean([row[where][name] for row in rows])) for name in rows[0][where]}


def _paired(one: dict[str, float], other: dict[str, float]) -> str:
    gains = [one[name] - other[name] for name in one]
    found = interval(gains)
    return f"{np.mean(gains):+.3f}" + (f" ({found[0]:+.3f} to {found[1]:+.3f})" if found else "")


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--shifts", nargs="+", choices=SHIFTS, default=[name for name in SHIFTS if name != "first"])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--cases", nargs="+", type=int, default=[3, 5, 10])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=EFFORTS["standard"])
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    options = parser.parse_args()
    if options.quick:
        options.cases, options.seeds, options.steps = [3], [0], 3
    return options


def main() -> None:
    options = read_options()
    options.out.mkdir(parents=True, exist_ok=True)
    file = options.out / "runs.jsonl"
    if not options.table:
        model = load_model(find_model(options.model))
        options.split = model.card.provenance["split"]
        hospitals = Hospitals(options.split, options.quick)
        left = [run for run in planned(options, model.identity.sha256[:12]) if run.key not in {_key(row) for row in read(file)}]
        for n, run in enumerate(left):
            row = done(run, model, hospitals, options.device, options.out / "work")
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
            there, first = (np.mean(list(row[where].values())) for where in ("there", "first"))
            print(f"{n + 1} of {len(left)}: {run.shift}, {run.arm}, {run.cases} cases, seed {run.seed}: {there:.3f} there, "
                  f"{first:.3f} first", flush=True)
    words = tables(read(file))
    (options.out / "tables.md").write_text(words, encoding="utf-8")
    print(words)


def _key(row: dict) -> str:
    return Run(**{name: row[name] for name in Run.__dataclass_fields__}).key


if __name__ == "__main__":
    main()

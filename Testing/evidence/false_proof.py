"""How often the verdict accepts what is nothing, and how often it accepts a true gain.

    python Testing/evidence/false_proof.py flips [--scores FILE]   labels "base" and "adapted" of recorded scores flipped
                                                                   at random, 10,000 draws; also with a shared effect
    python Testing/evidence/false_proof.py power [--scores FILE]   true gains of known size over the recorded spread; then no
                                                                   true gain, but a large loss that few patients have
    python Testing/evidence/false_proof.py runs --out DIR [--seeds 0 60]    real quick runs on annotations of other
                                                                   patients, pasted in; goes on where it was stopped
    python Testing/evidence/false_proof.py record --out DIR [--proofs ...]  the product's proof where there is something to
                                                                   learn: scores for `flips` and `power`

`flips` and `runs` end with exit code 1 when more is accepted than may be. FILE: JSON lines, one a run, with `before` and
`after`, the Dice of held-out patients, `command` and `model` (the first figures of its hash); `runs` and `record` write
DIR/held_out_scores.jsonl, and what stands there from the same model is not done again. Both need `shared` beside the
checkout. Two `runs` at once with other --seeds may share a DIR. `runs --folds 2` trains twice a run and not five times; its
patients have more in common than the product's, which is the harder test of the rule.

A draw of `flips` takes a recorded run, some of its patients, and a random sign for each; newly missed lesions are left out,
which could only lower what is accepted. A shared effect is one more such gain, the same for all patients of the draw.
"""

import argparse
import json
import shutil
import sys
import time
from math import sqrt
from pathlib import Path

import numpy as np

from PEMMASegmentLib.adaptation.verdict import ACCEPTED, LEVEL, verdict

SCORES = Path(__file__).with_name("held_out_scores.jsonl")
PATIENTS = (5, 6, 8, 10)
SHARED = (0.0, 0.05, 0.1)
GAINS = (0.03, 0.05, 0.08, 0.10, 0.15)
LOSING = (0.05, 0.1, 0.2)
DRAWS = 10_000
SECOND, CONVENTION = "second", "41 % of SUVmax"
#: What `record` proves: shift, procedure, and how many patients: five are the site group, ten the select group and five of
#: the base's training.
PROOFS = ((SECOND, "salt", 5), (CONVENTION, "salt", 5), (SECOND, "maps", 10), (CONVENTION, "threshold", 10))


def recorded(file: Path) -> list[np.ndarray]:
    """The gains of each recorded run."""
    runs = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    return [np.subtract(run["after"], run["before"]) for run in runs]


def accepted(gains: np.ndarray) -> bool:
    """The rule on the gains of one run's patients."""
    return verdict(np.full(len(gains), 0.5), 0.5 + gains).word == ACCEPTED


def flipped(runs: list[np.ndarray], patients: int, shared: float, rng: np.random.Generator) -> np.ndarray:
    """Gains of a run in which nothing is true: recorded differences with a random sign each.

    shared: share of the variance that all patients of the run have in common, a draw of its own with a random sign.
    """
    own = runs[rng.integers(len(runs))]
    gains = rng.choice(own, patients, replace=patients > len(own)) * rng.choice((-1, 1), patients)
    together = rng.choice(own) * rng.choice((-1, 1))
    return sqrt(1 - shared) * gains + sqrt(shared) * together


def shifted(runs: list[np.ndarray], patients: int, gain: float, rng: np.random.Generator) -> np.ndarray:
    """Gains of a run with a true mean gain and the recorded spread about it."""
    own = runs[rng.integers(len(runs))]
    return gain + rng.choice(own - own.mean(), patients, replace=patients > len(own)) * rng.choice((-1, 1), patients)


def lopsided(patients: int, losing: float, rng: np.random.Generator) -> np.ndarray:
    """Gains of about 0.03, but for the share `losing` of all patients, who lose so much that the true mean is 0."""
    lost = rng.random(patients) < losing
    return np.where(lost, -0.03 * (1 - losing) / losing, 0.03) + rng.normal(0, 0.003, patients)


def flips(runs: list[np.ndarray], draws: int = DRAWS) -> dict[tuple[int, float], float]:
    """Share accepted by number of patients and shared share of the variance."""
    rng = np.random.default_rng(0)
    return {(n, shared): float(np.mean([accepted(flipped(runs, n, shared, rng)) for _ in range(draws)]))
            for n in PATIENTS for shared in SHARED}


def power(runs: list[np.ndarray], draws: int = 2000) -> dict[tuple[int, float], float]:
    """Share accepted by number of patients and true mean gain."""
    rng = np.random.default_rng(0)
    return {(n, gain): float(np.mean([accepted(shifted(runs, n, gain, rng)) for _ in range(draws)]))
            for n in (5, 10) for gain in GAINS}


def rare(draws: int = DRAWS) -> dict[tuple[int, float], float]:
    """Share accepted by number of patients and share of those who lose."""
    rng = np.random.default_rng(0)
    return {(n, losing): float(np.mean([accepted(lopsided(n, losing, rng)) for _ in range(draws)]))
            for n in PATIENTS for losing in LOSING}


def table(found: dict[tuple[int, float], float], title: str) -> str:
    """Markdown: a row for each number of patients."""
    columns = sorted({column for _, column in found})
    rows = [f"| {n} | " + " | ".join(f"{found[n, c]:.2%}" for c in columns) + " |" for n in sorted({n for n, _ in found})]
    head = [f"| patients | {' | '.join(f'{title} {c:g}' for c in columns)} |", "|---" * (len(columns) + 1) + "|"]
    return "\n".join([*head, *rows])


def real_runs(out: Path, seeds: range, steps: int, folds: int) -> list[dict]:
    """Runs of the real procedure on five patients of the second site whose contours belong to other patients."""
    from scoring import SHARED as shared_folder

    from PEMMASegmentLib.adaptation.fewshot import WeightUpdate
    from PEMMASegmentLib.network.files import find_model, load_model

    model = load_model(find_model(None))
    names = sorted(f.name for f in (shared_folder / "data/sts").glob("STS_*") if f.name != "STS_008")
    found = []
    for seed in seeds:
        about = {"what": "annotations of other patients", "seed": seed, "steps": steps, "folds": folds}
        rng, work = np.random.default_rng([1, seed]), out / f"work-{seed}"
        line = known(out, about, model)
        if line is None:
            cases = pasted(list(rng.choice(names, 5, replace=False)), rng)
            line = proved(WeightUpdate(steps=steps, work=work), model, cases, about, out, folds)
            shutil.rmtree(work)
        found.append(line)
    return found


def record(out: Path, only: list[int], steps: int) -> list[dict]:
    """The product's proof of a few procedures where there is something to learn."""
    from second_site import Hospital

    from PEMMASegmentLib.adaptation.fewshot import WeightUpdate
    from PEMMASegmentLib.adaptation.fixes import Threshold
    from PEMMASegmentLib.adaptation.maps import Maps
    from PEMMASegmentLib.network.files import find_model, load_model

    model, found = load_model(find_model(None)), []
    split = model.card.provenance["split"]
    ten = {**split, "site": [*split["select"], *split["train"][:5]]}
    made = {"salt": WeightUpdate(steps=steps, work=out / "work"), "maps": Maps(), "threshold": Threshold()}
    for shift, name, patients in (PROOFS[n] for n in only):
        about = {"what": f"{shift}, {name}", "seed": 0, "steps": steps if name == "salt" else 0, "patients": patients}
        cases = Hospital(shift, split if patients == 5 else ten, True).adapting(patients, 0)
        found.append(known(out, about, model) or proved(made[name], model, cases, about, out, None))
    return found


def known(out: Path, about: dict, model) -> dict | None:
    """The line about this run with this model, if there is one."""
    file, about = out / SCORES.name, about | {"model": model.identity.sha256[:12]}
    lines = file.read_text("utf-8").splitlines() if file.is_file() else []
    return next((one for one in map(json.loads, lines) if about.items() <= one.items()), None)


def proved(procedure, model, cases: list, about: dict, out: Path, folds: int | None) -> dict:
    """The proof of a procedure as the product runs it, added to the file in `out`."""
    from PEMMASegmentLib.adaptation.proof import prove

    began = time.process_time()
    proof = prove(procedure, model, cases, "ct+pet", about["seed"], _told(about["what"], about["seed"]), folds, whole_study=True)
    before, after = ([round(dice, 4) for dice in scores] for scores in proof.by_patient())
    said = verdict(before, after, newly_missed=proof.newly_missed)
    line = about | {"before": before, "after": after, "newly_missed": proof.newly_missed, "verdict": said.word,
                    "cpu_seconds": round(time.process_time() - began), "model": model.identity.sha256[:12],
                    "command": f"Testing/evidence/false_proof.py {sys.argv[1]}"}
    with (out / SCORES.name).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    return line


def pasted(names: list[str], rng: np.random.Generator) -> list:
    """Cases of the second site, each with another one's contour anywhere in its image: nothing can be learned."""
    from PEMMASegmentLib.adaptation.types import SiteCase
    from PEMMASegmentLib.core.images import array, like

    given = at_second_site(names)
    turned = np.roll(np.arange(len(given)), int(rng.integers(1, len(given))))
    out = []
    for case, other in zip(given, turned, strict=True):
        label = like(elsewhere(array(given[other].label), array(case.label).shape, rng), case.study.ct)
        out.append(SiteCase(case.name, case.name, case.study, label))
    return out


def elsewhere(mask: np.ndarray, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """The contour of a mask at a place drawn anew in an image of this shape (z, y, x), cut where it is too large."""
    used = np.argwhere(mask)
    low, high = used.min(0), np.minimum(used.max(0) + 1, used.min(0) + shape)
    contour = mask[tuple(map(slice, low, high))]
    start = rng.integers(0, np.array(shape) - contour.shape + 1)
    out = np.zeros(shape, np.uint8)
    out[tuple(map(slice, start, start + contour.shape))] = contour
    return out


def at_second_site(names: list[str]) -> list:
    """Patients as the simulated second site sees them: `scoring.Case`, uncut."""
    from dataclasses import replace

    import SimpleITK as sitk
    from scoring import cases, tool

    out = []
    for case in cases(names, cut=False):
        ct, pet = tool("second_site").second_site(sitk.Cast(case.study.ct, sitk.sitkFloat32), case.study.pet, case.name)
        study = replace(case.study, ct=sitk.Cast(ct, sitk.sitkInt16), pet=pet, study_key=f"second site {case.name}")
        out.append(replace(case, study=study))
    return out


def _told(what: str, seed: int):
    def told(fraction: float, words: str) -> None:
        print(f"\r{what}, seed {seed}: {fraction:4.0%} {words:<60}", end="", file=sys.stderr)

    return told


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("flips", "power", "runs", "record"))
    parser.add_argument("--scores", type=Path, default=SCORES)
    parser.add_argument("--out", type=Path, default=Path(".runs/false-proof"))
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 60), metavar=("FIRST", "STOP"))
    parser.add_argument("--proofs", type=int, nargs="+", default=list(range(len(PROOFS))), help="numbers of PROOFS, from 0")
    parser.add_argument("--steps", type=int, help="30 for runs, 110 for record")
    parser.add_argument("--folds", type=int, default=5)
    return parser.parse_args()


def main() -> int:
    options = read_options()
    if options.what in ("runs", "record"):
        options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "runs":
        done = real_runs(options.out, range(*options.seeds), options.steps or 30, options.folds)
        taken = sum(one["verdict"] == ACCEPTED for one in done)
        print(f"{taken} of {len(done)} runs accepted (of 60 at most one may be)")
        return int(taken > 1)
    if options.what == "record":
        print("\n".join(json.dumps(line) for line in record(options.out, options.proofs, options.steps or 110)))
        return 0
    runs = recorded(options.scores)
    if options.what == "power":
        print(f"{table(power(runs), 'gain')}\n\n{table(rare(), 'losing')}")
        return 0
    found = flips(runs)
    print(table(found, "shared"))
    return int(max(found.values()) >= LEVEL)


if __name__ == "__main__":
    sys.exit(main())

"""What adapting has to say: the answer of `pemma-segment adapt --json`, the table, and what of it the adapter keeps."""

from collections.abc import Sequence

import numpy as np

from ..adapters import AdapterCard
from .ladder import Ladder, harmful
from .ledger import Tries
from .proof import Pair, Proof
from .verdict import HARM, NOT_SHOWN, Verdict, forgotten, interval

OF_THE_PROCEDURE = "the proof is of the procedure, run without each patient in turn; this adapter was trained on all cases"
#: Below this share of a training that is kept (`keeping.strength`) an adapter is hardly more than the base.
LITTLE = 0.1
_LITTLE_LEARNED = "; the base misses hardly anything on these cases: almost nothing was learned from them"


def as_record(said: Verdict, proof: Proof, reference: Sequence[Pair], tries: Tries, card: AdapterCard, seconds: float,
              trained_on: int = 0) -> dict:
    """Keys as architecture.md has them. before, after: Dice; missed_ml, extra_ml: with the adapter.

    trained_on: how many of the model's reference cases are no `reference`, since they are among the cases.
    """
    before, after = ([getattr(pair, when).dice for pair in reference] for when in ("before", "after"))
    gains = np.subtract(after, before)
    return {
        "verdict": said.word, "sentence": _sentence(said, tries), "cases": [_row(pair) for pair in proof.pairs],
        "mean_gain": said.mean_gain, "interval_95": _listed(said.interval_95), "more_cases": said.more, "folds": proof.folds,
        "reference": {"cases": [_row(pair) for pair in reference], "mean_gain": float(gains.mean()) if len(gains) else None,
                      "interval_95": _listed(interval(gains)), "sentence": forgotten(before, after, trained_on)},
        "tries": tries.count, "tries_lost": tries.lost, "trained_share": card.trained_share, "inputs": card.inputs,
        "method": card.method.name if card.method else None, "note": _note(card), "seconds": round(seconds, 1),
    }  # fmt: skip


def _note(card: AdapterCard) -> str:
    return OF_THE_PROCEDURE + _LITTLE_LEARNED * (card.training.get("strength", 1.0) < LITTLE)


def of_ladder(found: Ladder, lost: int) -> dict:
    """What a record has beside the recommended rung: a row for every rung, the choice and the words for it.

    lost: tries that were deleted from the ledger.
    """
    rows = [{"procedure": rung.procedure.name, "words": rung.procedure.words, "verdict": rung.verdict.word,
             "mean_gain": rung.verdict.mean_gain, "interval_95": _listed(rung.verdict.interval_95),
             "before": rung.proof.by_patient()[0], "after": rung.proof.by_patient()[1]} for rung in found.rungs]
    best = None if found.recommended is None else rows[found.recommended]["procedure"]
    return {"ladder": rows, "recommended": best, "sentence": found.sentence + _of_lost(lost), "tries_lost": lost}


def nothing_recommended(found: Ladder, lost: int, inputs: str, seconds: float) -> dict:
    """A record without an adapter: the base stays as it is."""
    return {
        "verdict": HARM if harmful(found.rungs) else NOT_SHOWN,
        "cases": [], "mean_gain": None, "interval_95": None, "more_cases": None,
        "folds": found.rungs[0].proof.folds, "reference": {"cases": [], "mean_gain": None, "interval_95": None, "sentence": ""},
        "tries": found.rungs[0].verdict.tries, "trained_share": 0.0, "inputs": inputs, "method": None,
        "note": "no adapter was written", "seconds": round(seconds, 1),
    } | of_ladder(found, lost)  # fmt: skip


def without_cases(record: dict) -> dict:
    """What the adapter's card keeps: cases and patients by number, since a folder's name may tell a patient.

    Which cases are one patient's stays known: without that nobody could reckon the verdict from the card's scores.
    """
    patients = list(dict.fromkeys(row["patient"] for row in record["cases"]))
    numbered = [row | {"case": f"case {n + 1}", "patient": f"patient {patients.index(row['patient']) + 1}"}
                for n, row in enumerate(record["cases"])]
    return {key: value for key, value in record.items() if key != "seconds"} | {"cases": numbered}


def _row(pair: Pair) -> dict:
    before, after = pair.before, pair.after
    return {
        "case": pair.case, "patient": pair.patient, "before": before.dice, "after": after.dice,
        "missed_ml": after.missed_ml, "extra_ml": after.extra_ml, "missed_ml_before": before.missed_ml,
        "extra_ml_before": before.extra_ml, "surface_dice_5mm": after.surface_dice_5mm,
        "surface_dice_5mm_before": before.surface_dice_5mm, "newly_missed": pair.newly_missed,
    }  # fmt: skip


def _sentence(said: Verdict, tries: Tries) -> str:
    told = said.sentence
    if tries.count > 1:
        told += f"; try {tries.count} on these patients, which raises the bar"
    return told + _of_lost(tries.lost)


def _of_lost(lost: int) -> str:
    if not lost:
        return ""
    return "; " + ("one try was deleted and counts" if lost == 1 else f"{lost} tries were deleted and count") + " all the same"


def _listed(pair: tuple[float, float] | None) -> list[float] | None:
    return None if pair is None else list(pair)

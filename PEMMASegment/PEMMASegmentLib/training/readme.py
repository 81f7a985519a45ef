"""The README of a trained model, made from its card alone: what it is, what it knows, how it was trained and chosen."""

from collections.abc import Iterable

import numpy as np

from ..network.files import ModelCard
from .config import GROUPS

_USE = """**For research, and to be adapted on site. Not a medical device.** Every contour needs the eyes of a physician."""
_CUTS = """Cases were cut before windows were drawn: the shares of the table left uncut or cut anywhere, also through the tumour,
as always where there is none; the rest with a random share of each margin. Windows are padded as in use."""


def readme(card: ModelCard) -> str:
    """Markdown text; the figures are those of the selection patients, which also chose the thresholds."""
    stages = card.provenance.get("stages", [])
    parts = [f"# {card.name} {card.version}", _USE, _what(card), "## Network", _network(card), "## Training",
             _training(stages), _CUTS, _split(card.provenance.get("split", {})), _selection(card, stages)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _what(card: ModelCard) -> str:
    labels = ", ".join(label.name.lower() for label in card.labels)
    return (f"Segments {labels} on {' and '.join(m.upper() for m in card.modalities)}, or on what of these there is. Knows: "
            f"{card.region.words.rstrip('.')}. Longest training image: {card.region.longest_mm:.0f} mm; a body more than 1.3 "
            "times as long is refused unless a region or `--whole-study` is given.")


def _network(card: ModelCard) -> str:
    a, p = card.architecture, card.preprocessing
    return (f"UNETR with {a.depth} layers of width {a.hidden}, patch {a.patch}, embedding `{a.embedding}`, windows of "
            f"{'x'.join(map(str, a.window))} voxels of {'x'.join(f'{s:g}' for s in p.spacing_mm)} mm. CT {p.ct_hu[0]:g} to "
            f"{p.ct_hu[1]:g} HU, PET asinh(SUVbw/{p.pet_scale:g})/{p.pet_scale:g}.")


def _training(stages: list[dict]) -> str:
    titles = ["stage", "cases", "steps", "windows a step", "uncut", "cut anywhere", "trained", "share of the CT network",
              "CPU minutes"]
    rows = [[s["name"], s["cases"], s["steps"], s["batch"], f"{s['whole']:.0%}", f"{s['anywhere']:.0%}",
             f"{s['trained_parameters']:,}", f"{s['share']:.1%}", f"{s['cpu_minutes']:.0f}"] for s in stages]
    return _table(titles, rows)


def _split(split: dict) -> str:
    groups = [f"- {name}: {', '.join(split[name])}" for name in GROUPS if split.get(name)]
    return "\n".join(["Split by patient:", "", *groups]) if groups else ""


def _selection(card: ModelCard, stages: list[dict]) -> str:
    """Dice on the selection patients after the last stage that was judged."""
    judged = [s["selection"] for s in stages if s.get("selection")]
    if not judged:
        return f"No selection patients; thresholds: {card.threshold}."
    last = judged[-1]
    rows = [[inputs, f"{last['threshold'][inputs]:g}", how, *_figures(dice[inputs])]
            for inputs in last["dice"] for how, dice in (("as they are", last["dice"]), ("cut", last["dice_cut"]))]
    words = ("## Selection patients\n\nThey chose the thresholds, so these Dice are a little too good. Each study as it is and "
             "cut once with a random share of each margin, 0 where the cut shows no body; one without a tumour uncut, 1 where "
             "nothing is found, else 0.\n\n")
    return words + _table(["inputs", "threshold", "studies", "mean Dice", *last["cases"]], rows)


def _figures(dice: list[float | None]) -> list[str]:
    """The mean, then each study's Dice; None for one that was not judged."""
    return [f"{np.mean([v for v in dice if v is not None]):.3f}", *("-" if v is None else f"{v:.3f}" for v in dice)]


def _table(titles: list[str], rows: Iterable[list]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)

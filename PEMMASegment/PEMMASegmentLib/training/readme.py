"""The README of a trained model, made from its card alone: what it is, what it knows, how it was trained and chosen."""

import numpy as np

from ..network.files import ModelCard

_USE = """**For research, and to be adapted on site. Not a medical device.** Every contour needs the eyes of a physician."""


def readme(card: ModelCard) -> str:
    """Markdown text; the figures are those of the selection patients, which also chose the thresholds."""
    a, p, stages = card.architecture, card.preprocessing, card.provenance.get("stages", [])
    lines = [f"# {card.name} {card.version}", "", _USE, "",
             f"Segments {', '.join(label.name.lower() for label in card.labels)} on {' and '.join(card.modalities).upper()}"
             f" (each of them alone works where it was trained). Knows: {card.region.words.rstrip('.')}. Longest training "
             f"image: {card.region.longest_mm:.0f} mm; a body over 1.3 times as long is refused unless a region is given.",
             "", "## Network", "",
             f"UNETR with {a.depth} layers of width {a.hidden}, patch {a.patch}, embedding `{a.embedding}`, windows of "
             f"{'x'.join(str(n) for n in a.window)} voxels of {'x'.join(f'{s:g}' for s in p.spacing_mm)} mm. CT "
             f"{p.ct_hu[0]:g} to {p.ct_hu[1]:g} HU, PET asinh(SUVbw/{p.pet_scale:g})/{p.pet_scale:g}.",
             "", "## Training", "",
             "| stage | patients | steps | windows a step | trained | share of the CT network | CPU minutes |",
             "|---|---|---|---|---|---|---|"]
    lines += [f"| {s['name']} | {s['cases']} | {s['steps']} | {s['batch']} | {s['trained_parameters']:,} | {s['share']:.1%} |"
              f" {s['cpu_minutes']:.0f} |" for s in stages]
    lines += ["", "Crops were cut at random before windows were drawn, and padded as in use. Split by patient:", ""]
    split = card.provenance.get("split", {})
    lines += [f"- {name}: {', '.join(split[name])}" for name in ("train", "select", "site", "demo") if split.get(name)]
    return "\n".join(lines + _selection(card, stages)) + "\n"


def _selection(card: ModelCard, stages: list[dict]) -> list[str]:
    """Dice on the selection patients after the last stage that was judged."""
    judged = [s["selection"] for s in stages if s.get("selection")]
    if not judged:
        return ["", f"No selection patients: the thresholds are {card.threshold}."]
    last = judged[-1]
    lines = ["", "## Selection patients", "", "They chose the thresholds, so these Dice are a little too good.", "",
             "| inputs | threshold | mean Dice | " + " | ".join(last["cases"]) + " |", "|---" * (3 + len(last["cases"])) + "|"]
    for inputs, scores in last["dice"].items():
        each = " | ".join(f"{v:.3f}" for v in scores)
        lines.append(f"| {inputs} | {last['threshold'][inputs]:g} | {np.mean(scores):.3f} | {each} |")
    return lines

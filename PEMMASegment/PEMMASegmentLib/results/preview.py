"""`preview.png`: fused PET/CT in three planes through the hottest lesion, the model's contour over it, the PET projected.

It names the model, inputs, units and scale, and nothing of the patient.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import __version__
from ..core import Lesion, Segmentation
from ..core.files import write_atomically
from ..study.types import PetCtStudy
from .measure import rule_in_words
from .planes import View, hottest, views
from .table import kept

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDTH, _HEIGHT, _DPI = 13.6, 8.5, 120  # inches, pixels an inch
_LEFT, _RIGHT, _BOTTOM, _TOP, _GAP = 0.35, 1.15, 0.75, 1.25, 0.35  # inches kept free around and between the pictures
_DARK, _TEXT, _QUIET, _CONTOUR, _OUTLINE = "#0b0e13", "#e8edf3", "#8a95a3", "#35e0ff", "#e0004d"
_WINDOW, _LEVEL = 400, 40  # HU, soft tissue
_SUV_TOP = (5.0, 15.0)  # the scale ends at the hottest lesion's SUVmax, but within these
_OPAQUE_AT, _OPACITY = 0.5, 0.65  # share of the scale at which the PET reaches its full opacity over the CT


def write_preview(path: Path, study: PetCtStudy, segmentation: Segmentation, lesions: Sequence[Lesion]) -> None:
    """Writes the picture (PNG, 1632 x 1020); without CT the PET is shown alone, without PET the CT."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lesions = kept(lesions)
    figure = Figure(figsize=(_WIDTH, _HEIGHT), dpi=_DPI, facecolor=_DARK)
    FigureCanvasAgg(figure)
    top = _suv_top(study, lesions)
    shown = views(study, segmentation, lesions)
    for view, place in zip(shown, _places(shown), strict=True):
        _draw(figure.add_axes(place), view, top)
    if study.pet is not None:
        _colour_bar(figure, top, fused=study.ct is not None)
    _write_words(figure, study, segmentation, lesions)
    software = {"Software": f"PEMMASegment {__version__}"}
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", facecolor=_DARK, metadata=software))


def _suv_top(study: PetCtStudy, lesions: Sequence[Lesion]) -> float:
    chosen = hottest(lesions)
    hot = chosen.suv_max if chosen and chosen.suv_max is not None else 0.0
    return float(np.clip(np.ceil(hot), *_SUV_TOP))


def _places(shown: Sequence[View]) -> list[tuple[float, float, float, float]]:
    """Left, bottom, width, height of each picture in shares of the figure: one row or two by two, whichever is larger.

    All pictures have one scale, so that lengths compare.
    """
    arrangements = [[list(range(len(shown)))], [[0, 1], list(range(2, len(shown)))]]
    return max((_arranged(shown, rows) for rows in arrangements), key=lambda places: places[0][2])


def _arranged(shown: Sequence[View], rows: list[list[int]]) -> list[tuple[float, float, float, float]]:
    columns = max(map(len, rows))
    widths = [max(shown[row[c]].size[0] for row in rows if c < len(row)) for c in range(columns)]  # mm
    heights = [max(shown[n].size[1] for n in row) for row in rows]
    free_width = _WIDTH - _LEFT - _RIGHT - _GAP * (columns - 1)
    free_height = _HEIGHT - _BOTTOM - _TOP - _GAP * (len(rows) - 1)
    scale = min(free_width / sum(widths), free_height / sum(heights))  # inches a mm
    spare_x = (free_width - scale * sum(widths)) / columns
    spare_y = (free_height - scale * sum(heights)) / len(rows)
    places = {}
    y = _HEIGHT - _TOP
    for row, height in zip(rows, heights, strict=True):
        x = _LEFT
        for n, width in zip(row, widths, strict=False):
            w, h = (scale * mm for mm in shown[n].size)
            left, bottom = x + (scale * width + spare_x - w) / 2, y - (scale * height + spare_y + h) / 2
            places[n] = (left / _WIDTH, bottom / _HEIGHT, w / _WIDTH, h / _HEIGHT)
            x += scale * width + spare_x + _GAP
        y -= scale * height + spare_y + _GAP
    return [places[n] for n in range(len(shown))]


def _draw(axes: "Axes", view: View, top: float) -> None:
    projected = view.cross is None
    if view.pet is not None and view.ct is not None:
        axes.imshow(_fused(view, top), extent=view.extent, interpolation="bilinear")
    elif view.pet is not None:
        axes.imshow(view.pet, cmap="gray_r", vmin=0, vmax=top, extent=view.extent, interpolation="bilinear")
    else:
        axes.imshow(_grey(view.ct), cmap="gray", vmin=0, vmax=1, extent=view.extent, interpolation="bilinear")
    on_white = view.ct is None
    _outline(axes, view, _OUTLINE if on_white else _CONTOUR)
    axes.set_axis_off()
    axes.set_title(view.title, color=_TEXT, fontsize=11, pad=5, loc="left")
    _letters(axes, view.letters, "#222222" if on_white else _TEXT)
    _scale_bar(axes, view, "#222222" if on_white else _TEXT)
    if not projected:
        _cross(axes, view, "#222222" if on_white else _TEXT)


def _grey(ct: np.ndarray) -> np.ndarray:
    """CT in the soft-tissue window, 0..1."""
    return np.clip((ct - _LEVEL) / _WINDOW + 0.5, 0, 1)


def _fused(view: View, top: float) -> np.ndarray:
    """Colour image (rows, columns, 3): the PET laid over the CT, the more opaque the hotter."""
    from matplotlib import colormaps

    heat = np.clip(view.pet / top, 0, 1)
    opacity = (_OPACITY * np.clip(heat / _OPAQUE_AT, 0, 1))[..., None]
    return np.repeat(_grey(view.ct)[..., None], 3, axis=2) * (1 - opacity) + colormaps["hot"](heat)[..., :3] * opacity


def _outline(axes: "Axes", view: View, colour: str) -> None:
    if view.label.any():
        rows, columns = view.label.shape
        left, right, bottom, top = view.extent
        x = left + (np.arange(-1, columns + 1) + 0.5) * (right - left) / columns
        y = top + (np.arange(-1, rows + 1) + 0.5) * (bottom - top) / rows
        padded = np.pad(view.label, 1).astype(float)  # a lesion that touches the border is closed there
        axes.contour(x, y, padded, levels=[0.5], colors=colour, linewidths=1.4)
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)


def _letters(axes: "Axes", letters: str, colour: str) -> None:
    places = ((0.015, 0.5, "left", "center"), (0.985, 0.5, "right", "center"), (0.5, 0.985, "center", "top"))
    places += ((0.5, 0.015, "center", "bottom"),)
    for letter, (x, y, horizontal, vertical) in zip(letters, places, strict=True):
        axes.text(
            x, y, letter, transform=axes.transAxes, ha=horizontal, va=vertical, color=colour, fontsize=11, weight="bold"
        )


def _scale_bar(axes: "Axes", view: View, colour: str) -> None:
    width, height = view.size
    length = next((mm for mm in (100, 50, 20, 10) if mm <= 0.4 * width), 5)
    left, _, bottom, top = view.extent
    x, y = left + 0.03 * width, bottom + 0.03 * height * np.sign(top - bottom)
    axes.plot([x, x + length], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
    axes.annotate(f"{length / 10:g} cm", (x, y), (0, 4), textcoords="offset points", color=colour, fontsize=8)


def _cross(axes: "Axes", view: View, colour: str) -> None:
    """Short marks at the border where the other two planes cut, so that nothing lies over the lesion."""
    x, y = view.cross
    for start, stop in ((0, 0.04), (0.96, 1)):
        axes.axvline(x, start, stop, color=colour, linewidth=1, alpha=0.8)
        axes.axhline(y, start, stop, color=colour, linewidth=1, alpha=0.8)


def _colour_bar(figure: "Figure", top: float, fused: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    axes = figure.add_axes((1 - 0.85 / _WIDTH, 0.2, 0.18 / _WIDTH, 0.55))
    scale = ScalarMappable(Normalize(0, top), "hot" if fused else "gray_r")
    bar = figure.colorbar(scale, cax=axes, extend="max")
    bar.outline.set_edgecolor(_QUIET)
    axes.tick_params(colors=_TEXT, labelsize=10)
    axes.set_title("SUVbw\ng/ml", color=_TEXT, fontsize=10, pad=14)


def _write_words(figure: "Figure", study: PetCtStudy, segmentation: Segmentation, lesions: Sequence[Lesion]) -> None:
    left, right = _LEFT / _WIDTH, 1 - _LEFT / _WIDTH
    model, adapter = segmentation.model, segmentation.adapter
    figure.text(left, 0.957, _headline(lesions), color=_TEXT, fontsize=16, weight="bold", va="center")
    figure.text(left, 0.918, _figures(lesions), color=_TEXT, fontsize=11.5, va="center")
    figure.text(right, 0.957, "research use only", color="#ffb454", fontsize=13, weight="bold", ha="right", va="center")
    source = f"Model {model.name} {model.version}   |   adapter {adapter.name if adapter else 'none'}"
    source += f"   |   inputs {segmentation.inputs.upper()}   |   contour at probability {segmentation.threshold:g}"
    figure.text(left, 0.045, source, color=_QUIET, fontsize=10, va="center")
    figure.text(right, 0.045, _scales(study), color=_QUIET, fontsize=10, ha="right", va="center")


def _headline(lesions: Sequence[Lesion]) -> str:
    chosen = hottest(lesions)
    if chosen is None:
        return "No lesion found"
    what = "hottest" if chosen.suv_max is not None else "largest"
    return f"Lesion {chosen.number}, the {what} of {len(lesions)}" if len(lesions) > 1 else "One lesion"


def _figures(lesions: Sequence[Lesion]) -> str:
    chosen = hottest(lesions)
    if chosen is None:
        return "planes through the middle of the study"
    words = [f"contour {chosen.volume_ml:.1f} ml"]
    if chosen.suv_max is not None:
        words += [f"SUVmax {chosen.suv_max:.1f}", f"SUVpeak {chosen.suv_peak:.1f}", f"SUVmean {chosen.suv_mean:.1f}"]
        words += [f"MTV {chosen.mtv_ml:.1f} ml ({rule_in_words(chosen.mtv_rule)})", f"TLG {chosen.tlg:.0f} g"]
    return "   |   ".join(words)


def _scales(study: PetCtStudy) -> str:
    words = []
    if study.ct is not None:
        words.append(f"CT {_LEVEL - _WINDOW // 2} to {_LEVEL + _WINDOW // 2} HU")
    if study.pet is not None:
        typed = " (with typed values)" if study.suv and study.suv.typed else ""
        words.append(f"PET in SUVbw{typed}")
    return "   |   ".join(words)

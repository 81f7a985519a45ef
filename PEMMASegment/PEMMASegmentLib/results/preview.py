"""`preview.png`: fused PET/CT in three planes through the hottest lesion, the contour over it, and the PET projected.

It names the model, inputs, units and scale, and nothing of the patient.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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

_WIDTH, _HIGHEST, _DPI = 13.6, 8.2, 120  # inches: of the figure, of the pictures at most; pixels an inch
_LEAST = 0.5  # inches that a detail needs
_LEFT, _RIGHT, _BOTTOM, _TOP, _GAP = 0.35, 1.2, 0.75, 1.35, 0.3  # inches kept free around and between the pictures
_DARK, _TEXT, _QUIET, _CONTOUR, _OUTLINE = "#0b0e13", "#e8edf3", "#8a95a3", "#35e0ff", "#e0004d"
_INK, _CAUTION, _SEPARATOR = "#16191d", "#ffb454", "   |   "
_WINDOW, _LEVEL = 400, 40  # HU, soft tissue
_SUV_TOP = (5.0, 15.0)  # the scale ends at the hottest lesion's SUVmax, but within these
_CLEAR_BELOW, _OPAQUE_AT, _OPACITY = 0.08, 0.5, 0.65  # shares of the scale between which the PET covers the CT


@dataclass(frozen=True)
class _Layout:
    """Height of the figure, and left, bottom, width, height of each picture that has room: inches."""

    height: float
    places: list[tuple[float, float, float, float]]

    def share(self, left: float, bottom: float, width: float, height: float) -> tuple[float, float, float, float]:
        """Inches as shares of the figure."""
        return left / _WIDTH, bottom / self.height, width / _WIDTH, height / self.height


def write_preview(path: Path, study: PetCtStudy, segmentation: Segmentation, lesions: Sequence[Lesion]) -> None:
    """Writes the picture (PNG, 1632 pixels wide)."""
    figure = picture(study, segmentation, lesions)
    about = {"Software": f"PEMMASegment {__version__}"}
    write_atomically(path, lambda temporary: figure.savefig(temporary, format="png", facecolor=_DARK, metadata=about))


def picture(study: PetCtStudy, segmentation: Segmentation, lesions: Sequence[Lesion]) -> "Figure":
    """The picture itself; without CT the PET is shown alone, without PET the CT."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lesions = kept(lesions)
    shown = views(study, segmentation, lesions)
    layout = _layout(shown)
    figure = Figure(figsize=(_WIDTH, layout.height), dpi=_DPI, facecolor=_DARK)
    FigureCanvasAgg(figure)
    top = _suv_top(lesions)
    for view, place in zip(shown, layout.places, strict=False):  # the last, a detail, may have found no room
        _draw(figure.add_axes(layout.share(*place)), view, top)
    if study.pet is not None:
        _colour_bar(figure, layout, top, fused=study.ct is not None)
    _write_words(figure, layout, top, study, segmentation, lesions)
    return figure


def _suv_top(lesions: Sequence[Lesion]) -> float:
    """SUV at which the colours end."""
    chosen = hottest(lesions)
    hot = chosen.suv_max if chosen and chosen.suv_max is not None else 0.0
    return float(np.clip(np.ceil(hot), *_SUV_TOP))


def _layout(shown: Sequence[View]) -> _Layout:
    """Pictures in a row, tops level, one scale for all so that lengths compare; a detail goes below the first."""
    row = [view for view in shown if not view.detail]
    free = _WIDTH - _LEFT - _RIGHT - _GAP * (len(row) - 1)
    highest = max(view.size[1] for view in row)
    scale = min(free / sum(view.size[0] for view in row), _HIGHEST / highest)  # inches a mm
    spare = (free - scale * sum(view.size[0] for view in row)) / len(row)
    height = _BOTTOM + scale * highest + _TOP
    places, x = [], _LEFT
    for view in row:
        width, tall = (scale * mm for mm in view.size)
        places.append((x, height - _TOP - tall, width, tall))
        x += width + spare + _GAP
    room = places[0][1] - _BOTTOM - 2 * _GAP
    places += [_below(places[0], room, view) for view in shown if view.detail and room >= _LEAST]
    return _Layout(height, places)


def _below(above: tuple[float, float, float, float], room: float, view: View) -> tuple[float, float, float, float]:
    """As wide as the picture above it where it fits, not to its scale; room: inches of height."""
    left, bottom, width, _ = above
    scale = min(width / view.size[0], room / view.size[1])
    wide, tall = (scale * mm for mm in view.size)
    return left, bottom - 2 * _GAP - tall, wide, tall


def _draw(axes: "Axes", view: View, top: float) -> None:
    if view.pet is not None and view.ct is not None:
        axes.imshow(_fused(view, top), extent=view.extent, interpolation="bilinear")
    elif view.pet is not None:
        axes.imshow(view.pet, cmap="gray_r", vmin=0, vmax=top, extent=view.extent, interpolation="bilinear")
    else:
        axes.imshow(_grey(view.ct), cmap="gray", vmin=0, vmax=1, extent=view.extent, interpolation="bilinear")
    ink, outline = (_TEXT, _CONTOUR) if view.ct is not None else (_INK, _OUTLINE)
    _outline(axes, view, outline)
    axes.set_axis_off()
    axes.set_title(view.title, color=_TEXT, fontsize=11, pad=10, loc="left")
    _letters(axes, view.letters, ink)
    _scale_bar(axes, view, ink)
    if view.cross is not None:
        _marks(axes, view.cross)


def _grey(ct: np.ndarray) -> np.ndarray:
    """CT in the soft-tissue window, 0..1."""
    return np.clip((ct - _LEVEL) / _WINDOW + 0.5, 0, 1)


def _fused(view: View, top: float) -> np.ndarray:
    """Colour image (rows, columns, 3): the PET laid over the CT, the more opaque the hotter."""
    from matplotlib import colormaps

    heat = np.clip(view.pet / top, 0, 1)
    opacity = (_OPACITY * np.clip((heat - _CLEAR_BELOW) / (_OPAQUE_AT - _CLEAR_BELOW), 0, 1))[..., None]
    grey, colour = np.repeat(_grey(view.ct)[..., None], 3, axis=2), colormaps["hot"](heat)[..., :3]
    return np.clip(grey * (1 - opacity) + colour * opacity, 0, 1)  # rounding leaves white a little above one


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
        words = axes.text(x, y, letter, transform=axes.transAxes, ha=horizontal, va=vertical, color=colour)
        words.set(fontsize=11, weight="bold", path_effects=_halo(colour))


def _halo(colour: str) -> list:
    """A thin rim of the other brightness, so that letters stand out on bone and air alike."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2, foreground="white" if colour == _INK else "black")]


def _scale_bar(axes: "Axes", view: View, colour: str) -> None:
    width, height = view.size
    length = next((mm for mm in (100, 50, 20, 10) if mm <= 0.4 * width), 5)
    left, _, bottom, top = view.extent
    x, y = left + 0.03 * width, bottom + 0.03 * height * np.sign(top - bottom)
    axes.plot([x, x + length], [y, y], color=colour, linewidth=2.5, solid_capstyle="butt", path_effects=_halo(colour))
    words = axes.annotate(f"{length / 10:g} cm", (x, y), (0, 4), textcoords="offset points", color=colour, fontsize=9)
    words.set_path_effects(_halo(colour))


def _marks(axes: "Axes", cross: tuple[float, float]) -> None:
    """Arrows outside the border where the other two planes cut, so that nothing lies over the lesion."""
    from matplotlib.transforms import ScaledTranslation

    inch, style = axes.figure.dpi_scale_trans, {"color": _CONTOUR, "markersize": 5, "clip_on": False}
    above = axes.get_xaxis_transform() + ScaledTranslation(0, 0.05, inch)
    beside = axes.get_yaxis_transform() + ScaledTranslation(-0.05, 0, inch)
    axes.plot(cross[0], 1, marker="v", transform=above, **style)
    axes.plot(0, cross[1], marker=">", transform=beside, **style)


def _colour_bar(figure: "Figure", layout: _Layout, top: float, fused: bool) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    room = layout.height - _TOP - _BOTTOM
    tall = max(min(room - 0.4, 5), 0.1)
    axes = figure.add_axes(layout.share(_WIDTH - 0.85, layout.height - _TOP - 0.4 - tall, 0.17, tall))
    bar = figure.colorbar(ScalarMappable(Normalize(0, top), "hot" if fused else "gray_r"), cax=axes, extend="max")
    bar.outline.set_edgecolor(_QUIET)
    axes.tick_params(colors=_TEXT, labelsize=10)
    axes.set_title("SUVbw\ng/ml", color=_TEXT, fontsize=10, pad=16)


def _write_words(figure: "Figure", layout: _Layout, top: float, study, segmentation, lesions: Sequence[Lesion]) -> None:
    def write(words: str, from_top: float, on_the_right: bool = False, **style) -> None:
        x, side = (1 - _LEFT / _WIDTH, "right") if on_the_right else (_LEFT / _WIDTH, "left")
        figure.text(x, 1 - from_top / layout.height, words, ha=side, va="center", **style)

    write(_headline(lesions), 0.38, color=_TEXT, fontsize=16, weight="bold")
    write("research use only", 0.38, True, color=_CAUTION, fontsize=13, weight="bold")
    write(_figures(lesions), 0.74, color=_TEXT, fontsize=11.5)
    write(_made_by(segmentation), layout.height - 0.36, color=_QUIET, fontsize=10)
    write(_scales(study, top), layout.height - 0.36, True, color=_QUIET, fontsize=10)


def _made_by(segmentation: Segmentation) -> str:
    model, adapter = segmentation.model, segmentation.adapter
    words = [f"Model {model.name} {model.version}", f"adapter {adapter.name if adapter else 'none'}"]
    words += [f"inputs {segmentation.inputs.upper()}", f"contour at probability {segmentation.threshold:g}"]
    return _SEPARATOR.join(words)


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
    return _SEPARATOR.join(words)


def _scales(study: PetCtStudy, top: float) -> str:
    words = []
    if study.ct is not None:
        words.append(f"CT {_LEVEL - _WINDOW // 2} to {_LEVEL + _WINDOW // 2} HU")
    if study.pet is not None:
        typed = " (with typed values)" if study.suv and study.suv.typed else ""
        words.append(f"PET SUVbw 0 to {top:g} g/ml{typed}")
    return _SEPARATOR.join(words)

"""The list of lesions in the panel: a row each, a tick to keep it, a click to go there, several rows to merge."""

import itertools
import textwrap
from collections.abc import Callable, Mapping, Sequence, Set

import qt
from slicer.i18n import tr as _

from ..core import Lesion
from ..results import totals
from .table import FIGURES, figure, title


class LesionList:
    """Fills a QTableWidget. kept(number, bool) and chosen(number) are called when the user ticks or clicks a row."""

    def __init__(self, widget, kept: Callable[[int, bool], None], chosen: Callable[[int], None]):
        self._widget, self._kept, self._chosen = widget, kept, chosen
        self._numbers: list[int] = []
        self._filling = False
        widget.connect("itemChanged(QTableWidgetItem*)", self._on_changed)
        for signal in ("cellClicked(int,int)", "cellActivated(int,int)"):  # the mouse, the Enter key
            widget.connect(signal, self._on_clicked)

    @property
    def selected(self) -> list[int]:
        """Numbers of the lesions whose rows are selected."""
        rows = {index.row() for index in self._widget.selectionModel().selectedRows()}
        return [self._numbers[row] for row in sorted(rows)]

    def select(self, number: int) -> None:
        """Selects a lesion's row."""
        if number in self._numbers:
            self._widget.selectRow(self._numbers.index(number))

    def fill(self, lesions: Sequence[Lesion], rule: str, reviewed: Set[int] = frozenset(),
             colours: Mapping[int, Sequence[float]] | None = None) -> None:  # fmt: skip
        """Shows these lesions, dropped ones without their tick; what was selected stays so. colours: RGB in the views."""
        selected = self.selected
        self._filling = True
        headers = [_("Lesion"), *(_narrow(title(key, words, rule)) for key, words in FIGURES), _("State")]
        self._widget.setColumnCount(len(headers))
        self._widget.setHorizontalHeaderLabels(headers)
        self._widget.setRowCount(len(lesions))
        self._numbers = [lesion.number for lesion in lesions]
        for row, lesion in enumerate(lesions):
            self._fill_row(row, lesion, lesion.number in reviewed)
            colour = qt.QColor.fromRgbF(*(colours or {}).get(lesion.number, (0.5, 0.5, 0.5)))
            self._item(row, 0).setData(qt.Qt.DecorationRole, colour)
        self._widget.resizeColumnsToContents()
        for row, column in itertools.product(range(len(lesions)), range(len(headers))):
            self._item(row, column).setSelected(self._numbers[row] in selected)
        self._filling = False

    def _fill_row(self, row: int, lesion: Lesion, reviewed: bool) -> None:
        first = self._item(row, 0)
        first.setText(f"{lesion.number}")
        first.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        first.setCheckState(qt.Qt.Checked if lesion.kept else qt.Qt.Unchecked)
        for column, (key, _words) in enumerate(FIGURES, start=1):
            item = self._item(row, column)
            item.setText(figure(getattr(lesion, key)))
            item.setTextAlignment(int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
        self._item(row, len(FIGURES) + 1).setText(state(lesion, reviewed))

    def _item(self, row: int, column: int):
        """The cell's item: the one that is there, because it may be the one whose tick is being handled."""
        item = self._widget.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem("")
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            self._widget.setItem(row, column, item)
        return item

    def _on_changed(self, item) -> None:
        if not self._filling and item.column() == 0:
            self._kept(self._numbers[item.row()], item.checkState() == qt.Qt.Checked)

    def _on_clicked(self, row: int, column: int) -> None:
        if column > 0:  # the first holds the tick
            self._chosen(self._numbers[row])


def _narrow(words: str) -> str:
    """A title over several lines, no wider than its figures: the panel is narrow."""
    if words.startswith("SUV"):
        return f"SUV\n{words[3:]}"
    return textwrap.fill(words.replace(",", ""), 9)


def state(lesion: Lesion, reviewed: bool) -> str:
    """Whether the physician has looked at it, and whether somebody edited it."""
    words = _("reviewed") if reviewed else _("flagged")
    return _("{state}, edited").format(state=words) if lesion.algorithm_type == "SEMIAUTOMATIC" else words


def in_words(lesions: Sequence[Lesion], template: str, reviewed: Set[int]) -> str:
    """The totals of the kept lesions in a sentence with {number}, {reviewed}, {volume}, {mtv} and {tlg}."""
    sums, seen = totals(lesions), sum(lesion.kept and lesion.number in reviewed for lesion in lesions)
    return template.format(
        number=sums["number"], reviewed=seen, volume=figure(sums["volume_ml"]), mtv=figure(sums["mtv_ml"]),
        tlg=figure(sums["tlg"]),
    )  # fmt: skip

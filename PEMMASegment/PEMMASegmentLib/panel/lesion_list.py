"""The list of lesions in the panel: a row each, a tick to keep it, a click to go there."""

from collections.abc import Callable, Sequence

import qt

from ..core import Lesion
from ..results import totals
from .table import FIGURES, title


class LesionList:
    """Fills a QTableWidget. kept(number, bool) and chosen(number) are called when the user ticks or clicks a row."""

    def __init__(self, widget, kept: Callable[[int, bool], None], chosen: Callable[[int], None]):
        self._widget, self._kept, self._chosen = widget, kept, chosen
        self._numbers: list[int] = []
        self._filling = False
        widget.connect("itemChanged(QTableWidgetItem*)", self._on_changed)
        widget.connect("cellClicked(int,int)", self._on_clicked)

    def fill(self, lesions: Sequence[Lesion], rule: str) -> None:
        """Shows these lesions, dropped ones without their tick."""
        self._filling = True
        headers = ["Lesion", *(title(key, words, rule).replace(", ", "\n") for key, words in FIGURES)]
        self._widget.setColumnCount(len(headers))
        self._widget.setHorizontalHeaderLabels(headers)
        self._widget.setRowCount(len(lesions))
        self._numbers = [lesion.number for lesion in lesions]
        for row, lesion in enumerate(lesions):
            self._fill_row(row, lesion)
        self._widget.resizeColumnsToContents()
        self._filling = False

    def _fill_row(self, row: int, lesion: Lesion) -> None:
        first = qt.QTableWidgetItem(f"{lesion.number}")
        first.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
        first.setCheckState(qt.Qt.Checked if lesion.kept else qt.Qt.Unchecked)
        self._widget.setItem(row, 0, first)
        for column, (key, _words) in enumerate(FIGURES, start=1):
            item = qt.QTableWidgetItem(figure(getattr(lesion, key)))
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            item.setTextAlignment(int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
            self._widget.setItem(row, column, item)

    def _on_changed(self, item) -> None:
        if not self._filling and item.column() == 0:
            self._kept(self._numbers[item.row()], item.checkState() == qt.Qt.Checked)

    def _on_clicked(self, row: int, column: int) -> None:
        if column > 0:  # the first holds the tick
            self._chosen(self._numbers[row])


def figure(value: float | None) -> str:
    """Two decimals, a dash where there is no figure."""
    return "–" if value is None else f"{value:.2f}"


def in_words(lesions: Sequence[Lesion], template: str) -> str:
    """The totals of the kept lesions in a sentence with {number}, {volume}, {mtv} and {tlg}."""
    sums = totals(lesions)
    return template.format(
        number=sums["number"], volume=figure(sums["volume_ml"]), mtv=figure(sums["mtv_ml"]), tlg=figure(sums["tlg"])
    )

"""The lesion table as a table node in the scene: the figures, whether a lesion is kept, the MTV rule in its title."""

from collections.abc import Sequence

import vtk

from ..core import Lesion
from ..results import rule_in_words, totals

FIGURES = (
    ("volume_ml", "Volume (ml)"), ("mtv_ml", "MTV (ml)"), ("suv_max", "SUVmax"), ("suv_mean", "SUVmean"),
    ("suv_peak", "SUVpeak"), ("tlg", "TLG (g)"),
)  # fmt: skip


def title(key: str, words: str, rule: str) -> str:
    """A column's title: MTV and TLG depend on the rule, which stands there."""
    return f"{words}, {rule_in_words(rule)}" if key == "mtv_ml" else words


def as_tsv(lesions: Sequence[Lesion], rule: str, typed: Sequence[str] = ()) -> str:
    """The kept lesions and their sums as a spreadsheet or a report takes them from the clipboard: tabs between cells.

    typed: names of the values behind the SUV that the user typed in; a last line tells them.
    """
    rows = [["Lesion", *(title(key, words, rule) for key, words in FIGURES)]]
    chosen = [lesion for lesion in lesions if lesion.kept]
    rows += [[str(lesion.number), *(figure(getattr(lesion, key)) for key, _words in FIGURES)] for lesion in chosen]
    sums = totals(lesions)
    rows.append(["All", *(figure(sums.get(key)) if key in sums else "" for key, _words in FIGURES)])
    if typed:
        rows.append([f"SUV from typed values: {', '.join(typed)}"])
    return "\n".join("\t".join(row) for row in rows) + "\n"


def figure(value: float | None) -> str:
    """Two decimals, a dash where there is no figure."""
    return "–" if value is None else f"{value:.2f}"


def fill(node, lesions: Sequence[Lesion], rule: str) -> None:
    """Writes all lesions, also dropped ones, into a table node; an empty cell (NaN) where there is no figure."""
    table = vtk.vtkTable()
    table.AddColumn(_column(vtk.vtkIntArray(), "Lesion", [lesion.number for lesion in lesions]))
    for key, words in FIGURES:
        values = [getattr(lesion, key) for lesion in lesions]
        numbers = [float("nan") if value is None else value for value in values]
        table.AddColumn(_column(vtk.vtkDoubleArray(), title(key, words, rule), numbers))
    table.AddColumn(_column(vtk.vtkIntArray(), "Kept", [int(lesion.kept) for lesion in lesions]))
    node.SetAndObserveTable(table)
    node.SetUseColumnTitleAsColumnHeader(True)


def _column(array, name: str, values: Sequence[float]):
    array.SetName(name)
    for value in values:
        array.InsertNextValue(value)
    return array

"""The lesion table as a table node in the scene: the figures, whether a lesion is kept, the MTV rule in its title."""

from collections.abc import Sequence

import vtk

from ..core import Lesion
from ..results import rule_in_words

FIGURES = (
    ("volume_ml", "Volume (ml)"), ("mtv_ml", "MTV (ml)"), ("suv_max", "SUVmax"), ("suv_mean", "SUVmean"),
    ("suv_peak", "SUVpeak"), ("tlg", "TLG (g)"),
)  # fmt: skip


def title(key: str, words: str, rule: str) -> str:
    """A column's title: MTV and TLG depend on the rule, which stands there."""
    return f"{words}, {rule_in_words(rule)}" if key == "mtv_ml" else words


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

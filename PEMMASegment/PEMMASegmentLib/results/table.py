"""The lesion table: `lesions.csv`, and as text for a terminal."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core import Lesion
from ..core.files import write_text
from .measure import rule_in_words, totals


@dataclass(frozen=True)
class _Column:
    key: str  # of the CSV
    title: str  # in the terminal, "" leaves it out there
    text: Callable[[Lesion], str]


def write_csv(path: Path, lesions: Iterable[Lesion], typed: Sequence[str] = (), mtv_rule: str | None = None) -> None:
    """Kept lesions, one a row; UTF-8, comma, decimal point; an empty field where there is no figure.

    typed: names of the values behind the SUV that a user typed in; a last column tells them where there are any.
    mtv_rule: the one asked for, which the title names where no lesion does.
    """
    lesions = kept(lesions)
    columns = _columns(lesions, mtv_rule)
    if typed:
        columns.append(_Column("suv_from_typed", "", lambda lesion: "; ".join(typed)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(column.key for column in columns)
    writer.writerows([column.text(lesion) for column in columns] for lesion in lesions)
    write_text(path, text.getvalue())


def as_text(lesions: Iterable[Lesion]) -> str:
    """The same table for a terminal, with the sums below; one sentence when there is no lesion."""
    lesions = kept(lesions)
    if not lesions:
        return "No lesion found."
    columns = [column for column in _columns(lesions) if column.title and any(map(column.text, lesions))]
    rows = [[column.title for column in columns]]
    rows += [[column.text(lesion) or "-" for column in columns] for lesion in lesions]
    if len(lesions) > 1:
        rows.append(_sums(columns, lesions))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def kept(lesions: Iterable[Lesion]) -> list[Lesion]:
    """Those that the user has not thrown out."""
    return [lesion for lesion in lesions if lesion.kept]


def _columns(lesions: list[Lesion], asked: str | None = None) -> list[_Column]:
    rule = next((lesion.mtv_rule for lesion in lesions if lesion.mtv_rule), asked)
    words = f" ({rule_in_words(rule)})" if rule else ""
    return [
        _Column("number", "lesion", lambda lesion: str(lesion.number)),
        _Column("volume_ml", "volume ml", lambda lesion: _figure(lesion.volume_ml)),
        _Column("suv_max", "SUVmax", lambda lesion: _figure(lesion.suv_max)),
        _Column("suv_mean", "SUVmean", lambda lesion: _figure(lesion.suv_mean)),
        _Column(f"mtv_ml{words}", f"MTV ml{words}", lambda lesion: _figure(lesion.mtv_ml)),
        _Column("mtv_rule", "", lambda lesion: lesion.mtv_rule or ""),
        _Column("tlg", "TLG g", lambda lesion: _figure(lesion.tlg)),
        _Column("suv_peak", "SUVpeak", lambda lesion: _figure(lesion.suv_peak)),
        _Column("centroid_mm", "centroid mm (LPS)", lambda lesion: " ".join(f"{c:.1f}" for c in lesion.centroid_mm)),
    ]


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _sums(columns: list[_Column], lesions: list[Lesion]) -> list[str]:
    sums = totals(lesions)
    known = {name: _figure(sums[name]) for name in ("volume_ml", "mtv_ml", "tlg", "suv_max")} | {"number": "all"}
    return [known.get(column.key.split(" ")[0], "") for column in columns]

"""What the tables of bad images are made with: a small pair that loads, spoilt in one way a case.

Verdicts: L loads without a warning, W loads and says so, R is refused; `code` names the warning or the refusal.
Rows are those of the table of bad inputs.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

from pydicom import Dataset

from ..study.phantom import ROOT, Pair


@dataclass(frozen=True)
class Case:
    row: int
    verdict: str
    code: str
    spoil: Callable


CASES: list[Case] = []


def case(row: int, verdict: str, code: str = ""):
    """Adds a function that spoils a `Pair`; it may return one that spoils the folder after the files are written."""

    def add(spoil: Callable) -> Callable:
        CASES.append(Case(row, verdict, code, spoil))
        return spoil

    return add


def for_all(headers, **values) -> None:
    for header in headers:
        for keyword, value in values.items():
            if value is None:
                del header[keyword]
            else:
                setattr(header, keyword, value)


def patch(path: str, old: bytes, new: bytes) -> Callable:
    def change(folder):
        file = folder / path
        assert old in file.read_bytes()
        file.write_bytes(file.read_bytes().replace(old, new, 1))

    return change


def encode(pair: Pair, syntax) -> None:
    for header in pair.all:
        header.file_meta.TransferSyntaxUID = syntax


def clone(header: Dataset, uid: str) -> Dataset:
    twin = copy.deepcopy(header)
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = uid
    return twin


def clones(headers: list[Dataset], number: int) -> list[Dataset]:
    """The same images as another series."""
    twins = [clone(h, f"{ROOT}.{number}.{k + 1}") for k, h in enumerate(headers)]
    for_all(twins, SeriesInstanceUID=f"{ROOT}.{number}", SeriesNumber=number)
    return twins

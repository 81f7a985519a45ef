"""What a user does in the section Adapt, and what stands on the disk and in the scene then."""

import errno
import hashlib
from pathlib import Path

from ..conftest import click, wait
from ..conftest import picture as whole_picture

#: of a training that is to end, and of one that is to be stopped
MINUTES, LONG = 0.05, 2.0


def picture(module, name: str) -> None:
    """The section alone, as high as it wants to be."""
    import slicer

    ui, app = module.panel.ui, slicer.app
    others = [getattr(ui, f"{one}Section") for one in ("study", "view", "segment", "lesions", "export")]
    for section in others:
        section.collapsed = True
    for height in (2600, 2250):
        module.parent.resize(480, height)
        app.processEvents()
    whole_picture(module, name)
    for section in others:
        section.collapsed = False
    app.processEvents()


def cell(table, row: int) -> None:
    """A click on the first cell of a row."""
    from PyQt5 import QtCore, QtTest

    at = table.visualItemRect(table.item(row, 0)).center()
    QtTest.QTest.mouseClick(table.viewport(), QtCore.Qt.LeftButton, pos=at)


def everything(folder: Path) -> dict[str, str]:
    """Hashes of all files."""
    return {
        str(f.relative_to(folder)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(folder.rglob("*")) if f.is_file()
    }


def full_disk(monkeypatch, worker) -> None:
    """From now on no private folder can be made."""
    monkeypatch.setattr(worker, "private_folder", lambda: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))


def saved(folder: Path, model: Path, verdict: str, sentence: str) -> None:
    """An adapter that changes nothing."""
    from PEMMASegmentLib.adapters import AdapterCard, save
    from PEMMASegmentLib.network.files import load_model

    save(folder, {}, AdapterCard(folder.name, "1", None, "", (), load_model(model).identity, "ct+pet", threshold=0.45,
                                 verdict=verdict, scores={"sentence": sentence}))  # fmt: skip


def renamed(app, inside, name: str, said) -> None:
    """The first adapter of the manager."""
    cell(inside.ui.adapterTable, 0)
    inside.ui.adapterNameEdit.text = name
    click(inside.ui.renameAdapterButton)
    wait(app, lambda: f"is called {name}" in said.text)

"""Asking for a file to import or export, with the system's own dialog."""

from pathlib import Path

import qt
from slicer.i18n import tr as _

SETTING = "PEMMASegment/Folder"  # where the last file was chosen


def to_import(parent, title: str, card: str = "") -> Path | None:
    """A zip; with the name of a card ("model.json") also the folder that holds such a file. None: nothing was chosen."""
    names = _("{card} or zip ({card} *.zip)").format(card=card) if card else _("Zip (*.zip)")
    chosen = _chosen(parent, title, names, qt.QFileDialog.AcceptOpen, qt.QFileDialog.ExistingFile)
    return chosen.parent if chosen is not None and chosen.name == card else chosen


def to_export(parent, title: str, name: str) -> Path | None:
    """A new zip, called `name` unless the user has another name. None: nothing was chosen."""
    return _chosen(parent, title, _("Zip (*.zip)"), qt.QFileDialog.AcceptSave, qt.QFileDialog.AnyFile, name)


def _chosen(parent, title: str, names: str, accept, mode, name: str = "") -> Path | None:
    settings = qt.QSettings()
    dialog = qt.QFileDialog(parent, title, str(settings.value(SETTING) or ""), names)
    dialog.setAcceptMode(accept)
    dialog.setFileMode(mode)
    dialog.setDefaultSuffix("zip")
    dialog.setOption(qt.QFileDialog.DontConfirmOverwrite)  # a file that is there is never written over
    if name:
        dialog.selectFile(name)
    chosen = Path(dialog.selectedFiles()[0]) if dialog.exec_() else None
    dialog.deleteLater()
    if chosen is not None:
        settings.setValue(SETTING, str(chosen.parent))
    return chosen

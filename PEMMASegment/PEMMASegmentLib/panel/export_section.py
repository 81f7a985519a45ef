"""The section Export: the kept lesions as DICOM-SEG and as a table, into a folder or the DICOM database."""

from collections.abc import Callable, Sequence
from pathlib import Path

from slicer.i18n import tr as _

from ..core import PemmaError
from . import logic, runs


class ExportSection:
    """guarded(act, *arguments): does it and says errors in the panel; say(words) tells."""

    def __init__(self, ui, guarded: Callable, say: Callable[[str], None]):
        self._ui, self._guarded, self._say = ui, guarded, say
        self._run: runs.Run | None = None
        ui.exportButton.connect("clicked(bool)", lambda _checked=False: guarded(self._export_seg))
        ui.tableButton.connect("clicked(bool)", lambda _checked=False: guarded(self._export_table))

    def follow(self, run: runs.Run | None) -> None:
        """The result to export, or what became of it; tells why it can't be exported."""
        self._run = run
        reason = logic.why_not_export(run)
        self._ui.exportButton.enabled = not reason
        self._ui.tableButton.enabled = run is not None
        self._ui.exportLabel.text = _("No DICOM-SEG: {reason}.").format(reason=reason) if reason else ""

    def _export_seg(self) -> None:
        into_database = self._ui.intoDatabaseCheckBox.checked
        folder = self._folder(or_none=into_database)
        path, notes = logic.export_seg(self._run, folder, into_database=into_database)
        self._tell(path, _("DICOM-SEG with {number} lesion(s)"), folder, into_database, notes)

    def _export_table(self) -> None:
        folder = self._folder()
        self._tell(logic.export_table(self._run, folder), _("Table of {number} lesion(s)"), folder, False)

    def _folder(self, *, or_none: bool = False) -> Path | None:
        chosen = self._ui.exportPathEdit.currentPath
        if not chosen and not or_none:
            raise PemmaError("no-folder", "no place for the result is chosen", "choose a folder, or tick the database")
        return Path(chosen) if chosen else None

    def _tell(self, path: Path, what: str, folder: Path | None, into_database: bool, notes: Sequence[str] = ()) -> None:
        """What was written, and where, and what to know about it."""
        kept = sum(lesion.kept for lesion in self._run.lesions)
        places = [*([_("{name} in {folder}").format(name=path.name, folder=folder.name or folder)] if folder else []),
                  *([_("the DICOM database")] if into_database else [])]  # fmt: skip
        words = _("{what} written: {places}.").format(what=what.format(number=kept), places=", ".join(map(str, places)))
        words = "\n".join([words, *(_("Note: {sentence}.").format(sentence=note) for note in notes)])
        self._ui.exportLabel.text = words
        self._say(words)

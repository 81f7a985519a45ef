"""The manager of adapters: their cards, rename, note, import, export, delete, use. None is used before it is asked for."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..worker.events import Result
from . import files
from .host import Host
from .words import in_panel

COLUMNS = (_("Name"), _("Verdict"), _("Cases"), _("Inputs"), _("For"))


class AdapterList:
    """use(row): the user wants this adapter. in_use(): its folder, "" for none. busy(): the one that is being made.

    on_moved(old, new): an adapter has another folder now, "" when it was deleted.
    """

    def __init__(self, ui, host: Host, use: Callable[[dict], None], busy: Callable[[], Path | None],
                 on_moved: Callable[[str, str], None]):  # fmt: skip
        self._ui, self._host, self._use, self._busy, self._on_moved = ui, host, use, busy, on_moved
        self.rows: list[dict] = []
        table = ui.adapterTable
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        table.verticalHeader().hide()
        table.horizontalHeader().setStretchLastSection(True)
        table.connect("itemSelectionChanged()", self._on_selected)
        ui.adaptersGroupBox.connect("toggled(bool)", lambda open: self.refresh() if open else None)
        for button, act in (
            (ui.renameAdapterButton, self._rename), (ui.noteAdapterButton, self._note),
            (ui.importAdapterButton, self._import), (ui.exportAdapterButton, self._export),
            (ui.deleteAdapterButton, self._delete), (ui.useSelectedButton, lambda: self._use(self._selected())),
        ):  # fmt: skip
            button.connect("clicked(bool)", lambda _checked=False, act=act: host.guarded(act))
        self._on_selected()

    def refresh(self, words: str = "") -> None:
        """Reads the list anew, if somebody looks at it, and says `words` then."""
        if self._ui.adaptersGroupBox.collapsed:
            self._host.refill()
            self._host.say(words)
        else:
            self._ask("list", words, quiet=True)

    def delete(self, folder: Path, words: str) -> None:
        """Deletes an adapter, asked for or not."""
        self._ask("remove", words, source=str(folder), moved=(str(folder), ""))

    def _ask(self, action: str, words: str, moved: tuple[str, str] | None = None, **fields) -> None:
        self._host.ask("adapters", partial(self._fill, words, moved), action=action, **fields)

    def _fill(self, words: str, moved: tuple[str, str] | None, answer: Result) -> None:
        if moved is not None:
            self._on_moved(*moved)
        self.rows = answer.fields["adapters"]
        table = self._ui.adapterTable
        table.setRowCount(len(self.rows))
        for at, row in enumerate(self.rows):
            for column, text in enumerate(_cells(row)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                table.setItem(at, column, item)
        table.resizeColumnsToContents()
        self._host.refill()
        self._on_selected()
        if words:
            self._host.say(words)

    def _rename(self) -> None:
        row, name = self._changeable(), self._ui.adapterNameEdit.text.strip()
        moved = (row["folder"], str(Path(row["folder"]).parent / name))
        self._ask("rename", _("The adapter is called {name} now.").format(name=name), moved, source=row["folder"], text=name)

    def _note(self) -> None:
        row, note = self._changeable(), self._ui.adapterNoteEdit.text.strip()
        self._ask("note", _("The note is kept."), source=row["folder"], text=note)

    def _import(self) -> None:
        source = files.to_import(self._ui.adaptersGroupBox, _("Import an adapter"), "adapter.json")
        if source is not None:
            self._ask("import", _("The adapter was imported. It is off until you press Use."), source=str(source))

    def _export(self) -> None:
        row = self._selected()
        target = files.to_export(self._ui.adaptersGroupBox, _("Export the adapter"), f"{row['name']}.zip")
        if target is not None:
            words = _("{name} was exported to {file}.").format(name=row["name"], file=target.name)
            self._ask("export", words, source=row["folder"], target=str(target))

    def _delete(self) -> None:
        row = self._changeable()
        question = _("Delete the adapter {name} from this computer?").format(name=row["name"])
        if slicer.util.confirmOkCancelDisplay(question, "PEMMASegment"):
            self.delete(Path(row["folder"]), _("Deleted: {name}.").format(name=row["name"]))

    def _selected(self) -> dict:
        at = self._ui.adapterTable.currentRow()
        if not 0 <= at < len(self.rows):
            raise PemmaError("no-adapter", "no adapter is selected", "select one in the table")
        return self.rows[at]

    def _changeable(self) -> dict:
        row = self._selected()
        if self._busy() == Path(row["folder"]):
            raise PemmaError("adapter-busy", "the proof of this adapter is under way", "wait, or stop it first")
        return row

    def _on_selected(self) -> None:
        at, ui = self._ui.adapterTable.currentRow(), self._ui
        row = self.rows[at] if 0 <= at < len(self.rows) else None
        for button in (ui.renameAdapterButton, ui.noteAdapterButton, ui.exportAdapterButton, ui.deleteAdapterButton,
                       ui.useSelectedButton):  # fmt: skip
            button.enabled = row is not None
        ui.adapterCardText.setMarkdown(_card(row) if row is not None else "")
        ui.adapterNoteEdit.text = row.get("note", "") if row is not None else ""


def _cells(row: dict) -> list[str]:
    if row["check"] != "ok":
        return [row["name"], in_panel(row["check"]), "", "", ""]
    base = row["base"].rpartition(" ")[0]
    return [row["name"], row["verdict"], str(row["training"].get("cases", "–")), row["inputs"].upper(), base]


def _card(row: dict) -> str:
    """What an adapter was made of and what it does, for a reader (Markdown)."""
    if row["check"] != "ok":
        return in_panel(row["check"])
    training, ids = row["training"], row["training"].get("case_ids")
    made = _("{cases} case(s) of {patients} patient(s), {own} with a contour of its own").format(
        cases=training.get("cases", "–"), patients=training.get("patients", "–"), own=training.get("independent_cases", "–")
    )
    parts = [f"**{row['name']}**: {training.get('procedure', '')}", made]
    parts += [_("Cases: {ids}").format(ids=", ".join(map(str, ids)))] if ids and isinstance(ids, list) else []
    parts += [_("Note: {note}").format(note=row["note"])] if row.get("note") else []
    parts += _proved(f"**{row['verdict']}**", row["scores"])
    parts += [f"{key.replace('_', ' ')}: {', '.join(map(str, values))}" for key, values in row["origin"].items()]
    return "\n\n".join(parts)


def _proved(verdict: str, scores: dict) -> list[str]:
    """What the proof said, if there was one; on a card from elsewhere that may be anything."""
    try:
        told = [f"{verdict}: {in_panel(scores['sentence'])}" if scores.get("sentence") else verdict]
        told += [_figures(scores["cases"])] if scores.get("cases") else []
        return told + ([in_panel(scores["reference"]["sentence"])] if scores.get("reference") else [])
    except (KeyError, TypeError, ValueError, AttributeError):
        return [verdict, _("Of the proof: its figures can't be read.")]


def _figures(cases: list[dict]) -> str:
    lines = [f"| {_('Case')} | {_('Dice before')} | {_('after')} |", "|---|---|---|"]
    names = [", ".join(filter(None, (case["case"], case.get("patient")))) for case in cases]  # older cards know no patients
    return "\n".join(lines + [f"| {name} | {case['before']:.3f} | {case['after']:.3f} |"
                              for name, case in zip(names, cases, strict=True)])  # fmt: skip

"""The list of a site's cases with thumbnails: add the current study or a folder, import, export, remove."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ..core import PemmaError, PemmaWarning
from ..core.resources import user_folder
from ..worker.events import Error, Result
from . import adapt_contours, files, parameters, polling
from .host import Host
from .words import for_folder, warning

SETTING = "PEMMASegment/CaseLibrary"
SETTLED_MS = 500
_WHOSE = {"scratch": _("drawn from scratch"), "imported": _("imported"), "corrected": _("corrected from {model}")}


class CaseList:
    """`cards` are the sound cases of the library, as the background process tells them. on_changed(): they are others now."""

    def __init__(self, ui, host: Host, on_changed: Callable[[], None]):
        self._ui, self._host, self._on_changed = ui, host, on_changed
        self._chosen: parameters.Parameters | None = None
        self._picked = False  # whether the user has chosen a contour for this study since a run began
        self._left = 0  # how many studies were left
        self.cards: list[dict] = []
        self._settled = polling.timer(host.parent, self._open, SETTLED_MS, once=True)
        ui.caseLibraryPathEdit.currentPath = _kept_library()
        ui.caseLibraryPathEdit.connect("currentPathChanged(QString)", self._on_library)
        ui.caseContourSelector.connect("nodeActivated(vtkMRMLNode*)", self._on_contour)
        ui.caseList.connect("itemSelectionChanged()", self._on_selected)
        for button, act in (
            (ui.addCaseButton, self._add), (ui.addFolderButton, self._add_folder), (ui.removeCasesButton, self._remove),
            (ui.importCasesButton, self._import), (ui.exportCasesButton, self._export),
        ):  # fmt: skip
            button.connect("clicked(bool)", lambda _checked=False, act=act: host.guarded(act))
        self._on_selected()

    @property
    def library(self) -> Path:
        """The chosen library's folder. Raises PemmaError "no-library"."""
        chosen = self._ui.caseLibraryPathEdit.currentPath
        if not chosen:
            raise PemmaError("no-library", "no folder for the case library is chosen", "choose one")
        return Path(chosen)

    def use(self, chosen: "parameters.Parameters | None") -> None:
        """The scene's choices; its result is the contour to add, until another is chosen."""
        self._chosen = chosen
        if chosen is None:
            self.forget()
        elif chosen.result is not None:
            self.use_contour(chosen.result)

    def forget(self) -> None:
        """What was typed and chosen for a case was of the former study: another patient must not get its name."""
        self._picked = False
        self._left += 1
        self._fill_in()

    def await_contour(self) -> None:
        """A result is to come, which the user wants to be the contour, unless another is chosen from now on."""
        self._picked = False

    def use_contour(self, node) -> None:
        """Chooses the contour to add, a segmentation node, unless the user has chosen another one."""
        selector = self._ui.caseContourSelector
        if not self._picked or selector.currentNode() is None:
            selector.setCurrentNode(node)

    def close(self) -> None:
        """The panel is not used any more."""
        self._settled.stop()

    def refresh(self, words: str = "") -> None:
        """Reads the library anew and says `words` then; one that is not there yet is empty."""
        if self._ui.caseLibraryPathEdit.currentPath and self.library.is_dir():
            fill, empty = partial(self._fill, self.library, words), partial(self._show_of, self.library, [], [])
            self._ask("list", fill, on_error=lambda _error: empty(), quiet=True)
        else:
            self._show([], [])
            self._say(words)

    def _ask(self, action: str, on_answer: Callable, on_error: Callable | None = None, **fields) -> None:
        if self._settled.active:  # a library that was chosen a moment ago is read first, so that the words of the act stay
            self._open()
        self._host.ask("cases", on_answer, on_error=on_error, action=action, **{"library": self.library, **fields})

    def _fill(self, library: Path, words: str, answer: Result) -> None:
        self._show_of(library, answer.fields["cases"], answer.fields["damaged"])
        self._say(words)

    def _show_of(self, library: Path, cards: list[dict], damaged: list[dict]) -> None:
        """Nothing where another library was chosen while this one was read: its cases would pass for the other's."""
        if self._ui.caseLibraryPathEdit.currentPath and library == self.library:
            self._show(cards, damaged)

    def _say(self, words: str) -> None:
        """Nothing to say leaves what is said."""
        if words:
            self._host.say(words)

    def _show(self, cards: list[dict], damaged: list[dict]) -> None:
        self.cards = cards
        listed = self._ui.caseList
        listed.clear()
        for card in cards:
            item = qt.QListWidgetItem(qt.QIcon(card["thumbnail"]), _in_words(card))
            item.setData(qt.Qt.UserRole, card["id"])
            item.setToolTip(_more(card))
            listed.addItem(item)
        for error in damaged:
            item = qt.QListWidgetItem(_("{case}: {sentence}").format(case=error["case"], sentence=error["sentence"]))
            item.setData(qt.Qt.UserRole, error["case"])
            listed.addItem(item)
        self._ui.casesLabel.text = _summary(cards)
        self._on_selected()
        self._on_changed()

    @property
    def _edits(self) -> tuple:
        """The fields for what is typed for one case."""
        return self._ui.casePatientEdit, self._ui.caseNoteEdit, self._ui.caseRoiEdit

    def _fill_in(self, typed: Sequence[str] = ("", "", "")) -> None:
        for edit, text in zip(self._edits, typed, strict=True):
            edit.text = text

    def _add(self) -> None:
        chosen, node, about = self._chosen, self._ui.caseContourSelector.currentNode(), self._about()
        if node is None:
            raise PemmaError("no-contour", "no contour is chosen", "segment and correct the study, or choose a segmentation")
        adapt_contours.refuse_other_study(node, chosen.ct, chosen.pet)
        study = self._host.study()
        label, origin = adapt_contours.label_of(node, chosen.ct or chosen.pet, study.grid), adapt_contours.origin_of(node)
        fields = adapt_contours.request_fields(study, label, self._host.private_folder())
        self._send(self._ui.addCaseButton, self._added, **fields, **origin, **about)

    def _add_folder(self) -> None:
        folder = self._ui.caseStudyPathEdit.currentPath
        if not folder:
            raise PemmaError("no-study", "no folder of an annotated study is chosen", "choose one")
        fields = {"study": folder, "annotation_roi": self._ui.caseRoiEdit.text.strip() or None, **self._about()}
        self._send(self._ui.addFolderButton, partial(self._folder_added, folder), self._say_of_folder, **fields)

    def _send(self, button, on_answer: Callable, on_error: Callable | None = None, **fields) -> None:
        """Asks for a new case. What was typed goes with it, so that the next one's can be typed meanwhile."""
        typed, left = [edit.text for edit in self._edits], (self._left, self._ui.caseStudyPathEdit.currentPath)

        def answered(answer: Result) -> None:
            button.enabled = True
            on_answer(answer)

        def failed(error: Error) -> None:
            button.enabled = True
            untouched = not any(edit.text for edit in self._edits)
            if untouched and left == (self._left, self._ui.caseStudyPathEdit.currentPath):  # else it would be the next one's
                self._fill_in(typed)
            if on_error is not None:
                on_error(error)

        self._ask("add", answered, on_error=failed, **fields)
        self._fill_in()
        button.enabled = False

    def _about(self) -> dict:
        """Where the case goes, what the user says of it, and with what it is segmented blind. Raises as `library`."""
        chosen, patient = self._chosen, self._ui.casePatientEdit.text.strip()
        return {
            "library": self.library, "patient": patient or None, "note": self._ui.caseNoteEdit.text.strip() or None,
            "model": chosen.model or None, "adapter": chosen.adapter or None, "inputs": chosen.inputs,
            "device": chosen.device, "whole_study": chosen.wholeStudy,
        }  # fmt: skip

    def _added(self, answer: Result, advice: Callable[[str], str] = str) -> None:
        """advice(way_out): what to do about a warning."""
        warnings = [PemmaWarning(**told) for told in answer.fields["warnings"]]
        told = [warning(one.sentence, advice(one.way_out)) for one in warnings]
        self.refresh("\n".join([_("Case {id} was added.").format(id=answer.fields["case"]["id"]), *told]))

    def _folder_added(self, folder: str, answer: Result) -> None:
        if self._ui.caseStudyPathEdit.currentPath == folder:
            self._ui.caseStudyPathEdit.currentPath = ""
        self._added(answer, for_folder)

    def _say_of_folder(self, error: Error) -> None:
        """The panel has said it in the words for the current study, and shown its details."""
        self._host.say_error(replace(error, way_out=for_folder(error.way_out), details=""))

    def _remove(self) -> None:
        chosen = self._selected()
        question = _("Delete {number} case(s) from the library? This can't be undone.").format(number=len(chosen))
        if slicer.util.confirmOkCancelDisplay(question, "PEMMASegment"):
            self._ask("remove", lambda _answer: self.refresh(_("Removed: {ids}.").format(ids=", ".join(chosen))), cases=chosen)

    def _import(self) -> None:
        file = files.to_import(self._ui.casesGroupBox, _("Import cases"))
        if file is not None:
            self._ask("import", self._imported, file=file)

    def _imported(self, answer: Result) -> None:
        words = _("{new} case(s) imported, {known} were there already.")
        self.refresh(words.format(new=len(answer.fields["imported"]), known=len(answer.fields["already_there"])))

    def _export(self) -> None:
        file = files.to_export(self._ui.casesGroupBox, _("Export cases"), "cases.zip")
        if file is not None:
            self._ask("export", self._exported, cases=self._selected(), file=file)

    def _exported(self, answer: Result) -> None:
        words = _("{number} case(s) exported to {file}.")
        self._host.say(words.format(number=len(answer.fields["exported"]), file=Path(answer.fields["out"]).name))

    def _selected(self) -> list[str]:
        return [item.data(qt.Qt.UserRole) for item in self._ui.caseList.selectedItems()]

    def _on_contour(self, _node) -> None:
        self._picked = True

    def _on_selected(self) -> None:
        self._ui.removeCasesButton.enabled = bool(self._selected())
        self._ui.exportCasesButton.enabled = bool(self.cards)

    def _on_library(self, _path: str) -> None:
        """The cases of another library are no longer shown; this one is read when it is typed to its end."""
        self._show([], [])
        self._settled.start()

    def _open(self) -> None:
        self._settled.stop()
        qt.QSettings().setValue(SETTING, self._ui.caseLibraryPathEdit.currentPath)
        self._host.guarded(self.refresh)


def _kept_library() -> str:
    """The folder that was chosen last, else one beside the user's models."""
    kept = qt.QSettings().value(SETTING)
    if kept:
        return str(kept)
    try:
        return str(user_folder() / "cases")
    except ImportError:  # platformdirs comes with the other packages
        return ""


def _in_words(card: dict) -> str:
    """Four short lines, which stand beside the picture."""
    whose = _WHOSE[card["origin"]["kind"]].format(model=(card["origin"]["model"] or {}).get("name", _("a model")))
    blind = " / ".join(f"{score['dice']:.2f}" for score in card["blind"])
    if blind:
        whose += _(", blind Dice {dice}").format(dice=blind)
    made = _("{inputs}, {volume} ml").format(inputs=card["inputs"].upper(), volume=f"{card['volume_ml']:.1f}")
    return "\n".join([card["id"], card["patient"], whose, made])


def _more(card: dict) -> str:
    """Lesions, whether it counts, note, what was typed for its PET, scanner, and why there is no blind record."""
    corrected = card["origin"]["kind"] == "corrected"
    lines = [_("{number} lesion(s)").format(number=card["lesions"]), card["note"]]
    lines += [_("does not count in a proof: a model began its contour")] if corrected else []
    lines += [_("typed in: {values}").format(values=", ".join(card["suv_typed"]))] if card["suv_typed"] else []
    lines += [f"{key.replace('_', ' ')}: {value}" for key, value in card["scanner"].items()]
    partly = _("blind record: {why}") if card["blind"] else _("no blind record: {why}")
    lines.append(partly.format(why=card["blind_left_out"]) if card["blind_left_out"] else "")
    return "\n".join(line for line in lines if line)


def _summary(cards: list[dict]) -> str:
    if not cards:
        return _("No case yet. Add three to ten annotated studies of this site.")
    patients = {card["patient"] for card in cards}
    counting = {card["patient"] for card in cards if card["origin"]["kind"] != "corrected"}
    words = _("{cases} case(s) of {patients} patient(s). {counting} of them count in the proof, which needs five.")
    return words.format(cases=len(cards), patients=len(patients), counting=len(counting))

"""What the proof says: the verdict, figures before and after of each held-out patient, and the user's decision."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import qt
import slicer
from slicer.i18n import tr as _

from ..core import PemmaError
from ..worker.events import Result
from .adapt_compare import Comparison
from .host import Host
from .words import in_panel

COLUMNS = (
    _("Case"), _("Dice\nbefore"), _("Dice\nafter"), _("Gain"), _("Missed\n(ml)"), _("Extra\n(ml)"), _("Surface Dice,\n5 mm"),
)  # fmt: skip
#: Codes of a proof that ended when its adapter had been taken away.
_NO_LONGER_THERE = ("adapter-missing", "adapter-replaced")
NO_PROOF = _("no proof")  # in the place of a verdict
_HINT = _("A click on a case shows the base's and the adapter's segmentation.")
_DIGITS = {"missed_ml": 1, "extra_ml": 1, "surface_dice_5mm": 3}


class ProofSection:
    """plot: for the pairs of dots. library(): the folder of the cases. use(folder), keep(folder), discard(folder): what is
    decided.
    """

    def __init__(self, ui, host: Host, plot, library: Callable[[], Path], use: Callable, keep: Callable, discard: Callable):
        self._ui, self._host, self._plot, self._library = ui, host, plot, library
        self._out: Path | None = None
        self._rows: list[dict] = []
        self._files: dict[str, dict[str, Path]] = {}
        self._comparison = Comparison()
        self._comparing = ""  # the case that is shown, or read to be shown
        table = ui.proofTable
        table.setColumnCount(len(COLUMNS))
        table.setHorizontalHeaderLabels(list(COLUMNS))
        table.horizontalHeader().setStretchLastSection(True)
        table.connect("cellClicked(int,int)", lambda row, _column: host.guarded(self._compare, row))
        for button, act in (
            (ui.useAdapterButton, use), (ui.keepAdapterButton, keep), (ui.discardAdapterButton, discard),
        ):  # fmt: skip
            button.connect("clicked(bool)", lambda _checked=False, act=act: host.guarded(act, self._out))
        self.clear()

    def clear(self) -> None:
        """No adapter to decide on."""
        self._show(None, "", [])

    def moved(self, old: str, new: str) -> None:
        """An adapter has another folder now, "" when it was deleted and there is nothing to decide any more."""
        if self._out == Path(old) and new:
            self._out = Path(new)
        elif self._out == Path(old):
            self.clear()

    def clear_comparison(self) -> None:
        """Takes the case that is shown out of the scene: its contours would lie over what is looked at next."""
        self._comparing = ""
        self._comparison.clear()
        self._ui.comparisonLabel.text = _HINT if self._files else ""

    def show_there(self, out: Path) -> None:
        """The adapter can be used, its proof has just begun."""
        words = _("{name} is there. Nothing is proved yet: the proof runs in the background. It is off until you press Use.")
        self._show(out, words.format(name=out.name), [])

    def show_stopped(self, out: Path, there: bool) -> None:
        """Stopped by the user or a fault."""
        if there:
            words = _("The proof was stopped: {name} is there, not proved. Training again with the same choices proves it.")
        else:
            words = _("The training was stopped. With the same choices it goes on where it stopped; Discard forgets it.")
        self._show(out, words.format(name=out.name), [])
        self._ui.useAdapterButton.enabled = self._ui.keepAdapterButton.enabled = there

    def show(self, out: Path, record: dict) -> None:
        """The finished proof. record: as `pemma-segment adapt --json` prints it; `held_out`: files of labels by case."""
        reference = [row | {"reference": True} for row in record["reference"]["cases"]]
        made = record.get("recommended", "") is not None  # a ladder may end with the base as it is
        made = made and record.get("proof_unwritten", {}).get("code") not in _NO_LONGER_THERE
        self._show(out if made else None, in_words(record), [*record["cases"], *reference])
        self._files = record["held_out"]
        if self._files:
            self._ui.comparisonLabel.text = _HINT
        if record["cases"]:
            pairs = [(row["before"], row["after"]) for row in record["cases"]]
            title = _("Held-out cases: base in orange, adapter in blue")
            self._plot.show_pairs(pairs, _mean(record["cases"]), record["interval_95"], title)

    def _show(self, out: Path | None, words: str, rows: list[dict]) -> None:
        ui, self._out, self._rows, self._files = self._ui, out, rows, {}
        ui.verdictText.setPlainText(words or _("Train an adapter first."))
        self.clear_comparison()
        for button in (ui.useAdapterButton, ui.keepAdapterButton, ui.discardAdapterButton):
            button.enabled = out is not None
        ui.proofTable.setRowCount(len(rows))
        numbers = ["" if row.get("reference") else str(at) for at, row in enumerate(rows, 1)]  # as the plot has them
        ui.proofTable.setVerticalHeaderLabels(numbers)
        for at, row in enumerate(rows):
            for column, text in enumerate(_cells(row)):
                item = qt.QTableWidgetItem(text)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                ui.proofTable.setItem(at, column, item)
        ui.proofTable.resizeColumnsToContents()

    def _compare(self, row: int) -> None:
        case = self._rows[row]["case"]
        reason = self._why_not(self._rows[row])
        if reason:
            self._ui.comparisonLabel.text = reason
            return
        self._comparing = case
        folder = self._host.private_folder()
        on_answer = partial(self._show_case, case, self._files[case])
        self._host.ask("cases", on_answer, action="read", library=self._library(), cases=[case], folder=folder)

    def _why_not(self, row: dict) -> str:
        """Why a case can't be shown, "" if it can."""
        if row.get("reference"):
            return _("{case} is a patient of the model's own site: scored for what is forgotten, not kept to be shown.").format(
                case=row["case"]
            )
        files = self._files.get(row["case"])
        if files is None:
            return _("The segmentations of {case} were not kept.").format(case=row["case"])
        if not all(file.is_file() for file in files.values()):
            return _("The segmentations of {case} are no longer there: they are kept until the next training.").format(
                case=row["case"]
            )
        return ""

    def _show_case(self, case: str, files: dict[str, Path], answer: Result) -> None:
        if case != self._comparing:  # another was clicked since, or none is wanted any more
            return
        images = {name: answer.folder / file for name, file in answer.fields.items()}
        self._comparison.show(images, files, self._host)
        words = _("{case}: base model in orange, adapter (trained without this patient) in blue, contour in white.")
        self._ui.comparisonLabel.text = words.format(case=case)


def in_words(record: dict) -> str:
    """Verdict, gain with its interval, what is forgotten, and what the proof is of."""
    lines = [_("{verdict}: {sentence}.").format(verdict=record["verdict"].capitalize(), sentence=in_panel(record["sentence"]))]
    if record["mean_gain"] is not None:
        low, high = record["interval_95"]
        words = _("Mean gain in Dice {gain} (95 % interval {low} to {high}), {number} held-out patient(s).")
        lines.append(words.format(
            gain=f"{record['mean_gain']:+z.3f}", low=f"{low:+z.3f}", high=f"{high:+z.3f}", number=len(_patients(record["cases"]))
        ))  # fmt: skip
    lines += [f"{rung['procedure']}: {rung['mean_gain']:+z.3f}, {rung['verdict']}" for rung in record.get("ladder", ())]
    lines += [_sentence(record["reference"]["sentence"]), _sentence(record["note"])]
    return "\n".join(line for line in lines if line)


def confirm(name: str, verdict: str, sentence: str) -> bool:
    """Asks before an adapter that is not accepted is used."""
    if verdict == "accepted":
        return True
    words = _("{name} is not proved to help here ({verdict}). {sentence}Use it all the same?")
    said = _sentence(sentence) + " " if sentence else ""
    return slicer.util.confirmOkCancelDisplay(words.format(name=name, verdict=verdict or NO_PROOF, sentence=said),
                                              "PEMMASegment")  # fmt: skip


def _patients(rows: Sequence[dict]) -> list[str]:
    return sorted({row["patient"] for row in rows})


def _mean(rows: Sequence[dict]) -> tuple[float, float]:
    """Dice before and after over patients, each with the mean of the patient's cases, as the verdict has it."""
    of_each = [[row for row in rows if row["patient"] == patient] for patient in _patients(rows)]
    before, after = (mean(mean(row[when] for row in own) for own in of_each) for when in ("before", "after"))
    return before, after


def _cells(row: dict) -> list[str]:
    case = _("{case} (model's)").format(case=row["case"]) if row.get("reference") else row["case"]
    dice = [f"{row['before']:.3f}", f"{row['after']:.3f}", f"{row['after'] - row['before']:+z.3f}"]
    return [case, *dice, *(f"{row[f'{key}_before']:.{n}f} → {row[key]:.{n}f}" for key, n in _DIGITS.items())]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def no_adapter() -> PemmaError:
    """There is none that could be used."""
    return PemmaError("adapter-missing", "the adapter is no longer there", "train or import one")

"""What the user sees: progress and words on stderr, results on stdout."""

import contextlib
import json
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import PemmaError, PemmaWarning, Progress, no_progress, system_told
from ..jobs.names import base_name, name_among
from . import streams

if TYPE_CHECKING:
    from tqdm import tqdm

SECONDS_IN_A_LOG = 10.0  # between two lines of a bar that nobody watches


class Terminal:
    """Prints for people, or one JSON object for programs."""

    def __init__(self, as_json: bool, quiet: bool, stop_if_pressed: Callable[[], None] = lambda: None):
        self.as_json, self.quiet = as_json, quiet
        self._stop_if_pressed = stop_if_pressed
        self._bar: tqdm | None = None

    def say(self, words: str) -> None:
        """A line on stderr, above the bar where there is one."""
        if self._bar is None:
            print(words, file=sys.stderr)
        else:
            self._bar.write(words, file=sys.stderr)

    def result(self, value: dict, words: str) -> None:
        """The command's answer on stdout: as JSON or in words."""
        streams.answer(json.dumps(value, indent=2, allow_nan=False) if self.as_json else words)

    def error(self, error: PemmaError, study: str = "") -> None:
        """One line: `error: sentence (way out) [code]`."""
        self.say(" ".join(f"error: {study}{': ' if study else ''}{error}".split()))

    def refused(self, error: PemmaError) -> None:
        """The line on stderr, and for programs the one JSON object on stdout, when the whole command is refused."""
        self.error(error)
        if self.as_json:
            with contextlib.suppress(OSError):  # stdout is what failed, or fails now: the line has told the reason
                self.result({"error": error.as_json()}, "")

    def warnings(self, warnings: Sequence[PemmaWarning], study: str = "") -> None:
        """A line each, with the name of the study that it is about where there are several."""
        for warning in warnings:
            self.say(f"{study}{': ' if study else ''}warning: {warning}")

    @contextlib.contextmanager
    def progress(self, words: str) -> Iterator[Progress]:
        """A bar on stderr for as long as the block runs; yields the callback to hand down."""
        with self._bar_of(words) as show:

            def report(fraction: float, step: str) -> None:
                self._stop_if_pressed()
                show(fraction, step)

            yield report

    @contextlib.contextmanager
    def _bar_of(self, words: str) -> Iterator[Progress]:
        if self.quiet:
            yield no_progress
            return
        from tqdm import tqdm

        interval = 0.1 if sys.stderr.isatty() else SECONDS_IN_A_LOG
        layout = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"
        with tqdm(total=1.0, desc=words, mininterval=interval, bar_format=layout, file=sys.stderr) as bar:

            def show(fraction: float, step: str) -> None:
                bar.set_postfix_str(step, refresh=False)
                bar.update(max(0.0, min(fraction, 1.0) - bar.n))

            self._bar = bar
            try:
                yield show
            finally:
                self._bar = None
            bar.update(1.0 - bar.n)


def for_each(studies: Sequence[Path], do: Callable[[Path], dict], terminal: Terminal) -> tuple[list[dict], list[dict]]:
    """Results of `do(study)`, and for each study that failed `study` and `error`; one failing does not stop the rest.

    What is no PemmaError is a bug: its traceback goes to stderr.
    """
    done, failed = [], []
    for study in studies:
        name = base_name(study)
        try:
            with system_told():
                done.append(do(study))
        except PemmaError as error:
            terminal.error(error, name_among(studies, study))
            failed.append({"study": name, "error": error.as_json()})
        except Exception as error:
            if len(studies) == 1 or isinstance(error, BrokenPipeError):
                raise
            traceback.print_exc()
            failed.append({"study": name, "error": {"code": "bug", "sentence": type(error).__name__,
                                                    "way_out": "report the traceback above", "place": ""}})
    return done, failed


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns of text: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    lines = [
        "  ".join(f"{cell:<{width}}" if i == 0 else f"{cell:>{width}}"
                  for i, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in (header, *rows)
    ]
    return "\n".join(line.rstrip() for line in lines)

"""The user's acts on a result, for the undo: the last is taken back first. No Slicer in here."""

from collections.abc import Mapping
from dataclasses import dataclass

from .drawing import Drawing

MOST_UNDO = 50


@dataclass(frozen=True)
class History:
    """What `undo` goes back to, while another result is shown. left: outlines then; for others it does not hold."""

    left: Mapping[int, str]
    acts: tuple[tuple[str, Drawing], ...]


class Acts:
    """Each with the drawing before it."""

    def __init__(self):
        self._acts: list[tuple[str, Drawing]] = []
        self._sliding = ""  # the act that goes on while a slider moves

    @property
    def last(self) -> str:
        """The name of the last one, "" if there is none."""
        return self._acts[-1][0] if self._acts else ""

    def remember(self, act: str, before: Drawing) -> None:
        """Of more than MOST_UNDO the first is forgotten."""
        self.rest()
        self._acts = [*self._acts[1 - MOST_UNDO :], (act, before)]

    def slide(self, act: str, before: Drawing) -> None:
        """As `remember`, but a slider that moves on is one act."""
        if self._sliding != act:
            self.remember(act, before)
            self._sliding = act

    def rest(self) -> None:
        """A slider that moves from now on is another act."""
        self._sliding = ""

    def take_back(self) -> tuple[str, Drawing]:
        """The last act and the drawing before it; it is no longer among them."""
        self.rest()
        return self._acts.pop()

    def history(self, left: Mapping[int, str]) -> History:
        """left: the outlines that are drawn now."""
        return History(left, tuple(self._acts))

    def take_up(self, history: History) -> None:
        """Goes on with what was done before."""
        self._acts = list(history.acts)

"""The one way in which long work reports how far it is and is told to stop."""

from collections.abc import Callable
from dataclasses import dataclass, replace

#: progress(fraction 0..1, words); it may raise `Cancelled` to stop the work at the next window or step.
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class Reached:
    """Where the work is, as data: words are for people, and no program reads them.

    part: the names of the pieces of work that it is in, the outermost first. step, loss: of a training, after that many
    steps; no loss where it is not finite. there: the adapter that is made can be used from now on.
    """

    part: str = ""
    step: int | None = None
    loss: float | None = None
    there: bool = False


class Words(str):
    """Words of progress that bring with them what they tell; who only shows words needs to know nothing of it."""

    def __new__(cls, words: str, reached: Reached) -> "Words":
        self = super().__new__(cls, words)
        self.reached = reached
        return self


def reached(words: str) -> Reached:
    """What words of progress bring with them; plain ones bring nothing."""
    return words.reached if isinstance(words, Words) else Reached()


def no_progress(fraction: float, words: str) -> None:
    """Reports to nobody."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """A callback for a piece of the work that covers `start`..`stop` of the whole."""
    return lambda fraction, words: progress(start + (stop - start) * fraction, words)


def named(progress: Progress, name: str, of: Reached | None = None) -> Progress:
    """A callback for a piece of the work whose name comes before its words. of: where all of it is, else in the part `name`."""
    of = of or Reached(name)

    def report(fraction: float, words: str) -> None:
        inner = reached(words)
        whole = ": ".join(filter(None, (of.part, inner.part)))
        progress(fraction, Words(f"{name}: {words}", replace(inner, part=whole, there=of.there or inner.there)))

    return report

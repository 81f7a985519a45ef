"""The one way in which long work reports how far it is and is told to stop."""

from collections.abc import Callable

#: progress(fraction 0..1, words); it may raise `Cancelled` to stop the work at the next window or step.
Progress = Callable[[float, str], None]


def no_progress(fraction: float, words: str) -> None:
    """Reports to nobody."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """A callback for a piece of the work that covers `start`..`stop` of the whole."""
    return lambda fraction, words: progress(start + (stop - start) * fraction, words)

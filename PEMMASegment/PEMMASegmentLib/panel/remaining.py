"""How long a run will take: from the pace of its windows, not of its start, when torch and the model are loaded."""

from collections.abc import Callable

STEADY = 0.2  # share of the progress from which on the pace is that of the network's windows
ENOUGH_S = 1.0  # of that pace, before anything is foretold


class Remaining:
    """One run. clock: seconds that only rise."""

    def __init__(self, clock: Callable[[], float]):
        self._clock = clock
        self._first: tuple[float, float] | None = None  # seconds, fraction

    def seconds(self, fraction: float) -> float | None:
        """Seconds that are left at this fraction, None as long as nobody can know."""
        if fraction < STEADY:
            return None
        now = self._clock()
        if self._first is None:
            self._first = now, fraction
        since, done = now - self._first[0], fraction - self._first[1]
        return since / done * (1 - fraction) if since >= ENOUGH_S and done > 0 else None

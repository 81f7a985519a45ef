"""What `client.Worker.poll` gives: typed events. Standard library only."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Handshake:
    """The process is there, speaks our protocol and is of our version; pid: its own, not its launcher's."""

    protocol: int
    library: str
    python: str
    pid: int


@dataclass(frozen=True)
class Progress:
    """How far a request is: fraction 0..1, words for the bar, and as data where it is (`core.progress.Reached`)."""

    id: int
    fraction: float
    words: str
    part: str = ""
    step: int | None = None
    loss: float | None = None
    there: bool = False


@dataclass(frozen=True)
class Result:
    """A request's answer. `folder` holds the files that `fields` names, until the next call of `poll`."""

    id: int
    do: str
    fields: dict[str, Any]
    folder: Path | None


@dataclass(frozen=True)
class Error:
    """A request that came to nothing; `id` None: no request was under way.

    code "cancelled": as asked for. code "worker-died" and other ends of the process: `details` are the last log lines.
    """

    id: int | None
    code: str
    sentence: str
    way_out: str = ""
    place: str = ""
    details: str = ""


@dataclass(frozen=True)
class LogLine:
    """A line that the process or a library in it printed."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The process is gone; the next request starts another, or one that still waits has. error: why, unless it was told."""

    exit_code: int | None
    error: Error | None = None


Event = Handshake | Progress | Result | Error | LogLine | Ended

"""The panel's side of the background process: requests go out, a timer polls for events. Standard library only.

    worker = Worker(python)                            # starts with the first request, and again after its end
    folder = worker.private_folder()                   # write ct.nrrd and pet.nrrd there, or name a study instead
    worker.request("segment", folder=folder, volumes={"ct": "ct.nrrd", "pet": "pet.nrrd"})
    for event in worker.poll(): ...                    # every 100 ms, as long as the panel lives
    worker.stop()
"""

import contextlib
import itertools
import math
import os
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from . import folders, protocol, reasons
from .child import Child
from .events import Ended, Error, Event, Handshake, LogLine, Progress, Result

START_S = 120.0  # to the handshake; a virus scanner may look at every file of the first start
CANCEL_S = 5.0  # for the work to stop at its next window, before the process is killed
STOP_S = 2.0  # an application that closes waits no longer
DETAIL_LINES = 40
_ENVIRONMENT = {
    "PYTHONUTF8": "1",
    "PYTHONIOENCODING": "utf-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONSAFEPATH": "1",  # the folder that the application happens to run in holds no packages
}


@dataclass
class _Pending:
    """A request without an answer. begun: not only waiting. cancel_by: when the patience with a cancelled one ends."""

    do: str
    line: str
    folder: Path | None
    out: Path | None
    begun: bool = False
    cancel_by: float | None = None


class Worker:
    """One background process. To be used from one thread; nothing but `stop` ever waits, and nothing but it for long.

    python: any Python that has the library's dependencies, or a launcher such as PythonSlicer; None for `sys.executable` at
    the start of the process, which Slicer sets only after its modules were loaded. environment: what the process gets
    instead of this process's own. temporary: where private folders are made.
    """

    def __init__(self, python: str | Path | None = None, *, environment: Mapping[str, str] | None = None,
                 temporary: Path | None = None):  # fmt: skip
        self._python = python
        self._environment = environment
        self._temporary = Path(temporary or tempfile.gettempdir())
        self._ids = itertools.count(1)
        self._child: Child | None = None
        self._handshake: Handshake | None = None
        self._started = 0.0
        self._reason: Error | None = None
        self._pending: dict[int, _Pending] = {}
        self._told: list[Event] = []
        self._folders: set[Path] = set()
        self._read_folders: set[Path] = set()
        self._touched = -math.inf
        self._last_log: deque[str] = deque(maxlen=DETAIL_LINES)

    @property
    def running(self) -> bool:
        """Whether there is a process; it may still be starting."""
        return self._child is not None

    @property
    def busy(self) -> bool:
        """Whether a request has no answer yet."""
        return bool(self._pending)

    def private_folder(self) -> Path:
        """A new folder that only this user can enter, for the volumes of one request. Raises OSError."""
        folder = folders.new_folder(self._temporary)
        self._folders.add(folder)
        return folder

    def request(self, do: str, *, folder: Path | None = None, **fields: Any) -> int:
        """Asks for `do` and gives the id under which `poll` tells what comes of it; starts the process if need be.

        fields: the command line's options by name (`min_volume=0.5`), None for one that is not given; beside them
        `study` or `volumes`, and `out`. folder: of `private_folder`; a segment request gets one if none is given.
        """
        id = next(self._ids)
        try:
            if folder is None and do == "segment":
                folder = self.private_folder()
        except OSError as error:
            self._told.append(reasons.no_folder(id, error))
            return id
        given = {name: _plain(value) for name, value in fields.items() if value is not None}
        if folder is not None:
            given["folder"] = str(folder)
        out = Path(given["out"]) if "out" in given else None
        line = protocol.request_line({**given, "id": id, "do": do})
        self._pending[id] = _Pending(do, line, folder, out)
        if self._child is None:
            self._start()
        elif self._handshake is not None:
            self._child.send(line)
        return id

    def cancel(self, id: int) -> None:
        """Stops a request at its next window, or kills the process when it does not listen; the answer is an Error.

        After a kill what had not begun begins in a new process.
        """
        pending = self._pending.get(id)
        if pending is None or pending.cancel_by is not None:
            return
        pending.cancel_by = time.monotonic() + CANCEL_S
        if self._child is not None and self._handshake is not None:
            self._child.send(protocol.request_line({"id": id, "do": "cancel"}))

    def keep(self, folder: Path) -> None:
        """Leaves the files of a Result where they are after the next `poll`, until the caller removes them, or `stop`."""
        self._read_folders.discard(folder)

    def poll(self) -> list[Event]:
        """What has happened since the last call. The files of a Result are there until the next call, see `keep`."""
        self._remove(self._read_folders)
        self._touch()
        events, self._told = self._told, []
        if self._child is None:
            return events
        ended = self._child.ended()  # asked first, so that what it wrote last is read below
        events += self._log_lines()
        while not self._child.events.empty():
            events += self._understood(self._child.events.get())
        if ended:
            events += self._over()
        else:
            self._lose_patience()
        return events

    def stop(self, seconds: float = STOP_S) -> None:
        """Ends the process, by force after `seconds`, and removes all private folders. Requests get no answer any more."""
        if self._child is not None:
            if self._handshake is not None:
                self._child.send(protocol.request_line({"do": "quit"}))
            self._child.close_input()
            self._child.wait(seconds)
            self._close()
        self._pending.clear()
        self._told.clear()
        self._remove(self._folders)

    def _start(self) -> None:
        folders.remove_stale(self._temporary)
        self._handshake, self._reason = None, None
        self._last_log.clear()
        self._started = time.monotonic()
        try:
            command = [str(self._python or sys.executable), "-u", "-m", "PEMMASegmentLib.worker"]
            self._child = Child(command, self._whole_environment())
        except OSError as error:
            self._fail(reasons.not_started(error))

    def _whole_environment(self) -> dict[str, str]:
        whole = {**(os.environ if self._environment is None else self._environment), **_ENVIRONMENT}
        library = str(Path(__file__).resolve().parents[2])
        whole["PYTHONPATH"] = os.pathsep.join(filter(None, [library, whole.get("PYTHONPATH", "")]))
        whole[protocol.CLIENT_PID] = str(os.getpid())
        return whole

    def _log_lines(self) -> Iterator[LogLine]:
        while self._child.log:
            yield self._logged(self._child.log.popleft())

    def _logged(self, text: str) -> LogLine:
        self._last_log.append(text)
        return LogLine(text)

    def _understood(self, line: str) -> list[Event]:
        event = protocol.read_event(line)
        if event is not None:
            with contextlib.suppress(KeyError, TypeError, ValueError):  # an event of no known shape is log text
                return self._welcomed(event) if "protocol" in event else self._answered(event)
        return [self._logged(line)]

    def _welcomed(self, event: dict) -> list[Event]:
        known = Handshake(int(event["protocol"]), str(event["library"]), str(event["python"]), int(event["pid"]))
        if (known.protocol, known.library) != (protocol.VERSION, __version__):
            self._end_because(reasons.other_version(known))
            return []
        self._handshake = known
        self._child.take_in(known.pid)
        for id, pending in self._pending.items():
            self._child.send(pending.line)
            if pending.cancel_by is not None:
                self._child.send(protocol.request_line({"id": id, "do": "cancel"}))
        return [known]

    def _answered(self, event: dict) -> list[Event]:
        id = event["id"]
        if "error" in event and id is None:
            return [Error(None, **event["error"])]
        if id not in self._pending:
            return []
        if "progress" in event:
            self._pending[id].begun = True
            return [Progress(id, **event["progress"])]
        answer = self._result(id, event["result"]) if "result" in event else Error(id, **event["error"])
        pending = self._pending.pop(id)
        if pending.folder is not None:
            self._read_folders.add(pending.folder)
            if isinstance(answer, Error):
                self._remove(self._read_folders)
        return [answer]

    def _result(self, id: int, fields: dict) -> Result:
        return Result(id, self._pending[id].do, dict(fields), self._pending[id].folder)

    def _lose_patience(self) -> None:
        now = time.monotonic()
        if self._handshake is None and now - self._started > START_S:
            self._end_because(reasons.silent(START_S))
        elif any(pending.cancel_by is not None and now > pending.cancel_by for pending in self._pending.values()):
            self._end_because(reasons.cancelled())

    def _end_because(self, reason: Error) -> None:
        self._reason = self._reason or reason
        self._child.kill()

    def _over(self) -> list[Event]:
        """The process is gone: every request is told once, in one sentence.

        Where one was cancelled and the process killed for it, those that had not begun are sent to a new process instead.
        """
        code, pid = self._child.exit_code, self._handshake.pid if self._handshake else None
        reason = self._reason or reasons.died(code, self._handshake is not None)
        asked = bool(self._pending)
        self._close()
        self._undo_writing(pid)
        if reason.code == "cancelled":
            self._fail(reason, lambda pending: pending.cancel_by is not None)
            self._fail(reasons.ended_with_another(), lambda pending: pending.begun)
        else:
            self._fail(reason)
        self._told.append(Ended(code, None if asked else self._with_details(reason, None)))
        if self._pending:
            self._start()
        events, self._told = self._told, []  # all now: nobody may poll again when no process was started
        return events

    def _undo_writing(self, pid: int | None) -> None:
        for pending in self._pending.values():
            if pid is not None and pending.out is not None:
                with contextlib.suppress(OSError):  # the disk that failed it fails us too
                    folders.undo_writing(pending.out, pid)

    def _fail(self, reason: Error, concerned: Callable[[_Pending], bool] = lambda _: True) -> None:
        """Tells the requests that this concerns."""
        failed = {id: pending for id, pending in self._pending.items() if concerned(pending)}
        self._pending = {id: pending for id, pending in self._pending.items() if id not in failed}
        self._told += [self._with_details(reason, id) for id in failed]
        self._remove({pending.folder for pending in failed.values() if pending.folder is not None})

    def _with_details(self, reason: Error, id: int | None) -> Error:
        details = "\n".join(self._last_log)
        return Error(id, reason.code, reason.sentence, reason.way_out, reason.place, reason.details or details)

    def _close(self) -> None:
        self._child.close()
        self._child, self._handshake = None, None

    def _touch(self) -> None:
        if time.monotonic() - self._touched > folders.TOUCH_S:
            self._touched = time.monotonic()
            for folder in self._folders:
                folders.touch(folder)

    def _remove(self, given: set[Path]) -> None:
        """Removes folders; those in which a file is still held are tried again at the next call of `poll`."""
        held = {folder for folder in set(given) if not folders.remove(folder)}
        self._folders -= given - held
        self._read_folders = (self._read_folders - given) | held


def _plain(value: Any) -> Any:
    """Paths, also in lists and dictionaries, as text."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value

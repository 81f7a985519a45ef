"""The background process: reads requests, does them one after the other in a thread of its own, sends events.

The main thread only reads, so that `cancel` and the end of the input are heard while the work runs. Nothing heavy is
imported before the handshake is out.
"""

import faulthandler
import os
import platform
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from .. import __version__
from . import folders, parent, protocol

PARENT_S = 1.0  # between two looks whether the client is still there
LEAVE_S = 1.5  # for the work to stop at its next window and to remove what it had begun to write
PROGRESS_S = 0.05  # between two progress events

Answer = Callable[[dict, Callable[[float, str], None]], dict]


def main() -> None:
    """Runs until the input ends, `quit` is asked or the client is gone; does not return."""
    faulthandler.enable()  # a crash in native code leaves the Python lines that led to it in the log
    requests, events = _take_pipes()
    server = Server(events)
    server.send({"protocol": protocol.VERSION, "library": __version__, "python": platform.python_version(),
                 "pid": os.getpid()})  # fmt: skip
    threading.Thread(target=server.watch, args=(parent.watch(),), daemon=True).start()
    threading.Thread(target=server.work, daemon=True).start()
    for line in iter(requests.readline, b""):
        server.take(line)
    server.leave()


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output as files that nothing else in the process knows.

    What libraries print, from Python or from C, goes to standard error and can't break an event. What they read is
    empty; on Windows a library that only looks at an input pipe on which another thread waits would hang.
    """
    requests, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return requests, events


class Server:
    """The requests that wait, the one that runs, and the way out."""

    def __init__(self, events: BinaryIO):
        self._events = events
        self._sending = threading.Lock()
        self._waiting: queue.SimpleQueue[dict] = queue.SimpleQueue()
        self._deciding = threading.Lock()  # over the next three
        self._queued: set[int] = set()
        self._running: int | None = None
        self._cancelled = False  # what runs
        self._folders: set[Path] = set()
        self._leaving = False
        self._idle = threading.Event()
        self._idle.set()

    def send(self, event: dict) -> None:
        """Writes one event, whole."""
        line = protocol.event_line(event).encode()
        with self._sending:
            self._events.write(line)
            self._events.flush()

    def take(self, line: bytes) -> None:
        """Understands one line of the input."""
        try:
            request = protocol.read_request(line)
        except ValueError as error:
            self._refuse(None, "bad-request", f"a line is no request: {type(error).__name__}")
            return
        if request["do"] == "quit":
            self.leave()
        elif request["do"] == "cancel":
            self._cancel(request["id"])
        else:
            with self._deciding:
                self._queued.add(request["id"])
            folder = Path(str(request.get("folder", "")))
            if folder.name.startswith(protocol.FOLDER_PREFIX):
                self._folders.add(folder)
            self._waiting.put(request)

    def work(self) -> None:
        """Does one request after the other, for ever. The process ends with this thread: nobody would answer then."""
        try:
            from .commands import commands

            known = commands()
            while True:
                request = self._waiting.get()
                if self._begun(request["id"]):
                    self._do(known, request)
                    self._end()
        except BaseException as error:
            print(_without_identity(error), file=sys.stderr)
        finally:
            self._idle.set()
            if not self._leaving:
                self.leave(1)

    def _begun(self, id: int) -> bool:
        """Takes a request out of the queue; False when it was cancelled there."""
        with self._deciding:
            if id not in self._queued:
                return False
            self._queued.remove(id)
            self._running, self._cancelled = id, False
        self._idle.clear()
        return True

    def _end(self) -> None:
        with self._deciding:
            self._running = None
        self._idle.set()

    def _cancel(self, id: int) -> None:
        """What runs hears of it at its next window. What waits is answered at once: the client's patience is short."""
        with self._deciding:
            self._cancelled |= id == self._running
            waited = id in self._queued
            self._queued.discard(id)
        if waited:
            self._refuse(id, "cancelled", "cancelled")

    def watch(self, gone: Callable[[], bool]) -> None:
        """Leaves when the client is gone although the input did not end."""
        while not gone():
            time.sleep(PARENT_S)
        self.leave()

    def leave(self, code: int = 0) -> None:
        """Stops the work and ends the process; private folders go too, their owner may not be there to remove them."""
        self._leaving = True
        self._idle.wait(LEAVE_S)
        for folder in self._folders:
            folders.remove(folder)
        os._exit(code)

    def _do(self, known: dict[str, Answer], request: dict) -> None:
        from ..core import Cancelled, PemmaError, system_told

        id, do = request["id"], request["do"]
        if do not in known:
            self._refuse(id, "unknown-request", "the background process was asked for something that it does not know", "restart")
            return
        try:
            progress = self._progress(id, Cancelled)
            progress(0.0, "starting")
            with system_told():
                answer = known[do](request, progress)
            self.send({"id": id, "result": answer})
        except Cancelled:
            self._refuse(id, "cancelled", "cancelled")
        except PemmaError as error:
            self.send({"id": id, "error": error.as_json()})
        except ImportError as error:
            print(_without_identity(error), file=sys.stderr)
            name = error.name or "a package"
            self._refuse(id, "package-missing", f"{name} can't be loaded", "install the missing packages", name)
        except Exception as error:
            print(_without_identity(error), file=sys.stderr)
            sentence = f"a fault in PEMMASegment ({type(error).__name__})"
            self._refuse(id, "bug", sentence, "copy the log and report it")

    def _progress(self, id: int, cancelled: type[Exception]) -> Callable[[float, str], None]:
        from ..core.progress import reached

        last = [0.0, ""]

        def progress(fraction: float, words: str) -> None:
            if self._leaving or self._cancelled:
                raise cancelled
            now, step = time.monotonic(), words.split(" ")[0]
            if now - last[0] < PROGRESS_S and step == last[1]:  # a new step is always told
                return
            last[:] = now, step
            told = {"fraction": max(0.0, min(float(fraction), 1.0)), "words": words, **asdict(reached(words))}
            self.send({"id": id, "progress": told})

        return progress

    def _refuse(self, id: int | None, code: str, sentence: str, way_out: str = "", place: str = "") -> None:
        error = {"code": code, "sentence": sentence, "way_out": way_out, "place": place}
        self.send({"id": id, "error": error})


def _without_identity(error: BaseException) -> str:
    """The traceback's code lines and the kinds of the errors. Their messages may quote headers and paths: left out."""
    parts = []
    one: BaseException | None = error
    while one is not None:
        message = f": {one}" if isinstance(one, ImportError) else ""
        parts.append("".join(traceback.format_tb(one.__traceback__)) + type(one).__name__ + message)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    return "\n\ncaused\n".join(reversed(parts))

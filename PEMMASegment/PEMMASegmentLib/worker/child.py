"""A process with its pipes read by threads, in a group of its own that can be killed whole. Standard library only."""

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from .protocol import PREFIX

LOG_LINES = 2000  # kept until somebody asks for them; older ones are dropped, so that no flood can fill the memory
LONGEST_LOG_LINE = 4096  # bytes; longer text without a line end comes in pieces
HALF_DEAD_S = 1.0  # a launcher without its process, or a process without its launcher


class Child:
    """One running command. No method blocks but `wait`."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]):
        """Starts it without a shell. Raises OSError when that can't be done."""
        self._job = _job()
        self._process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            **_apart(),
        )  # fmt: skip
        self.take_in(self._process.pid)
        self.events: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._readers = [
            threading.Thread(target=self._read, args=(pipe,), daemon=True)
            for pipe in (self._process.stdout, self._process.stderr)
        ]
        for reader in self._readers:
            reader.start()
        self._half_dead_since: float | None = None

    def take_in(self, pid: int) -> None:
        """Windows: a process that a launcher started before the launcher itself was in the job."""
        if self._job is not None:
            self._job.add(pid)

    def send(self, line: str) -> None:
        """Writes a line to its standard input; when it is gone, `ended` will tell."""
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(line.encode("utf-8"))
            self._process.stdin.flush()

    def close_input(self) -> None:
        """Ends its standard input, on which it ends."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that killed it."""
        return self._process.poll()

    def ended(self) -> bool:
        """Whether it is gone and all that it wrote has been read. Kills the rest when only a part of it is gone."""
        gone = self.exit_code is not None
        silent = not any(reader.is_alive() for reader in self._readers)
        if gone == silent:
            self._half_dead_since = None
            return gone
        self._half_dead_since = self._half_dead_since or time.monotonic()
        if time.monotonic() - self._half_dead_since > HALF_DEAD_S:
            self.kill()
        return False

    def kill(self) -> None:
        """Ends it and all that it started, at once."""
        if self._job is not None:
            if not self._job.end():
                _taskkill(self._process.pid)
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: a group of none but the dead
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> bool:
        """Waits until it is gone; False when the time is over before."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Kills what is left of it and gives pipes and handles back."""
        self.kill()
        self.close_input()
        for reader, pipe in zip(self._readers, (self._process.stdout, self._process.stderr), strict=True):
            reader.join(HALF_DEAD_S)
            if not reader.is_alive():  # closing a pipe that is being read would wait for the reader
                pipe.close()
        if self._job is not None:
            self._job.close()

    def _read(self, pipe: BinaryIO) -> None:
        prefix = PREFIX.encode()
        while line := pipe.readline(LONGEST_LOG_LINE):
            is_event = line.startswith(prefix)
            while is_event and not line.endswith(b"\n") and (more := pipe.readline()):
                line += more
            text = line.decode("utf-8", errors="replace").rstrip("\r\n")
            if is_event:
                self.events.put(text)
            elif text:
                self.log.append(text)


def _apart() -> dict:
    """Arguments of Popen for a group of its own, and no console window on Windows."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _job():
    if os.name != "nt":
        return None
    from .winjob import Job

    return Job()


def _taskkill(pid: int) -> None:
    """Where the job object was refused: Windows' own tool walks the tree."""
    subprocess.run(
        ["taskkill", "/PID", str(pid), "/T", "/F"], capture_output=True, creationflags=subprocess.CREATE_NO_WINDOW
    )

"""Whether the process that the worker belongs to is still there. Standard library only."""

import os
from collections.abc import Callable
from typing import Any

from .protocol import CLIENT_PID

SYNCHRONIZE = 0x00100000
WAIT_OBJECT_0 = 0


def watch() -> Callable[[], bool]:
    """A function that tells whether the client (CLIENT_PID in the environment) or our own parent has gone."""
    stated = os.environ.get(CLIENT_PID, "")
    client = int(stated) if stated.isdigit() else os.getppid()
    return windows_watch(client) if os.name == "nt" else posix_watch(client)


def posix_watch(client: int) -> Callable[[], bool]:
    """Our parent may be a launcher: when it dies we get another parent; the client itself is asked by its id."""
    parent = os.getppid()

    def gone() -> bool:
        if os.getppid() != parent:
            return True
        try:
            os.kill(client, 0)
        except ProcessLookupError:
            return True
        except PermissionError:  # there, but of another user
            return False
        return False

    return gone


def windows_watch(client: int, kernel32: Any = None) -> Callable[[], bool]:
    """A handle keeps the id from being used again, and is signalled when its process ends."""
    if kernel32 is None:
        from .winjob import load_kernel32

        kernel32 = load_kernel32()
    handle = kernel32.OpenProcess(SYNCHRONIZE, False, client)
    return lambda: not handle or kernel32.WaitForSingleObject(handle, 0) == WAIT_OBJECT_0

"""Why a background process gives no answer, in words that the user can act on. Standard library only."""

import os
import signal

from .. import __version__
from . import protocol
from .events import Error, Handshake


def died(code: int | None, ready: bool) -> Error:
    """The process ended by itself or was killed; ready: after its handshake."""
    how, killed = in_words(code)
    if not ready:
        sentence = f"the background process ended before it was ready ({how})"
        return Error(None, "worker-died", sentence, "the details tell what is missing; install it again")
    if killed:
        way_out = "try again; if it happens again the memory may not suffice: close other programs or name a region"
        return Error(None, "worker-died", f"the background process was killed ({how})", way_out)
    sentence = f"the background process ended unexpectedly ({how})"
    return Error(None, "worker-died", sentence, "try again; the details tell what it wrote last")


def in_words(code: int | None) -> tuple[str, bool]:
    """An exit code in words, and whether somebody killed the process; a shell tells signal n as 128 + n."""
    if os.name == "nt" or code is None or 0 <= code <= 128:
        return (f"exit code {code:#x}" if code is not None and code > 255 else f"exit code {code}"), False
    number = -code if code < 0 else code - 128
    try:
        return signal.Signals(number).name, number in (signal.SIGKILL, signal.SIGTERM)
    except ValueError:
        return f"exit code {code}", False


def not_started(error: OSError) -> Error:
    """The process could not even be made."""
    words = error.strerror or type(error).__name__
    return Error(None, "worker-not-started", f"the background process can't be started: {words}", "install again")


def other_version(found: Handshake) -> Error:
    """The process runs another version of the library."""
    sentence = (
        f"the background process is PEMMASegment {found.library} with protocol {found.protocol}, "
        f"the panel is {__version__} with protocol {protocol.VERSION}"
    )
    return Error(None, "worker-version", sentence, "restart the application; if that does not help, install again")


def silent(seconds: float) -> Error:
    """The process did not greet in time."""
    sentence = f"the background process did not answer within {seconds:.0f} seconds"
    return Error(None, "worker-silent", sentence, "try again; a virus scanner may hold it up")


def cancelled() -> Error:
    """The process did not listen to a cancel and was killed."""
    sentence = "cancelled; the background process did not stop by itself and was ended"
    return Error(None, "cancelled", sentence)


def ended_with_another() -> Error:
    """The process was killed for another request, which was cancelled."""
    return Error(None, "worker-died", "the background process no longer listened and was ended", "try again")


def no_folder(id: int, error: OSError) -> Error:
    """There is no place for the files of a request."""
    words = error.strerror or type(error).__name__
    sentence = f"no temporary folder can be made: {words}"
    return Error(id, "cannot-write", sentence, "free some space on the disk of the temporary folder")

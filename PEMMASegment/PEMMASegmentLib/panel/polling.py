"""Timers, and taking in what a background process has told since it was last asked."""

from collections.abc import Callable

import qt

from ..worker.client import Worker


def take_in(worker: Worker, take: Callable, timer) -> None:
    """Gives each event to `take`; no process any more stops `timer`, which asks for them.

    A fault in one keeps none of the others from being taken in, and goes up afterwards.
    """
    faults = []
    try:
        for event in worker.poll():
            try:
                take(event)
            except Exception as fault:  # not understood here: a result that follows must not be lost with it
                faults.append(fault)
    finally:
        if not worker.running:
            timer.stop()
    if faults:
        raise faults[0] if len(faults) == 1 else ExceptionGroup("several events could not be taken in", faults)


def timer(parent, slot: Callable, milliseconds: int, *, once: bool = False):
    """Calls `slot` again and again from its start on, or once; when it is started anew the time begins anew."""
    made = qt.QTimer(parent)
    made.setInterval(milliseconds)
    made.setSingleShot(once)
    made.connect("timeout()", slot)
    return made

"""Ctrl-C, kept where Python loses what it raises."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def heard() -> Iterator[Callable[[], None]]:
    """Ctrl-C raises KeyboardInterrupt, as ever, and that is what the block ends with whatever became of it on its way: NumPy
    calls it a bad installation while it is imported, and in a finalizer it is printed and forgotten.

    Yields what raises it again once Ctrl-C was pressed. Of a process that doesn't listen to Ctrl-C nothing is changed.
    """
    pressed, hook = [], sys.unraisablehook

    def press(number: int, frame) -> None:
        pressed.append(number)
        sys.unraisablehook = lambda _: None
        signal.default_int_handler(number, frame)

    def stop_if_pressed() -> None:
        if pressed:
            raise KeyboardInterrupt

    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with suppress(ValueError):  # signals are the main thread's
        if ours:
            signal.signal(signal.SIGINT, press)
    try:
        yield stop_if_pressed
    except Exception:
        stop_if_pressed()
        raise
    finally:
        sys.unraisablehook = hook
        with suppress(ValueError):
            if ours:
                signal.signal(signal.SIGINT, signal.default_int_handler)

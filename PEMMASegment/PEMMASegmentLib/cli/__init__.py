"""The command `pemma-segment`: one file a command, nothing but arguments, calls and printing.

Nothing is imported before Ctrl-C is heard: pressed right after Enter it would print a traceback.
"""


def main(arguments=None) -> int:
    """Runs one command; its exit code: 0 done, 1 refused or failed, 2 wrong usage, 130 cancelled. None: that of `sys.argv`."""
    try:
        from .interrupts import heard

        with heard() as stop_if_pressed:
            from .commands import run

            return run(arguments, stop_if_pressed)
    except KeyboardInterrupt:
        from . import streams

        streams.tell("cancelled")
        return 130

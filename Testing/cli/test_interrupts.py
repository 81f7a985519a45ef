"""Ctrl-C at any time: the word "cancelled", 130, no traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import PEMMASegmentLib
from PEMMASegmentLib import cli
from PEMMASegmentLib.cli import commands, inspect


@pytest.fixture(autouse=True)
def listening():
    """Tests may run in the background of a shell script, whose processes don't listen to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class InAFinalizer:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


class InAName:
    """How an import comes by it: what C code calls and what it makes of that, an ImportError or a RuntimeError."""

    def __set_name__(self, owner, name):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("quiet", [["--quiet"], []], ids=["quiet", "bar"])
@pytest.mark.parametrize("how", [InAFinalizer, lambda: type("Imported", (), {"one": InAName()})], ids=["finalizer", "import"])
def test_where_python_loses_it_the_work_stops_all_the_same(how, quiet, monkeypatch, capfd):
    def work(options, terminal) -> bool:
        with terminal.progress("inspect") as progress:
            how()
            progress(0.5, "reading")
        raise AssertionError("went on")

    monkeypatch.setattr(inspect, "run", work)
    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    assert cli.main(["inspect", "study", *quiet]) == 130
    err = capfd.readouterr().err
    assert err.endswith("cancelled\n") and "Traceback" not in err and "rror" not in err
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before


def test_while_the_arguments_are_read(monkeypatch, capsys):
    monkeypatch.setattr(commands, "parser", lambda: signal.raise_signal(signal.SIGINT))
    assert cli.main(["models", "list"]) == 130 and capsys.readouterr().err == "cancelled\n"


def test_before_anything_is_imported():
    code = "import sys; before = set(sys.modules); import PEMMASegmentLib.cli; print(*sorted(set(sys.modules) - before))"
    own = {**os.environ, "PYTHONPATH": str(Path(PEMMASegmentLib.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=own)
    assert done.stdout.split() == ["PEMMASegmentLib", "PEMMASegmentLib.cli"]


def test_a_process_that_does_not_listen_to_it_goes_on(monkeypatch):
    """As one that a shell script runs in the background."""

    def work(options, terminal) -> bool:
        signal.raise_signal(signal.SIGINT)
        return True

    monkeypatch.setattr(inspect, "run", work)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert cli.main(["inspect", "study"]) == 0 and signal.getsignal(signal.SIGINT) is signal.SIG_IGN

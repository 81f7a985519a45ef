"""What the user sees: lines above the bar, and who reads no more."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import PEMMASegmentLib
from PEMMASegmentLib import cli
from PEMMASegmentLib.cli.terminal import Terminal, base_name, for_each


def test_a_line_does_not_run_into_the_bar(capsys):
    terminal = Terminal(as_json=False, quiet=False)
    with terminal.progress("adapt") as progress:
        progress(0.01, "reading study 1 of 3")
        terminal.say("warning: a word")
    terminal.say("done")
    shown = [line.strip() for line in re.split(r"[\r\n]", capsys.readouterr().err)]
    assert {"warning: a word", "done"} <= set(shown)


def test_a_study_is_called_as_its_user_calls_it(tmp_path, monkeypatch):
    """A link named by a pseudonym leads to a folder that bears the patient's name."""
    folder, link = tmp_path / "Doe^Jane", tmp_path / "P042"
    folder.mkdir()
    link.symlink_to(folder, target_is_directory=True)
    assert base_name(link) == base_name(link / ".") == "P042"
    monkeypatch.chdir(tmp_path)
    assert base_name(Path("P042")) == "P042" and base_name(Path(".")) == tmp_path.name


def test_an_invalid_argument_of_no_file_is_told():
    """On Windows a library that torch lacks is one: it was taken for a reader that has gone, and told in no word."""

    def do(study: Path) -> dict:
        raise OSError(errno.EINVAL, "Invalid argument")

    _, failed = for_each([Path("a")], do, Terminal(as_json=False, quiet=True))
    assert failed[0]["error"]["code"] == "file-failed"


@pytest.mark.parametrize("command", [["list"], ["list", "--json"], ["show", "nosuch", "--json"]], ids=" ".join)
def test_an_answer_that_the_disk_does_not_take_is_told_in_a_line(command, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdout", open("/dev/full", "w"))
    assert cli.main(["models", *command]) == 1
    sys.stdout.close()  # what was not taken is tried no more: the program would end with the system's own words
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")


def test_a_command_whose_reader_has_gone_ends_without_a_word(tmp_path):
    code = """import sys
from PEMMASegmentLib import cli
class Closed:
    def write(self, words):
        sys.platform = "win32"
        raise OSError(22, "Invalid argument")
    def flush(self): pass
    def fileno(self): return 1
sys.stdout = Closed()
sys.exit(cli.main(["models", "list"]))"""
    own = {"PYTHONPATH": str(Path(PEMMASegmentLib.__file__).parents[1]), "PEMMA_SEGMENT_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, **own})
    assert done.returncode == 1 and done.stderr == ""

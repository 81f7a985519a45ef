"""The top level, and what a tracked file must not hold."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSE = {"PEMMASegment", "Resources", "Testing", "CMakeLists.txt", "README.md", "LICENSE"}


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    try:
        found = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [Path(name) for name in found.split("\0") if name]


def test_nothing_else_lies_at_the_top_level(tracked):
    top = {path.parts[0] for path in tracked}
    assert {name for name in top if not name.startswith(".")} == HOUSE


def test_no_path_of_a_machine_and_no_pickle_in_code(tracked):
    for path in tracked:
        if path.suffix not in {".py", ".toml", ".md", ".txt"} or not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_text(encoding="utf-8")
        assert not re.search(r"(^|[\s\"'(])/(home|root|tmp|work)/", text), path
        if path.parts[0] == "PEMMASegment" and path.suffix == ".py":
            assert not re.search(r"\bimport pickle\b|\bpickle\.load|weights_only=False", text), path


def test_code_style(tracked):
    """ruff with the settings of pyproject.toml; style is one of the things a newcomer should not have to guess."""
    ruff = pytest.importorskip("ruff")
    check = [ruff.find_ruff_bin(), "check", "--no-cache", "--config", "PEMMASegment/pyproject.toml"]
    done = subprocess.run([*check, "PEMMASegment", "Testing"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

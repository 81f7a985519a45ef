"""Slicer installs only what CMake lists: both lists against the tree, and the facts of the extension against the files."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "PEMMASegment"


def listed(variable: str) -> list[str]:
    text = (MODULE / "CMakeLists.txt").read_text(encoding="utf-8")
    words = re.search(rf"set\({variable}\n(.*?)\)", text, re.DOTALL).group(1).split()
    return [word.replace("${MODULE_NAME}", "PEMMASegment") for word in words]


@pytest.mark.parametrize(
    ("variable", "patterns"),
    [
        ("MODULE_PYTHON_SCRIPTS", ["PEMMASegment.py", "PEMMASegmentLib/**/*.py"]),
        ("MODULE_PYTHON_RESOURCES", ["Resources/**/*", "pyproject.toml"]),
    ],
)
def test_every_file_is_listed_once(variable, patterns):
    files = {
        path.relative_to(MODULE).as_posix() for pattern in patterns for path in MODULE.glob(pattern) if path.is_file()
    }
    names = listed(variable)
    assert sorted(files - set(names)) == [], "add these to PEMMASegment/CMakeLists.txt"
    assert sorted(set(names) - files) == [], "these are listed but not there"
    assert len(names) == len(set(names))


def test_extension_has_its_facts_on_one_line_each():
    text = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert re.search(rf'^set\(EXTENSION_{name} "[^"\n]+"\)$', text, re.MULTILINE), name
    for url in re.findall(r"/(Resources/[^\" ]+)", text):
        assert (ROOT / url).is_file(), url

"""No sentence of the library that reaches the panel names an option or a command of the command line."""

import ast
import importlib
import re
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)

LIBRARY = Path(__file__).resolve().parents[2] / "PEMMASegment" / "PEMMASegmentLib"
ROOMS = ("adaptation", "adapters", "cli", "core", "inference", "network", "panel", "results", "study", "worker")
PARSERS = {"panel/words.py", "panel/packages.py"}  # these hand options on, translate them, or are pip's


def sentences() -> list[str]:
    """Every text in the code of these rooms that names an option or a command; docstrings are none."""
    found = []
    for room in ROOMS:
        for file in sorted((LIBRARY / room).rglob("*.py")):
            if file.relative_to(LIBRARY).as_posix() not in PARSERS:
                tree = ast.parse(file.read_text(encoding="utf-8"))
                found += texts(told(tree) if room == "cli" else tree)
    return [text for text in found if re.search(r"--[a-z]|pemma-segment [a-z]", text)]


def told(tree: ast.AST) -> ast.AST:
    """Of the command line, whose help stays there, what it tells the panel too: refusals, warnings, and what they are made of."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)
             and getattr(node.func, "id", "") in ("PemmaError", "PemmaWarning", "no_proof")]
    parts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Assign | ast.AugAssign)
             and {"sentence", "way_out"} & {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}]
    return ast.List([*calls, *parts])


def texts(tree: ast.AST) -> list[str]:
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings
    ]


def test_every_one_is_told_in_the_panels_words(app):
    in_panel = importlib.import_module("PEMMASegmentLib.panel.words").in_panel
    assert len(sentences()) > 30
    for text in sentences():
        assert not re.search(r"--|pemma-segment", in_panel(text)), in_panel(text)


def test_what_is_shown_says_where_to_go(app, module):
    from PEMMASegmentLib.core import PemmaError

    module.panel._say_error(
        PemmaError("decay", "the scan starts before the injection", "give --injection-time, or use --inputs ct", "--roi")
    )
    shown = module.panel.ui.messageLabel.text
    assert "give Injection time, or use Inputs ct" in shown and " --" not in shown and "[--" not in shown

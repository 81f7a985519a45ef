"""A view of an image's voxels must not outlive the image: of a whole body that ends the process."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[2] / "PEMMASegment" / "PEMMASegmentLib"


def views_of_what_is_gone(tree: ast.AST) -> list[int]:
    """Lines with `GetArrayViewFromImage(call(...))`: nobody holds the image that the inner call made."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute))
    return [c.lineno for c in calls if c.func.attr == "GetArrayViewFromImage" and isinstance(c.args[0], ast.Call)]


def test_no_view_of_an_image_that_nobody_holds():
    files = [(file, ast.parse(file.read_text(encoding="utf-8"))) for file in LIBRARY.rglob("*.py")]
    assert [(file.name, line) for file, tree in files for line in views_of_what_is_gone(tree)] == []


def test_such_a_view_is_seen():
    assert views_of_what_is_gone(ast.parse("a = sitk.GetArrayViewFromImage(sitk.Cast(b, 1)).max()")) == [1]
    assert views_of_what_is_gone(ast.parse("a = sitk.GetArrayViewFromImage(b).max()")) == []

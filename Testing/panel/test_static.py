"""The panel's files against each other: the .ui file, the code that uses its widgets, the parameter node. No Slicer."""

import ast
import re
import xml.etree.ElementTree as ET
from pathlib import Path

MODULE = Path(__file__).resolve().parents[2] / "PEMMASegment"
PANEL = MODULE / "PEMMASegmentLib" / "panel"
UI = ET.Element("every")
UI.extend(ET.parse(file).getroot() for file in sorted((MODULE / "Resources" / "UI").glob("*.ui")))


def test_every_widget_that_the_code_uses_is_in_the_ui():
    names = {widget.get("name") for widget in UI.iter("widget")}
    used = {name for file in PANEL.glob("*.py") for name in re.findall(r"\bui\.(\w+)", file.read_text(encoding="utf-8"))}
    assert used and used <= names, used - names


def test_every_bound_widget_has_a_member_and_is_told():
    tree = ast.parse((PANEL / "parameters.py").read_text(encoding="utf-8"))
    [kept] = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    members = {node.target.id for node in kept.body if isinstance(node, ast.AnnAssign)}
    bound = [p.find("string").text for p in UI.iter("property") if p.get("name") == "SlicerParameterName"]
    assert len(bound) == len(set(bound)) and set(bound) <= members


def test_what_takes_input_has_a_tooltip():
    for widget in UI.iter("widget"):
        kind, told = widget.get("class"), {p.get("name") for p in widget.findall("property")}
        if kind in ("QLabel", "QProgressBar", "QPlainTextEdit", "qMRMLWidget") or kind.startswith("ctkCollapsible"):
            continue
        assert "toolTip" in told, widget.get("name")


def test_every_path_says_whether_it_is_a_folder_or_a_file():
    """Without filters the button "..." offers files that are there, and no folder."""
    wanted = {"certificatePathEdit": "Files"}
    for widget in UI.iter("widget"):
        if widget.get("class") == "ctkPathLineEdit":
            told = {p.get("name"): p.findtext("set") for p in widget.findall("property")}
            kinds = told.get("filters", "").replace("ctkPathLineEdit::", "").split("|")
            assert kinds == [wanted.get(widget.get("name"), "Dirs"), "NoDot", "NoDotDot", "Readable"], widget.get("name")


def test_the_module_file_imports_only_what_slicer_has():
    tree = ast.parse((MODULE / "PEMMASegment.py").read_text(encoding="utf-8"))
    names = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module.split(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert names <= {"re", "sys", "time", "zipfile", "pathlib", "slicer"}


def test_every_shortcut_stands_in_its_tooltip_and_is_given_once():
    found = []
    for widget in UI.iter("widget"):
        told = {p.get("name"): p.findtext("string") for p in widget.findall("property")}
        if "shortcut" in told:
            assert f"({told['shortcut']})" in told["toolTip"], widget.get("name")
            found.append(told["shortcut"])
    assert len(found) >= 4 and len(found) == len(set(found))


def test_what_has_no_text_of_its_own_has_a_name_for_a_screen_reader():
    for widget in UI.iter("widget"):
        told = {p.get("name") for p in widget.findall("property")}
        if widget.get("class") in ("QComboBox", "QLineEdit", "QDoubleSpinBox", "ctkPathLineEdit", "qMRMLNodeComboBox"):
            assert "accessibleName" in told, widget.get("name")

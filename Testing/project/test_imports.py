"""Who may import whom (the table below), in one direction, and what no room may import before it needs it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

LIBRARY = Path(__file__).resolve().parents[2] / "PEMMASegment" / "PEMMASegmentLib"
ANY = None

#: room -> rooms and packages it may import, besides itself and the standard library
MAY_IMPORT = {
    "core": {"numpy", "scipy", "SimpleITK", "platformdirs"},
    "study": {"core", "pydicom", "numpy", "scipy", "SimpleITK"},
    "results": {"core", "study", "pydicom", "highdicom", "matplotlib", "numpy", "scipy", "SimpleITK"},
    "network": {"core", "torch", "monai", "safetensors", "platformdirs", "numpy", "SimpleITK", "einops"},
    "adapters": {"core", "torch", "safetensors", "numpy"},
    "inference": {"core", "study", "network", "adapters", "torch", "numpy", "scipy", "SimpleITK"},
    "training": {
        "core", "study", "network", "adapters", "torch", "monai", "safetensors", "numpy", "scipy", "SimpleITK",
        "pydicom",
    },  # fmt: skip
    "adaptation": {
        "core", "study", "training", "inference", "adapters", "network", "torch", "numpy", "scipy", "SimpleITK",
    },
    "panel": {
        "worker.client", "results", "study", "core", "pydicom", "numpy", "scipy", "SimpleITK", "qt", "ctk", "slicer", "vtk",
        "PyTorchUtils",  # the extension that brings torch
    },  # fmt: skip
    "jobs": {
        "core", "study", "results", "network", "adapters", "inference", "training", "adaptation", "SimpleITK", "numpy",
    },  # fmt: skip
    "cli": {"jobs", "core", "study", "results", "network", "adapters", "adaptation", "training", "tqdm"},
    "worker": {
        "jobs", "worker.client", "core", "study", "results", "network", "adapters", "inference", "adaptation", "SimpleITK",
        "pydicom", "torch",
    },  # fmt: skip
    "worker.client": set(),  # what runs inside the application: standard library only
    "": {"cli"},  # __init__.py and __main__.py
}

#: heavy packages that must not be imported with the room, only inside the function that needs them
LAZY = {
    "core": {"matplotlib", "torch", "platformdirs"},
    "study": {"matplotlib", "highdicom", "torch"},
    "results": {"matplotlib", "highdicom", "torch"},
    "panel": {"matplotlib", "highdicom", "torch", "monai"},
    "cli": {"torch", "monai", "highdicom", "matplotlib", "SimpleITK", "pydicom", "numpy", "scipy", "tqdm"},
    "worker": {"torch", "monai", "highdicom", "matplotlib", "SimpleITK", "pydicom", "numpy", "scipy"},
}

#: the files of `worker` that only the background process imports
WORKER_SIDE = {
    "adapt.py", "adapters.py", "__main__.py", "server.py", "commands.py", "cases.py", "models.py", "checkup.py", "request.py",
    "warm.py",
}  # fmt: skip


def files() -> list[Path]:
    return sorted(LIBRARY.rglob("*.py"))


def room_of(file: Path) -> str:
    parts = file.relative_to(LIBRARY).parts
    if parts[0] == "worker":
        return side_of_worker(parts[-1])
    return parts[0] if len(parts) > 1 else ""


def side_of_worker(file: str) -> str:
    """Of the background process, or of the application that asks it."""
    return "worker" if file in WORKER_SIDE else "worker.client"


def imports(tree: ast.AST, file: Path) -> set[str]:
    """Rooms (without a prefix) and top packages that the statements under `tree` import."""
    package = ("PEMMASegmentLib", *file.relative_to(LIBRARY).parent.parts)
    found = set()
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            # `from .. import study` names the room itself, `from ..worker import client` the file
            inside = base in (("PEMMASegmentLib",), ("PEMMASegmentLib", "worker"))
            names = [".".join((*base, name)) for name in names] if inside else [".".join(base)]
        found |= {top(name) for name in names}
    return found


def top(name: str) -> str:
    parts = name.split(".")
    if parts[0] != "PEMMASegmentLib":
        return parts[0]
    if parts[1:2] == ["worker"]:
        return side_of_worker(f"{parts[2]}.py" if len(parts) > 2 else "__init__.py")
    return parts[1] if len(parts) > 1 and (LIBRARY / parts[1]).is_dir() else "itself"


def at_import(tree: ast.Module) -> ast.Module:
    """The statements that run when the file is imported: no function bodies, nothing under TYPE_CHECKING."""

    class Strip(ast.NodeTransformer):
        def visit_FunctionDef(self, node):
            return ast.Pass()

        visit_AsyncFunctionDef = visit_FunctionDef

        def visit_If(self, node):
            return ast.Pass() if "TYPE_CHECKING" in ast.unparse(node.test) else self.generic_visit(node)

    return Strip().visit(tree)


@pytest.mark.parametrize("file", files(), ids=lambda file: file.relative_to(LIBRARY).as_posix())
def test_imports_only_what_the_table_allows(file):
    room = room_of(file)
    tree = ast.parse(file.read_text(encoding="utf-8"))
    allowed = MAY_IMPORT[room]
    if allowed is not ANY:
        outside = imports(tree, file) - sys.stdlib_module_names - {"__future__", "itself", room}
        assert outside <= allowed, f"{room} may not import {sorted(outside - allowed)}"
    early = imports(at_import(tree), file) & LAZY.get(room, set())
    assert not early, f"{sorted(early)} belongs inside the function that needs it"


@pytest.mark.parametrize(("rooms", "heavy"), [
    (("results", "study"), LAZY["results"] | {"monai"}), (("core", "cli"), LAZY["cli"]),
])  # fmt: skip
def test_rooms_start_without_what_is_heavy(rooms, heavy):
    """What the table says of each file, seen as a whole: nothing heavy comes in by a detour."""
    code = f"""import sys
import {", ".join(f"PEMMASegmentLib.{room}" for room in rooms)}
sys.exit(" ".join(name for name in {sorted(heavy)} if name in sys.modules) or 0)"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def arrows(library: Path) -> dict[Path, set[Path]]:
    """Each file and the others that are imported with it."""
    read = {file: at_import(ast.parse(file.read_text(encoding="utf-8"))) for file in library.rglob("*.py")}
    return {file: set(beside(tree, file)) - {file} for file, tree in read.items()}


def beside(tree: ast.AST, file: Path) -> Iterator[Path]:
    """The files that relative imports name: a file, else a room by its name, else what the name is taken from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = file.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for name in (alias.name for alias in node.names):
                places = base / f"{name}.py", base / name / "__init__.py", base.with_suffix(".py"), base / "__init__.py"
                yield next(place for place in places if place.is_file())


def test_files_import_in_one_direction():
    """A type or a function that two files want from each other stands in a third."""
    TopologicalSorter(arrows(LIBRARY)).prepare()


def test_a_circle_is_seen(tmp_path):
    for name, text in {"__init__": "", "a": "from .b import c", "b": "from . import d", "d": "from .a import e"}.items():
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(CycleError):
        TopologicalSorter(arrows(tmp_path)).prepare()
    (tmp_path / "d.py").write_text("def f():\n    from .a import e\n", encoding="utf-8")
    TopologicalSorter(arrows(tmp_path)).prepare()


def test_the_table_has_every_room():
    rooms = {path.name for path in LIBRARY.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set(MAY_IMPORT)


def test_a_broken_rule_is_seen(tmp_path):
    file = LIBRARY / "core" / "made_up.py"
    tree = ast.parse("def f():\n    import torch\n    from ..study import load\n    from .. import cli\nimport numpy\n")
    assert imports(tree, file) == {"torch", "study", "cli", "numpy"}
    assert imports(at_import(tree), file) == {"numpy"}
    told = ast.parse("from ..worker import client, server\nfrom ..worker.request import loader\nfrom .. import worker\n")
    assert imports(told, LIBRARY / "panel" / "made_up.py") == {"worker.client", "worker"}
    beside = ast.parse("from . import events, commands\n")
    assert imports(beside, LIBRARY / "worker" / "client.py") == {"worker.client", "worker"}

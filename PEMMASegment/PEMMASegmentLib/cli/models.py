"""`pemma-segment models list|show|import|remove`: what is installed, checked by hash."""

import argparse
import json
from pathlib import Path

from ..core import PemmaError
from . import options as shared
from .terminal import Terminal, table


def add_to(commands) -> None:
    parser = commands.add_parser("models", help="what models are installed", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared.command(actions, "list", list_models, "list the installed models, checked by hash")
    show = shared.command(actions, "show", show_model, "show a model's card")
    taken = shared.command(actions, "import", import_model, "copy a model folder, or one in a zip, to your models")
    taken.add_argument("folder", type=Path, metavar="DIR|ZIP", help="folder with model.json and model.safetensors")
    removed = shared.command(actions, "remove", remove_model, "delete one of your models")
    for action in (show, removed):
        action.add_argument("model", metavar="NAME", help="name of an installed model")


def list_models(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..network import files

    rows: list[dict] = []
    for folder in files.installed():
        try:
            row = {**vars(files.check(folder).identity), "check": "ok"}
        except PemmaError as error:
            row = {"name": folder.name, "version": "", "sha256": "", "check": f"{error.sentence} [{error.code}]"}
        rows.append(row)
    words = [[row["name"], row["version"], row["sha256"][:12], row["check"]] for row in rows]
    terminal.result({"models": rows}, table(["model", "version", "sha256", "check"], words))
    return all(row["check"] == "ok" for row in rows)


def show_model(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..network import files

    folder = files.find_model(options.model)
    identity = vars(files.check(folder).identity)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    readme = folder / "README.md"
    words = readme.read_text(encoding="utf-8", errors="replace") if readme.is_file() else ""
    title = f"{identity['name']} {identity['version']} {identity['sha256']}"
    terminal.result({**identity, "card": card}, f"{title}\n\n{words}")
    return True


def import_model(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..network import library

    card = library.take_in(options.folder)
    terminal.result(vars(card.identity), f"imported {card.name} {card.version}")
    return True


def remove_model(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..network import library

    name = library.remove_model(options.model)
    terminal.result({"removed": name}, f"removed {name}")
    return True

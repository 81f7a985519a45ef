"""`pemma-segment adapters list|show|import|export|remove`: the user's adapters, checked by hash."""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from . import options as shared
from .adapt import gain_in_words
from .terminal import Terminal, table

if TYPE_CHECKING:
    from ..adapters import AdapterCard

TITLES = ("adapter", "version", "for", "inputs", "verdict", "check")


def add_to(commands) -> None:
    parser = commands.add_parser("adapters", help="what adapters are installed", allow_abbrev=False)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared.command(actions, "list", list_adapters, "list the installed adapters, checked by hash")
    show = shared.command(actions, "show", show_adapter, "show an adapter's card")
    taken = shared.command(actions, "import", import_adapter, "copy an adapter, folder or zip, to your adapters")
    taken.add_argument("source", type=Path, metavar="DIR|ZIP", help="folder with adapter.json, or such a folder as a zip")
    given = shared.command(actions, "export", export_adapter, "copy an adapter to a new folder or zip")
    removed = shared.command(actions, "remove", remove_adapter, "delete one of your adapters")
    for action in (show, given, removed):
        action.add_argument("adapter", metavar="NAME|DIR", help="installed adapter or adapter folder")
    given.add_argument("out", type=Path, metavar="DIR|ZIP", help="new folder, or new file that ends in .zip")


def list_adapters(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation import installed
    from ..jobs.adapters import row_of

    rows = [row_of(folder) for folder in installed.installed()]
    words = [[row["name"], row["version"], row["base"], row["inputs"], row["verdict"], row["check"]] for row in rows]
    terminal.result({"adapters": rows}, table(TITLES, words) if rows else "no adapter is installed")
    return all(row["check"] == "ok" for row in rows)


def show_adapter(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation import installed
    from ..jobs.adapters import identity

    card = installed.check_adapter(installed.find_adapter(options.adapter))
    terminal.result({**identity(card), "card": asdict(card)}, in_words(card))
    return True


def import_adapter(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation import installed
    from ..jobs.adapters import identity

    card = installed.import_adapter(options.source)
    terminal.result(identity(card), f"imported {card.name} {card.version}, for {card.base.name} {card.base.version}")
    return True


def export_adapter(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation import installed
    from ..jobs.adapters import identity

    card = installed.export_adapter(installed.find_adapter(options.adapter), options.out)
    terminal.result({**identity(card), "out": str(options.out)}, f"exported {card.name} {card.version} to {options.out}")
    return True


def remove_adapter(options: argparse.Namespace, terminal: Terminal) -> bool:
    from ..adaptation import installed

    name = installed.remove_adapter(options.adapter)
    terminal.result({"removed": name}, f"removed {name}")
    return True


def in_words(card: "AdapterCard") -> str:
    """The card for a reader."""
    from ..jobs.adapters import identity

    rows = [("adapter", f"{card.name} {card.version}"), *list(identity(card).items())[2:]]
    if card.method is not None:
        rows.append(("method", f"{card.method.name} (rank {card.method.rank}, top {card.method.top}) on "
                     f"{len(card.targets)} weights ({card.pattern})"))  # fmt: skip
    if card.parameters:
        rows.append(("parameters", f"{len(card.parameters)} in full"))
    if card.trained_parameters:
        rows.append(("trained", f"{card.trained_parameters} numbers, {card.trained_share:.1%} of the base's"))
    rows += [(name.replace("_", " "), _fix(value)) for name, value in card.fixes.items()]
    rows += [(part, ", ".join(map(str, values))) for part, values in sorted(card.origin.items())]
    rows += [(name, str(value)) for name, value in card.training.items() if _plain(value)]
    ids = card.training.get("case_ids")
    rows += [("library cases", ", ".join(map(str, ids)))] if isinstance(ids, list) else []
    rows += _proved(card.scores)
    rows += [("note", card.note)] if card.note else []
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def _proved(scores: dict) -> list[tuple[str, str]]:
    """What the proof said of the adapter, if there was one; the figures on a card from elsewhere may be anything."""
    if not scores:
        return []
    try:
        rows = [("proof", str(scores["sentence"])), ("mean gain", gain_in_words(scores))]
        names = [", ".join(filter(None, (row["case"], row.get("patient")))) for row in scores["cases"]]  # older: no patients
        rows += [(name, f"Dice {row['before']:.3f} -> {row['after']:.3f}")
                 for name, row in zip(names, scores["cases"], strict=True)]  # fmt: skip
        rows += [("reference", scores["reference"]["sentence"]), ("tries", str(scores["tries"]))]
    except (KeyError, TypeError, ValueError, IndexError):
        return [("proof", "its figures can't be read")]
    return [row for row in rows if row[1]]


def _fix(value) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name.upper()}, {len(curve[0])} points" for name, curve in value.items())
    return "yes" if value is True else f"{value:g}"


def _plain(value) -> bool:
    return isinstance(value, str | int | float)

"""What is told of the installed adapters, checked by hash."""

from pathlib import Path

from ..adaptation import installed
from ..adapters import AdapterCard
from ..core import PemmaError


def row_of(folder: Path) -> dict:
    """One line of the list; an adapter that is damaged has the reason under `check`."""
    try:
        return {**identity(installed.check_adapter(folder)), "check": "ok"}
    except PemmaError as error:
        empty = dict.fromkeys(("version", "sha256", "base", "inputs", "verdict"), "")
        return {"name": folder.name, **empty, "check": f"{error.sentence} [{error.code}]"}


def identity(card: AdapterCard) -> dict:
    """Name, version, hash of the weights ("" without), base, inputs and verdict."""
    base = f"{card.base.name} {card.base.version} {card.base.sha256[:12]}"
    return {"name": card.name, "version": card.version, "sha256": card.sha256, "base": base, "inputs": card.inputs,
            "verdict": card.verdict or "not proved"}  # fmt: skip

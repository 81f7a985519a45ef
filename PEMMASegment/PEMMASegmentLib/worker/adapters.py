"""The background process' side of the adapters' page: list, take in, give away, rename, note, remove."""

from pathlib import Path

from ..core import PemmaError, Progress


def adapters(request: dict, progress: Progress) -> dict:
    """Does `action` (list, import, export, rename, note, remove) with `source`, and gives the list as it is then.

    source: an installed adapter's name or an adapter's folder, for import also a zip. `target`: for export the new folder
    or zip. `text`: for rename the new name, for note the words. Result: `adapters` as `pemma-segment adapters list --json`
    gives them, each with its `folder`, `note`, `origin`, `training` and `scores`. Raises PemmaError.
    """
    from ..adaptation import installed

    progress(0.0, "checking the hashes")
    source, text = str(request.get("source") or ""), str(request.get("text") or "")
    match request.get("action"):
        case "list":
            pass
        case "import":
            installed.import_adapter(Path(source))
        case "export":
            installed.export_adapter(installed.find_adapter(source), Path(str(request.get("target") or "")))
        case "rename":
            installed.rename_adapter(installed.find_adapter(source), text)
        case "note":
            installed.note_adapter(installed.find_adapter(source), text)
        case "remove":
            installed.remove_adapter(installed.find_adapter(source))
        case _:
            _refuse()
    return {"adapters": [_row(folder) for folder in installed.installed()]}


def _row(folder: Path) -> dict:
    from ..adapters import read_card
    from ..jobs.adapters import row_of

    row = {**row_of(folder), "folder": str(folder)}
    if row["check"] != "ok":
        return row
    card = read_card(folder)
    return {**row, "note": card.note, "origin": card.origin, "training": card.training, "scores": card.scores}


def _refuse() -> None:
    raise PemmaError("bad-request", "`action` must be list, import, export, rename, note or remove")

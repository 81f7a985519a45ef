"""The background process' side of the models page: check by hash, take in from a folder or zip, remove."""

from pathlib import Path

from ..core import PemmaError, Progress


def models(request: dict, progress: Progress) -> dict:
    """Does `action` (check, import, remove) with `source`: a model's folder, for import also a zip. Raises PemmaError.

    Gives the model's `name`, `version` and `sha256`.
    """
    from ..network import files, library

    source = Path(str(request.get("source") or ""))
    if not request.get("source") or not source.exists():
        raise PemmaError("no-model", "there is no such folder or file", "choose the folder or zip of a model", source.name)
    progress(0.0, "checking the hash")
    match request.get("action"):
        case "check":
            card = files.check(source)
        case "import":
            card = library.take_in(source)
        case "remove":
            return {"name": library.remove_model(source), "version": "", "sha256": ""}
        case _:
            raise PemmaError("bad-request", "`action` must be check, import or remove")
    return vars(card.identity)

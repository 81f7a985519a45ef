"""The background process' side of the case library: what `pemma-segment cases ACTION --json` prints."""

from pathlib import Path
from typing import TYPE_CHECKING

from . import commands

if TYPE_CHECKING:
    from ..adaptation.cards import Origin
    from ..adaptation.library import CaseLibrary
    from ..core import Progress

#: Fields of the request that are no options of `cases add`.
_OWN = {"action", "library", "label", "made_by", "cases", "file"}


def cases(request: dict, progress: "Progress", warm: "commands.WarmModel") -> dict:
    """Does `action` (list, show, remove, import, export, add) on the case library in the folder `library`.

    show, remove: ids in `cases`; import: `file`; export: `cases` (empty: all) and `file`. add: `study` or `volumes` as
    for segment, and the options of `cases add`; the annotation is `label`, an image of the private folder, or the one in
    the study's folder; `made_by` ({"model": identity, "adapter": identity or null}) where it began as the output of a
    model. Its result: `case` and `warnings`. Raises PemmaError.
    """
    from ..adaptation.library import CaseLibrary
    from ..cli import cases as command
    from ..core import PemmaError

    library, ids = CaseLibrary(Path(str(request.get("library", "")))), list(map(str, request.get("cases") or []))
    file = Path(str(request.get("file", "")))
    match request.get("action") if request.get("library") else None:
        case "list":
            return command.as_answer(*command.checked(library))
        case "show":
            return command.show(library, "".join(ids))[1]
        case "remove":
            return command.remove(library, ids)
        case "import":
            return command.take_in(library, file)
        case "export":
            return command.export(library, ids, file)
        case "add":
            return _add(library, request, progress, warm)
    raise PemmaError("bad-request", "`library` is missing, or `action` is not list, show, remove, import, export or add")


def _add(library: "CaseLibrary", request: dict, progress: "Progress", warm: "commands.WarmModel") -> dict:
    from ..cli import cases as command

    options = commands.parse({key: request[key] for key in request if key not in _OWN}, command.add_options)

    def load():
        model = warm.get(options.model)
        return model, warm.adapter(options, model)

    card, warnings = command.add_case(
        library, commands.loader(request, options), _annotation(request), options, load, progress,
        _made_by(request.get("made_by")),
    )  # fmt: skip
    told = [{"code": w.code, "sentence": w.sentence, "way_out": w.way_out} for w in warnings]
    return {"case": command.show(library, card.id)[1], "warnings": told}


def _annotation(request: dict) -> Path | None:
    from ..study import annotation

    if request.get("label"):
        return commands.private_folder(request) / Path(str(request["label"])).name
    return annotation.find(commands.study_folder(request)) if "study" in request else None


def _made_by(stated: dict | None) -> "Origin | None":
    from ..adaptation.cards import Origin
    from ..core import Identity, PemmaError

    if not stated:
        return None
    try:
        made = {name: Identity(**stated[name]) for name in ("model", "adapter") if stated.get(name)}
        return Origin("corrected", **made)
    except (AttributeError, TypeError) as error:
        raise PemmaError("bad-request", "`made_by` must give model and adapter with name, version and sha256") from error

"""The background process' side of the case library: what `pemma-segment cases ACTION --json` prints."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import PemmaError, Progress
from ..jobs.options import Adding
from .request import loader, private_folder, read, study_folder, write_image

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..adaptation.cards import Origin
    from ..adaptation.library import CaseLibrary
    from ..study.types import PetCtStudy
    from .warm import WarmModel

#: Fields of the request that are no options of `cases add`.
_OWN = ("action", "library", "label", "made_by", "cases", "file", "headers", "suv_typed")


def cases(request: dict, progress: Progress, warm: "WarmModel") -> dict:
    """Does `action` (list, show, read, remove, import, export, add) on the case library in the folder `library`.

    show, read, remove: ids in `cases`; import: `file`; export: `cases` (empty: all) and `file`. read: writes the images
    into the private folder and gives their names by "ct", "pet", "mask". add: `study` or `volumes` as for segment, and
    the options of `cases add`; the annotation is `label`, an image of the private folder, or the one in the study's
    folder; `made_by` ({"model": identity, "adapter": identity or null}) where it began as the output of a model. With
    `volumes`, `headers` names a DICOM file of "ct" and "pet" in the private folder (patient, scanner, tracer), and
    `suv_typed` what a user typed. Its result: `case` and `warnings`. Raises PemmaError.
    """
    from ..adaptation.library import CaseLibrary
    from ..jobs import cases as jobs

    library, ids = CaseLibrary(Path(str(request.get("library", "")))), list(map(str, request.get("cases") or []))
    file = Path(str(request.get("file", "")))
    match request.get("action") if request.get("library") else None:
        case "list":
            return jobs.as_answer(*jobs.checked(library))
        case "show":
            return jobs.show(library, "".join(ids))[1]
        case "read":
            return _read(library, "".join(ids), private_folder(request))
        case "remove":
            return jobs.remove(library, ids)
        case "import":
            return jobs.take_in(library, file)
        case "export":
            return jobs.export(library, ids, file)
        case "add":
            return _add(library, request, progress, warm)
    raise PemmaError("bad-request", "`library` is missing, or `action` is none of those")


def _add(library: "CaseLibrary", request: dict, progress: Progress, warm: "WarmModel") -> dict:
    from ..jobs.adding import add_case
    from ..jobs.cases import show

    given = read(Adding, request, *_OWN)

    def load():
        model = warm.get(given.model)
        return model, warm.adapter(given.adapter, model)

    card, warnings = add_case(
        library, _with_headers(request, loader(request, given)), _annotation(request), given, load, progress,
        _made_by(request.get("made_by")),
    )  # fmt: skip
    return {"case": show(library, card.id)[1], "warnings": [asdict(warning) for warning in warnings]}


def _read(library: "CaseLibrary", id: str, folder: Path) -> dict:
    case, names = library.read(id), {}
    for name, image in (("ct", case.study.ct), ("pet", case.study.pet), ("mask", case.label)):
        if image is not None:
            names[name] = f"{name}.nrrd"
            write_image(image, folder / names[name])
    return names


def _with_headers(request: dict, load: "Callable[[Progress], PetCtStudy]") -> "Callable[[Progress], PetCtStudy]":
    """Volumes of the panel with what their DICOM headers tell; they never leave the private folder."""
    named = request.get("headers") or {}
    if "volumes" not in request:
        return load

    def loaded(progress: Progress) -> "PetCtStudy":
        import pydicom

        folder, study = private_folder(request), load(progress)
        found = {f"{name}_headers": (pydicom.dcmread(folder / Path(str(named[name])).name),) for name in named}
        typed = tuple(map(str, request.get("suv_typed") or ()))
        return replace(study, suv=replace(study.suv, typed=typed) if study.suv else None, **found)

    return loaded


def _annotation(request: dict) -> Path | None:
    from ..study import annotation

    if request.get("label"):
        return private_folder(request) / Path(str(request["label"])).name
    return annotation.find(study_folder(request), "leave one of them in the folder") if "study" in request else None


def _made_by(stated: dict | None) -> "Origin | None":
    from ..adaptation.cards import Origin
    from ..core import Identity

    if not stated:
        return None
    try:
        made = {name: Identity(**stated[name]) for name in ("model", "adapter") if stated.get(name)}
        return Origin("corrected", **made)
    except (AttributeError, TypeError) as error:
        raise PemmaError("bad-request", "`made_by` must give model and adapter with name, version and sha256") from error

"""What the background process can do. Requests carry the command line's options, which its own parser reads."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..cli import options as shared

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..adapters.files import MergedAdapter
    from ..cli.work import Segmented
    from ..core import Progress
    from ..network.files import Model, ModelCard
    from ..study.types import PetCtStudy

#: Fields of a request that are no options of the command line.
OWN_FIELDS = {"id", "do", "folder", "study", "volumes", "out", "action", "source", "target", "text"}
PROBABILITY = "probability.nrrd"
MODEL_LOADED, MEASURED = 0.05, 0.9  # shares of the progress


def commands() -> "dict[str, Callable[[dict, Progress], dict]]":
    """Name of a request -> function(request, progress) -> fields of the result; they share one loaded model."""
    from .adapt import adapt
    from .adapters import adapters
    from .cases import cases
    from .checkup import check_system
    from .models import models

    warm = WarmModel()
    return {
        "adapters": adapters,
        "models": models,
        "check_system": lambda request, progress: check_system(request, progress, warm),
        "load_model": lambda request, progress: load_model(request, progress, warm),
        "inspect": inspect,
        "segment": lambda request, progress: segment(request, progress, warm),
        "cases": lambda request, progress: cases(request, progress, warm),
        "adapt": lambda request, progress: adapt(request, progress, warm),
    }


class WarmModel:
    """The model of the last request, kept for as long as the same folder with the same card is asked for."""

    def __init__(self):
        self._key: tuple[Path, ModelCard] | None = None
        self._model: Model | None = None
        self._adapter: MergedAdapter | None = None

    def get(self, name: str | None) -> "Model":
        """The model of this name or folder, None for the bundled one. Raises PemmaError."""
        from ..network import files

        folder = files.find_model(name).resolve()
        key = (folder, files.read_card(folder))  # the whole card: weights stay when a threshold is chosen anew
        if key != self._key:
            self._key = self._model = self._adapter = None  # there may be no room for two
            self._model, self._key = files.load_model(folder), key
        return self._model

    def adapter(self, options: argparse.Namespace, model: "Model") -> "MergedAdapter | None":
        """The adapter that --adapter names, with its weights merged once for as long as the same one is asked for."""
        from ..adapters import keep_merged
        from ..cli import work

        found = work.load_adapter(options, model)
        if found is None:
            return None
        if self._adapter is None or (self._adapter.card, self._adapter.base_net) != (found.card, model.net):
            self._adapter = None
            self._adapter = keep_merged(found, model.net.cpu())  # where the GPU's memory can't run out
        return self._adapter


def load_model(request: dict, progress: "Progress", warm: WarmModel) -> dict:
    """Loads the model that `model` names, and torch with it, so that the next segmentation starts at once."""
    progress(0.0, "loading the model")
    card = warm.get(parse(request).model).card
    return {
        "name": card.name, "version": card.version, "sha256": card.sha256, "modalities": list(card.modalities),
        "threshold": card.threshold, "region": {"words": card.region.words, "longest_mm": card.region.longest_mm},
    }  # fmt: skip


def inspect(request: dict, progress: "Progress") -> dict:
    """What `pemma-segment inspect --json` prints."""
    from ..cli.inspect import seen_of
    from ..study import describe

    options = parse(request)
    if "volumes" in request:
        return describe(_volumes(request, options.inputs))
    return seen_of(study_folder(request), options, progress)[0]


def segment(request: dict, progress: "Progress", warm: WarmModel) -> dict:
    """The keys of result.json, and `probability`: a file in the private folder.

    With `out` the files of the command line's result are written there too.
    """
    from .. import results
    from ..cli import work
    from ..core.progress import part

    options, folder = parse(request), private_folder(request)
    out = Path(request["out"]) if request.get("out") else None
    if out is not None:
        results.check_out(out)
    progress(0.0, "loading the model")
    model = warm.get(options.model)
    adapter = warm.adapter(options, model)
    done = work.segment_study(loader(request, options), model, adapter, options, part(progress, MODEL_LOADED, MEASURED))
    progress(MEASURED, "writing the result")
    write_image(done.segmentation.probability, folder / PROBABILITY)
    return {**_record(done, out, options), "probability": PROBABILITY}


def _record(done: "Segmented", out: Path | None, options: argparse.Namespace) -> dict:
    from ..cli import work
    from ..results.record import as_record

    if out is None:
        return as_record(done.study, done.segmentation, done.lesions, options=work.of_result(done.segmentation, options))
    return work.write(out, done, options)


def parse(request: dict, *adding: "Callable[[argparse.ArgumentParser], None]") -> argparse.Namespace:
    """The request's options as the command line knows them. Raises PemmaError "option"."""
    parser = _Parser(add_help=False, allow_abbrev=False)
    for add in adding or (shared.add_segment_options, shared.add_result_options, shared.add_study_options):
        add(parser)
    words = [_word(name, value) for name, value in request.items() if name not in OWN_FIELDS]
    return parser.parse_args([word for word in words if word])


def _word(name: str, value: Any) -> str:
    """`{"min_volume": 0.5}` -> `--min-volume=0.5`, `{"whole_study": true}` -> `--whole-study`."""
    option = "--" + name.replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return option
    return f"{option}={','.join(map(str, value)) if isinstance(value, list) else value}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        from ..core import PemmaError

        raise PemmaError("option", message)


def loader(request: dict, options: argparse.Namespace) -> "Callable[[Progress], PetCtStudy]":
    from ..cli.work import load

    if "volumes" in request:
        return lambda progress: _volumes(request, options.inputs)
    folder = study_folder(request)
    return lambda progress: load(folder, options, progress)


def study_folder(request: dict) -> Path:
    from ..core import PemmaError

    folder = Path(str(request.get("study", "")))
    if not request.get("study") or not folder.is_dir():
        raise PemmaError("no-study", "the study's folder is not there", "load the study again", folder.name)
    return folder


def _volumes(request: dict, inputs: str) -> "PetCtStudy":
    """CT in HU and PET in SUVbw from the private folder."""
    from ..core import PemmaError
    from ..study import nifti

    folder, volumes = private_folder(request), request["volumes"]
    names = [volumes.get(key) for key in ("ct", "pet")] if isinstance(volumes, dict) else [""]
    if any(name is not None and (not isinstance(name, str) or Path(name).name != name) for name in names):
        raise PemmaError("bad-request", "`volumes` must name files of the private folder as ct and pet")
    files = (folder / name if name else None for name in names)
    return nifti.from_files(*files, need=None if inputs == "auto" else inputs)


def private_folder(request: dict) -> Path:
    from ..core import PemmaError

    folder = Path(str(request.get("folder", "")))
    if not request.get("folder") or not folder.is_dir():
        raise PemmaError("no-folder", "the folder for temporary files is not there", "try again")
    return folder


def write_image(image: "sitk.Image", path: Path, compressed: bool = False) -> None:
    """For the panel, which has it sooner when it is not compressed. Raises PemmaError "cannot-write"."""
    from ..core import PemmaError
    from ..core.images import save

    try:
        save(image, path, compressed)
    except OSError as error:
        sentence = "the result can't be written to the folder for temporary files"
        raise PemmaError("cannot-write", sentence, "free some space on its disk") from error

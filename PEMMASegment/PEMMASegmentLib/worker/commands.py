"""What the background process can do. Requests carry the command line's options by name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..core import PemmaError, Progress
from ..core.progress import part
from ..jobs import options
from ..jobs.options import Running, Segmenting

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..adapters.files import MergedAdapter
    from ..jobs.segmenting import Segmented
    from ..network.files import Model, ModelCard
    from ..study.types import PetCtStudy

T = TypeVar("T")

#: Fields of each request that are no options.
OWN_FIELDS = {"id", "do", "folder", "study", "volumes", "out"}
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

    def adapter(self, name: str, model: "Model") -> "MergedAdapter | None":
        """The adapter of this name or folder, with its weights merged once for as long as the same one is asked for."""
        from ..adapters import keep_merged
        from ..jobs import segmenting

        found = segmenting.load_adapter(name, model)
        if found is None:
            return None
        if self._adapter is None or (self._adapter.card, self._adapter.base_net) != (found.card, model.net):
            self._adapter = None
            self._adapter = keep_merged(found, model.net.cpu())  # where the GPU's memory can't run out
        return self._adapter


def load_model(request: dict, progress: Progress, warm: WarmModel) -> dict:
    """Loads the model that `model` names, and torch with it, so that the next segmentation starts at once."""
    progress(0.0, "loading the model")
    card = warm.get(read(Segmenting, request).model).card
    return {
        "name": card.name, "version": card.version, "sha256": card.sha256, "modalities": list(card.modalities),
        "threshold": card.threshold, "region": {"words": card.region.words, "longest_mm": card.region.longest_mm},
    }  # fmt: skip


def inspect(request: dict, progress: Progress) -> dict:
    """What `pemma-segment inspect --json` prints."""
    from ..jobs import reading
    from ..study import describe

    given = read(Segmenting, request)
    if "volumes" in request:
        return describe(_volumes(request, given))
    return reading.inspect(study_folder(request), given, progress)[0]


def segment(request: dict, progress: Progress, warm: WarmModel) -> dict:
    """The keys of result.json, and `probability`: a file in the private folder.

    With `out` the files of the command line's result are written there too.
    """
    from .. import results
    from ..jobs import segmenting

    given, folder = read(Segmenting, request), private_folder(request)
    out = Path(request["out"]) if request.get("out") else None
    if out is not None:
        results.check_out(out)
    progress(0.0, "loading the model")
    model = warm.get(given.model)
    adapter = warm.adapter(given.adapter, model)
    done = segmenting.segment_study(loader(request, given), model, adapter, given, part(progress, MODEL_LOADED, MEASURED))
    progress(MEASURED, "writing the result")
    write_image(done.segmentation.probability, folder / PROBABILITY)
    return {**_record(done, out, given), "probability": PROBABILITY}


def _record(done: "Segmented", out: Path | None, given: Segmenting) -> dict:
    from ..jobs import segmenting
    from ..results.record import as_record

    if out is None:
        return as_record(done.study, done.segmentation, done.lesions, options=segmenting.of_result(done.segmentation, given))
    return segmenting.write(out, done, given)


def read(kind: type[T], request: dict, *own: str) -> T:
    """The options in a request; own: its fields that are none, beside OWN_FIELDS. Raises PemmaError "option"."""
    return options.read(kind, {name: value for name, value in request.items() if name not in OWN_FIELDS and name not in own})


def loader(request: dict, given: Running) -> "Callable[[Progress], PetCtStudy]":
    """What reads the study that a request names, from a folder or as volumes in the private folder."""
    from ..jobs.reading import load_study

    if "volumes" in request:
        return lambda progress: _volumes(request, given)
    return partial(load_study, study_folder(request), given, given.need)


def study_folder(request: dict) -> Path:
    folder = Path(str(request.get("study", "")))
    if not request.get("study") or not folder.is_dir():
        raise PemmaError("no-study", "the study's folder is not there", "load the study again", folder.name)
    return folder


def _volumes(request: dict, given: Running) -> "PetCtStudy":
    """CT in HU and PET in SUVbw from the private folder."""
    from ..study import nifti

    folder, volumes = private_folder(request), request["volumes"]
    names = [volumes.get(key) for key in ("ct", "pet")] if isinstance(volumes, dict) else [""]
    if any(name is not None and (not isinstance(name, str) or Path(name).name != name) for name in names):
        raise PemmaError("bad-request", "`volumes` must name files of the private folder as ct and pet")
    files = (folder / name if name else None for name in names)
    return nifti.from_files(*files, need=given.need)


def private_folder(request: dict) -> Path:
    folder = Path(str(request.get("folder", "")))
    if not request.get("folder") or not folder.is_dir():
        raise PemmaError("no-folder", "the folder for temporary files is not there", "try again")
    return folder


def write_image(image: "sitk.Image", path: Path, compressed: bool = False) -> None:
    """For the panel, which has it sooner when it is not compressed. Raises PemmaError "cannot-write"."""
    from ..core.images import save

    try:
        save(image, path, compressed)
    except OSError as error:
        sentence = "the result can't be written to the folder for temporary files"
        raise PemmaError("cannot-write", sentence, "free some space on its disk") from error

"""What the background process can do. Requests carry the command line's options by name."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core import Progress
from ..core.progress import part
from ..jobs.options import Segmenting
from .request import loader, private_folder, read, study_folder, volumes_of, write_image
from .warm import WarmModel

if TYPE_CHECKING:
    from ..jobs.segmenting import Segmented

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
        return describe(volumes_of(request, given))
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

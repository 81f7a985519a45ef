"""The background process' side of local adaptation: what `pemma-segment adapt --json` prints, or how long it will take."""

from pathlib import Path
from typing import TYPE_CHECKING

from ..core import PemmaError, Progress
from ..jobs.options import Adapting
from .request import private_folder, read, write_image

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..adaptation.types import SiteCase
    from .warm import WarmModel


def adapt(request: dict, progress: Progress, warm: "WarmModel") -> dict:
    """Adapts to the cases of `library`, or to the folders in `studies`, and writes the adapter folder `out`.

    Progress tells `part`, `step` and `loss` while something is trained, and `there` from when `out` can be used.
    `action` "estimate": `words` and `seconds` of adapter and proof, nothing is written.
    Stopped, the same request goes on. With a private `folder` the held-out cases' labels are written there, and the result
    names them: `held_out` {case: {"before": file, "after": file}}. Raises PemmaError.
    """
    from ..jobs import adapting

    given = read(Adapting, request, "action")
    if request.get("action") not in (None, "estimate"):
        raise PemmaError("bad-request", "`adapt` takes `action` only as estimate")
    if request.get("action") == "estimate":
        return adapting.estimate(warm.get(given.model), given, progress)
    held_out = HeldOut(request)
    answer = adapting.adapt(warm.get(given.model), given, _out(request), progress, held_out.take)
    return {**answer, "held_out": held_out.files}


class HeldOut:
    """Writes the labels of held-out cases into the request's private folder, if it has one. files: their names by case."""

    def __init__(self, request: dict):
        self._folder = private_folder(request) if request.get("folder") else None
        self.files: dict[str, dict[str, str]] = {}

    def take(self, case: "SiteCase", before: "sitk.Image", after: "sitk.Image") -> None:
        """Numbered, because a case may have any name. Raises PemmaError "cannot-write"."""
        if self._folder is None:
            return
        number = len(self.files) + 1
        self.files[case.id] = {"before": f"before-{number}.nrrd", "after": f"after-{number}.nrrd"}
        for image, name in zip((before, after), self.files[case.id].values(), strict=True):
            write_image(image, self._folder / name, compressed=True)


def _out(request: dict) -> Path:
    if not request.get("out"):
        raise PemmaError("adapt-out", "there is no folder for the adapter", "name one")
    return Path(str(request["out"]))

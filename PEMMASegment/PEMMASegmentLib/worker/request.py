"""What a request brings: its options, the study that it names, and the private folder for volumes."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ..core import PemmaError, Progress
from ..jobs import options
from ..jobs.options import Running

if TYPE_CHECKING:
    import SimpleITK as sitk

    from ..study.types import PetCtStudy

T = TypeVar("T")

#: Fields of each request that are no options.
OWN_FIELDS = {"id", "do", "folder", "study", "volumes", "out"}


def read(kind: type[T], request: dict, *own: str) -> T:
    """The options in a request; own: its fields that are none, beside OWN_FIELDS. Raises PemmaError "option"."""
    return options.read(kind, {name: value for name, value in request.items() if name not in OWN_FIELDS and name not in own})


def loader(request: dict, given: Running) -> "Callable[[Progress], PetCtStudy]":
    """What reads the study that a request names, from a folder or as volumes in the private folder."""
    from ..jobs.reading import load_study

    if "volumes" in request:
        return lambda progress: volumes_of(request, given)
    return partial(load_study, study_folder(request), given, given.need)


def study_folder(request: dict) -> Path:
    folder = Path(str(request.get("study", "")))
    if not request.get("study") or not folder.is_dir():
        raise PemmaError("no-study", "the study's folder is not there", "load the study again", folder.name)
    return folder


def volumes_of(request: dict, given: Running) -> "PetCtStudy":
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

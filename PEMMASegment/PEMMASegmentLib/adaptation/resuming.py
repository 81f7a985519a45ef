"""A training that was stopped goes on exactly where it stopped, and one that is done is not done again."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from .. import __version__, adapters
from ..adapters.card import CARD
from ..core import Identity, PemmaError
from ..core.files import folder_made
from ..training.loop import Checkpoint
from .types import Fitted

CHECKPOINT_SECONDS = 10.0


def key_of(about: dict) -> str:
    """A digest of all that makes a run the same run, this library's version too. about: plain values."""
    return hashlib.sha256(json.dumps(about | {"library": __version__}, sort_keys=True).encode()).hexdigest()


def resumed(work: Path | None, key: str, base: Identity, train: Callable[[Checkpoint], Fitted]) -> Fitted:
    """What `train` gives, kept below `work` until the whole proof is done; None: it starts anew, as where what was kept is
    damaged.

    Raises PemmaError "gpu-memory" where `train` needs more memory than the GPU has, "adapter-not-finite" where it breaks, else
    what `train` raises.
    """
    if work is None:
        with tempfile.TemporaryDirectory(prefix="pemma-adapt-") as folder:
            return resumed(Path(folder), key, base, train)
    folder = Path(work) / key[:16]
    if (folder / CARD).is_file():
        with suppress(PemmaError):
            return adapters.load(folder, base)
        shutil.rmtree(folder)
    with folder_made(folder):  # a refused training leaves none
        return _trained(folder, key, train)


def _trained(folder: Path, key: str, train: Callable[[Checkpoint], Fitted]) -> Fitted:
    checkpoint = Checkpoint(folder / "unfinished.safetensors", key, CHECKPOINT_SECONDS)
    try:
        fitted = train(checkpoint)
    except torch.OutOfMemoryError as error:
        raise PemmaError("gpu-memory", "the GPU has too little memory for this training",
                         "close other programs that use the GPU, or train on the CPU (--device cpu)") from error
    except PemmaError as error:
        if error.code != "not-finite":
            raise
        checkpoint.file.unlink(missing_ok=True)  # it would break again
        way_out = "train it again with another --seed, or with --effort quick"
        raise PemmaError("adapter-not-finite", error.sentence, way_out) from error
    try:
        card = adapters.save(folder, fitted.tensors, fitted.card)
    finally:  # a training that broke must not be gone on with
        checkpoint.file.unlink(missing_ok=True)
    return Fitted(card, fitted.tensors)

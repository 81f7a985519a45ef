"""What the panel gives a section that lives in files of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core import PemmaError
from ..study.types import PetCtStudy
from ..worker.events import Error
from . import library


@dataclass(frozen=True)
class Host:
    """ui, parent: the panel's widgets. resource_path("UI/Name.ui"): where a file of the module lies.

    ask(do, on_answer, on_error=None, quiet=False, **fields): a request to the panel's process; of a quiet one, which nobody
    asked for with a button, what the panel says at the time stays. guarded(act, *arguments): does it and
    says errors. private_folder(worker=the panel's): a new one of its process. study(): the chosen one, read. model(): the
    one that will run. refill(): lists models and adapters anew. forget_view(): what the views show is no longer the
    chosen pair.
    """

    ui: Any
    parent: Any
    resource_path: Callable[[str], str]
    ask: Callable[..., None]
    guarded: Callable[..., None]
    say: Callable[[str], None]
    say_error: Callable[[PemmaError | Error], None]
    private_folder: Callable[..., Path]
    study: Callable[[], PetCtStudy]
    model: Callable[[], library.Installed | None]
    refill: Callable[[], None]
    forget_view: Callable[[], None]

"""Which device computes, in which precision, and what to try next when its memory does not suffice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from ..core import PemmaError

Result = TypeVar("Result")

#: Windows at a time. On the CPU two: float32 convolutions of a single window take a slow path, more gain nothing.
BATCH = {"cuda": 8, "cpu": 2}


@dataclass(frozen=True)
class Way:
    """One way to run: the network's device, precision, windows at a time, and the device that stitches."""

    device: torch.device
    precision: str
    batch: int
    stitch_on: torch.device

    @property
    def words(self) -> str:
        """The device for people: "NVIDIA H200", "CPU, 2 threads"."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' if threads != 1 else ''}"

    def autocast(self) -> AbstractContextManager:
        """The precision as a context; float32 switches nothing."""
        low = self.precision != "float32"
        return torch.autocast(self.device.type, dtype=getattr(torch, self.precision) if low else None, enabled=low)


def choose(device: str) -> Way:
    """The way for "auto" (CUDA if there is one), "cuda" or "cpu". "cuda" without CUDA is refused, never replaced."""
    if device == "cuda" and not torch.cuda.is_available():
        raise PemmaError("no-cuda", "no CUDA device can be used here", "choose --device auto or --device cpu")
    if device == "cpu" or not torch.cuda.is_available():
        cpu = torch.device("cpu")
        return Way(cpu, _cpu_precision(), BATCH["cpu"], cpu)
    cuda = torch.device("cuda")
    return Way(cuda, _cuda_precision(), BATCH["cuda"], cuda)


def ladder(first: Way) -> Iterator[tuple[Way, str]]:
    """The first way, then what to try when memory runs out, each with words for the note ("" for the first)."""
    yield first, ""
    if first.device.type == "cpu":
        return
    cpu = torch.device("cpu")
    stitched = replace(first, stitch_on=cpu)
    yield stitched, "stitched in the computer's memory"
    yield replace(stitched, batch=1), "one window at a time, stitched in the computer's memory"
    yield Way(cpu, _cpu_precision(), BATCH["cpu"], cpu), "computed on the CPU"


def run_down(steps: Iterator[tuple[Way, str]], work: Callable[[Way], Result]) -> tuple[Result, Way, str]:
    """Runs `work` on each step until one does not run out of CUDA memory: its result, the way, and words ("" = first).

    Each step starts the work anew, so that a result is that of one way from its first window to its last.
    Raises what `work` raises, torch.OutOfMemoryError too when no step is left.
    """
    last: torch.OutOfMemoryError | None = None
    for way, words in steps:
        try:
            return work(way), way, words
        except torch.OutOfMemoryError as error:
            # the traceback holds the frames, and they the tensors that have to go before the next step
            last = error.with_traceback(None)
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
    raise last


def _cuda_precision() -> str:
    """bfloat16 where the card computes with it (it has float32's range), float16 on older cards."""
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"


def _cpu_precision() -> str:
    """bfloat16 only where the processor multiplies it in hardware; emulated it is slower than float32.

    torch offers the question under names that it does not promise to keep: where they are gone the answer is float32.
    """
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bfloat16" if any(getattr(torch.cpu, name, bool)() for name in asked) else "float32"

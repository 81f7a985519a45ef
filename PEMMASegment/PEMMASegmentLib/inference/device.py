"""Which device computes, in which precision, and what to try next when its memory does not suffice."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from ..core import PemmaError
from ..network.precision import cpu_precision

Result = TypeVar("Result")

#: Windows at a time. On the CPU two: float32 convolutions of a single window take a slow path, more gain nothing.
BATCH = {"cuda": 8, "cpu": 2}
#: What driver, cuBLAS and cuDNN say of a GPU's memory; torch's own allocator has a type for it.
_NO_MEMORY = ("CUDA error: out of memory", "_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Way:
    """One way to run: the network's device, precision, windows at a time, and the device that stitches.

    passed_over: why a GPU that is there does not compute, "" if it does or there is none.
    """

    device: torch.device
    precision: str
    batch: int
    stitch_on: torch.device
    passed_over: str = ""

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
    """The way for "auto" (CUDA if there is one that computes), "cuda" or "cpu". "cuda" is refused rather than replaced.

    Raises PemmaError "no-cuda", and "cuda-unusable" for a GPU too old for this torch, held by another program and the like.
    """
    there = device != "cpu" and torch.cuda.is_available()
    if device == "cuda" and not there:
        raise PemmaError("no-cuda", "no CUDA device can be used here", "choose --device auto or --device cpu")
    unusable = _unusable() if there else ""
    if device == "cuda" and unusable:
        raise PemmaError("cuda-unusable", f"the GPU can't be used: {unusable}", "choose --device cpu")
    if there and not unusable:
        cuda = torch.device("cuda")
        return Way(cuda, _cuda_precision(), BATCH["cuda"], cuda)
    return replace(_cpu(), passed_over=unusable)


def ladder(first: Way) -> Iterator[tuple[Way, str]]:
    """The first way, then what to try when memory runs out, each with words for the note ("" for the first)."""
    yield first, ""
    if first.device.type == "cpu":
        return
    stitched = replace(first, stitch_on=torch.device("cpu"))
    yield stitched, "stitched in the computer's memory"
    yield replace(stitched, batch=1), "one window at a time, stitched in the computer's memory"
    yield _cpu(), "computed on the CPU"


def run_down(steps: Iterator[tuple[Way, str]], work: Callable[[Way], Result]) -> tuple[Result, Way, str]:
    """Runs `work` on each step until one does not run out of CUDA memory: its result, the way, and words ("" = first).

    Each step starts the work anew, so that a result is that of one way from its first window to its last.
    Raises what `work` raises, and torch.OutOfMemoryError when no step is left.
    """
    last = ""
    for way, words in steps:
        try:
            return work(way), way, words
        except RuntimeError as error:
            if not _memory_ran_out(error):
                raise
            last = str(error)  # and nothing of its frames, which hold the tensors that have to go before the next step
        if torch.cuda.is_initialized():
            with suppress(RuntimeError):  # a GPU that another program has filled refuses even this
                torch.cuda.empty_cache()
    raise torch.OutOfMemoryError(f"out of memory: {last}")


def _memory_ran_out(error: RuntimeError) -> bool:
    """Whether the GPU's memory did; the computer's own is no matter of another step."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in _NO_MEMORY)


def _unusable() -> str:
    """Why torch can't do the smallest sum on the GPU that it sees, in its words; "" if it can."""
    try:
        torch.ones(1, device="cuda").add(1).item()
    except RuntimeError as error:
        return re.split(r"\. |\n", str(error))[0].removeprefix("CUDA error: ")
    return ""


def _cpu() -> Way:
    cpu = torch.device("cpu")
    return Way(cpu, cpu_precision(), BATCH["cpu"], cpu)


def _cuda_precision() -> str:
    """bfloat16 where the card computes with it (it has float32's range), float16 on older cards."""
    return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"

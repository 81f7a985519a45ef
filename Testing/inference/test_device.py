"""device.py: what is chosen, and the ladder when memory runs out.

No CUDA here: the ladder is walked by a job that raises CUDA's own out-of-memory error on demand.
"""

import pytest
import torch

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.inference import device

CPU = torch.device("cpu")
GPU = device.Way(torch.device("cuda"), "bfloat16", 8, torch.device("cuda"))


def test_auto_is_the_cpu_where_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    way = device.choose("auto")
    assert way.device == CPU and way.batch >= 2
    assert way.words.startswith("CPU, ") and "thread" in way.words
    with pytest.raises(PemmaError, match="no-cuda"):
        device.choose("cuda")


@pytest.mark.parametrize("said, why", [
    ("CUDA error: no kernel image is available for execution on the device\nSearch for ...", "no kernel image is available"),
    ("CUDA error: out of memory\nCUDA kernel errors might be ...", "out of memory"),
])  # fmt: skip
def test_a_gpu_that_can_not_compute_is_passed_over_and_told(monkeypatch, said, why):
    def too_old(*_, **__):
        raise torch.AcceleratorError(said)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "ones", too_old)
    way = device.choose("auto")
    assert way.device == CPU and way.passed_over.startswith(why) and "\n" not in way.passed_over
    with pytest.raises(PemmaError, match=rf"{why}.*--device cpu.*cuda-unusable"):
        device.choose("cuda")
    assert device.choose("cpu").passed_over == ""


def test_precision_of_the_context_is_the_one_that_is_told():
    for precision in ("float32", "bfloat16"):
        with device.Way(CPU, precision, 2, CPU).autocast():
            out = torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2))
        assert str(out.dtype) == f"torch.{precision}"


OUT_OF_MEMORY = [
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB"),
    torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
@pytest.mark.parametrize("error", OUT_OF_MEMORY)
def test_the_ladder_goes_down_one_step_at_a_time(failures, error):
    tried = []

    def work(way):
        tried.append(way)
        if len(tried) <= failures:
            raise error
        return "done"

    result, way, words = device.run_down(device.ladder(GPU), work)
    kinds = [(w.device.type, w.stitch_on.type, w.batch) for w in tried]
    steps = [("cuda", "cuda", 8), ("cuda", "cpu", 8), ("cuda", "cpu", 1), ("cpu", "cpu", device.BATCH["cpu"])]
    assert result == "done" and way is tried[-1] and kinds == steps[: failures + 1]
    assert bool(words) == bool(failures)


def test_out_of_memory_on_the_last_step_and_other_errors_come_through():
    def failing(error):
        def work(way):
            raise error

        return work

    for error in OUT_OF_MEMORY:
        with pytest.raises(torch.cuda.OutOfMemoryError):
            device.run_down(device.ladder(GPU), failing(error))
    for error in (RuntimeError("a bug"), torch.AcceleratorError("CUDA error: an illegal memory access was encountered")):
        with pytest.raises(type(error), match="a bug|illegal"):
            device.run_down(device.ladder(GPU), failing(error))

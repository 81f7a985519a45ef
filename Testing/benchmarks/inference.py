"""Times inference side by side: windows at a time, precision, threads; then the steps of a whole study.

    python inference.py [--model NAME|DIR] [--study DIR] [--rounds 5] [--device auto|cpu|cuda]

Without --model a network of random weights in the starter's shape is timed, without --study only windows of noise are.
Ratios in one run are what counts, another run on a busy machine has other seconds: the rows of a table run in turns,
and each ratio is the median over the rounds of a row's time to the first row's in the same round.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from PEMMASegmentLib import study
from PEMMASegmentLib.inference import segment
from PEMMASegmentLib.inference.device import Way, choose
from PEMMASegmentLib.network.architecture import Architecture
from PEMMASegmentLib.network.files import find_model, load_model
from PEMMASegmentLib.network.pemma import Pemma

WINDOWS = 8  # windows a row computes each round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--study", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    model = load_model(find_model(options.model)) if options.model or options.study else None
    net = model.net if model else random_net()
    way = choose(options.device)
    print(f"{way.words}, {way.precision}; windows of {net.architecture.window}\n")
    table(f"{WINDOWS} windows, CT+PET", window_rows(net.to(way.device), way), options.rounds)
    if options.study:
        steps(study.load(options.study), model, options)


def random_net() -> torch.nn.Module:
    torch.manual_seed(0)
    return Pemma(Architecture(window=(40, 40, 40), patch=8, hidden=192, depth=12, heads=6, mlp=768, feature=16, rank=4,
                              embedding="stem", taps=(), modalities=("pet",),
                              fused_decoder=("decoder2", "decoder3", "out"))).eval()


def window_rows(net: torch.nn.Module, way: Way) -> dict[str, Callable[[], None]]:
    """The device's own precision with each batch size, float32 beside it; on the CPU also a single thread.

    A lower precision that the processor only emulates is not timed: one window takes minutes.
    """
    rows = {f"{way.precision}, {batch} a time": job(net, way, batch) for batch in (1, 2, 4, 8)}
    rows.setdefault(f"float32, {way.batch} a time", job(net, replace(way, precision="float32"), way.batch))
    if way.device.type == "cpu":
        rows[f"{way.precision}, {way.batch} a time, one thread"] = job(net, way, way.batch, threads=1)
    return rows


def job(net: torch.nn.Module, way: Way, batch: int, threads: int | None = None) -> Callable[[], None]:
    images = {name: torch.randn(batch, 1, *net.architecture.window, device=way.device) for name in ("ct", "pet")}

    def run() -> None:
        with thread_count(threads), torch.inference_mode(), way.autocast():
            for _ in range(WINDOWS // batch):
                net(images)
        if way.device.type == "cuda":
            torch.cuda.synchronize()

    return run


@contextmanager
def thread_count(threads: int | None):
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    yield
    torch.set_num_threads(before)


def table(title: str, rows: dict[str, Callable[[], None]], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(rounds + 1):
        for name, run in rows.items():
            start = time.perf_counter()
            run()
            if round_:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    print(f"{title:40s} {'seconds':>8s} {'ratio':>6s}")
    for name, values in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(values, first, strict=True))
        print(f"{name:40s} {statistics.median(values):8.3f} {ratio:6.2f}")


def steps(case, model, options) -> None:
    """Median seconds of each step of `segment`, for each set of inputs that the study offers."""
    there = [name for name in ("ct", "pet") if getattr(case, name) is not None]
    for inputs in dict.fromkeys(("+".join(there), *there)):
        runs = [segment(case, model, inputs=inputs, device=options.device, whole_study=True).steps
                for _ in range(options.rounds)]
        print(f"\nstudy, {inputs}")
        for step in zip(*runs, strict=True):
            print(f"{step[0].name:40s} {statistics.median(s.seconds for s in step):8.3f}")


if __name__ == "__main__":
    main()

"""Times the panel with the bundled patient and model on the harness: opening, the slider, a second run beside its network.

    python Testing/benchmarks/panel.py [--rounds 3]

Seconds of the clock, and in brackets of this process' CPU, which a busy machine does not change. A run's rest is what is
left of it without the network's windows; the background process counts as waiting here.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "PEMMASegment"), str(ROOT / "Testing" / "harness")]

import screenshots  # noqa: E402
import slicer  # noqa: E402
import slicer_app  # noqa: E402

AIMS = {"opening": 0.3, "slider": 0.2, "rest of a warm run": 2.0}  # seconds


class Timer:
    """Seconds of the clock and of this process' CPU between `with` and its end."""

    def __enter__(self):
        self._started = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_):
        self.seconds = time.perf_counter() - self._started[0]
        self.cpu = time.process_time() - self._started[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        app, widget = opening(Path(temporary))
        try:
            runs(app, widget.panel, rounds)
            slider(widget.panel, rounds)
        finally:
            widget.cleanup()
    print(f"\nload of this machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores" if hasattr(os, "getloadavg") else "")


def opening(temporary: Path):
    """What Slicer has loaded already is imported before: SimpleITK, pydicom, scipy."""
    import pydicom  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import SimpleITK  # noqa: F401

    app = screenshots.application(temporary)
    loading = slicer.util.loadUI
    spent = []

    def load_ui(path):
        with Timer() as timer:
            made = loading(path)
        spent.append(timer)
        return made

    slicer.util.loadUI = load_ui
    with Timer() as all_of_it:
        widget = slicer_app.open_module(ROOT / "PEMMASegment" / "PEMMASegment.py")
    slicer.util.loadUI = loading
    [ui] = spent
    row("opening", [all_of_it.seconds - ui.seconds], [all_of_it.cpu - ui.cpu], f"and {ui.cpu:.2f} s CPU of stand-ins for Qt")
    return app, widget


def runs(app, panel, rounds: int) -> None:
    """The first run loads torch and the model; the others are warm."""
    print(f"{'run':>24} {'whole s':>9} {'network s':>10} {'rest s':>8} {'panel CPU s':>12}")
    rests = []
    for number in range(rounds + 1):
        with Timer() as timer:
            panel.ui.segmentButton.click()
            screenshots.wait(app, lambda: panel.ui.segmentButton.text == "Segment")
        network = sum(s.seconds for s in panel.run.segmentation.steps if "window" in s.name)
        name = "first" if number == 0 else f"warm {number}"
        print(f"{name:>24} {timer.seconds:9.2f} {network:10.2f} {timer.seconds - network:8.2f} {timer.cpu:12.2f}")
        rests += [timer.seconds - network] if number else []
        for step in panel.run.segmentation.steps:
            print(f"{'':>26}{step.name}: {step.seconds:.2f}")
    row("rest of a warm run", rests, [])


def slider(panel, rounds: int) -> None:
    timers = []
    for threshold in (0.5, 0.6, 0.7, 0.9) * rounds:
        with Timer() as timer:
            panel.ui.thresholdSlider.value = threshold
        timers.append(timer)
    row("slider", [timer.seconds for timer in timers], [timer.cpu for timer in timers])


def row(name: str, seconds: list[float], cpu: list[float], words: str = "") -> None:
    told = f" ({statistics.median(cpu):.2f})" if cpu else ""
    print(f"{name:>24}: {statistics.median(seconds):.2f}{told} s, aim below {AIMS[name]} s {words}")


if __name__ == "__main__":
    main()

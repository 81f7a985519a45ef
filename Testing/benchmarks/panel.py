"""Times the panel with the bundled patient and model on the harness: opening, edits, a second run beside its network;
and the edits of a synthesised result on the grid of a whole-body scan beside them.

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
import whole_body  # noqa: E402

AIMS = {"opening": 0.3, "rest of a warm run": 2.0}  # seconds
SLIDES = (0.5, 0.6, 0.7, 0.9)
SLIDER_AIM = 0.2  # on the whole-body grid too
FIELDS = {
    "model": {"name": "none", "version": "", "sha256": ""}, "inputs": "ct+pet", "device": "", "precision": "float32",
    "threshold": 0.5,
}  # fmt: skip


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
            small = edits(widget.panel, rounds)
            large = whole(widget.panel, rounds)
            side_by_side(small, large)
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


def edits(panel, rounds: int, place=None) -> dict[str, list[Timer]]:
    """What a radiologist does to the result that is shown. place: RAS mm, of a lesion that can be added."""
    from PEMMASegmentLib.panel import logic

    ui, section, timers = panel.ui, panel._lesions, {}

    def timed(name, act, *arguments):
        with Timer() as timer:
            act(*arguments)
        assert not ui.messageLabel.text.startswith("Nothing"), ui.messageLabel.text
        timers.setdefault(name, []).append(timer)
        section._settle() if name != "slider" else None  # as after a rest of the hand

    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    for _ in range(rounds):
        for threshold in SLIDES:
            timed("slider", setattr, ui.thresholdSlider, "value", threshold)
        timed("stands still", section._settle)
        ui.thresholdSlider.value = SLIDES[0]
        section._settle()
        timed("untick", section._on_kept, 1, False)
        crosshair.SetCrosshairRAS(logic.centre_ras(panel.run, 1))
        timed("split", ui.cutButton.click)
        if place is not None:
            crosshair.SetCrosshairRAS(place)
            timed("add", ui.addButton.click)
            ui.undoButton.click()
        timed("undo", ui.undoButton.click)
        ui.undoButton.click()
    return timers


def whole(panel, rounds: int) -> dict[str, list[Timer]]:
    """The same on the grid of a whole-body scan, and until its result is there."""
    from PEMMASegmentLib.panel import runs, volumes
    from PEMMASegmentLib.study import PetCtStudy

    ct, pet, probability, centres = whole_body.answer()
    nodes = panel.chosen.ct, panel.chosen.pet = volumes.volume_of(ct, "CT"), volumes.volume_of(pet, "PET")
    study = PetCtStudy(ct, pet, study_key="whole body", kind="nifti")
    with Timer() as first:
        panel._results.add(runs.create(study, FIELDS, probability, *nodes))
    found = panel.run.lesions
    words = f"{len(found)} lesions, {sum(lesion.volume_ml for lesion in found):.0f} ml"
    print(f"whole body: {' x '.join(map(str, ct.GetSize()))} voxels, {words}")
    return {"first result": [first], **edits(panel, rounds, volumes.to_ras(centres[-1]))}


def side_by_side(small: dict[str, list[Timer]], large: dict[str, list[Timer]]) -> None:
    print(f"{'':>24} {'bundled patient':>18} {'whole body':>18}")
    for name in large:
        aim = f", aim below {SLIDER_AIM} s" if name == "slider" else ""
        print(f"{name:>24} {told(small.get(name, [])):>18} {told(large[name]):>18}{aim}")


def told(timers: list[Timer]) -> str:
    if not timers:
        return "-"
    seconds, cpu = (statistics.median(getattr(timer, which) for timer in timers) for which in ("seconds", "cpu"))
    return f"{seconds:.2f} ({cpu:.2f}) s"


def row(name: str, seconds: list[float], cpu: list[float], words: str = "") -> None:
    told = f" ({statistics.median(cpu):.2f})" if cpu else ""
    print(f"{name:>24}: {statistics.median(seconds):.2f}{told} s, aim below {AIMS[name]} s {words}")


if __name__ == "__main__":
    main()

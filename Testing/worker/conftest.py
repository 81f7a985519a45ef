"""Waiting for events, processes that must be gone, launchers written in shell, a small study and a small model."""

import os
import sys
import time
from pathlib import Path
from weakref import WeakKeyDictionary

import pytest

from PEMMASegmentLib.worker.client import Worker
from PEMMASegmentLib.worker.events import Ended, Error, Handshake, Result

ANSWERS = (Result, Error)
WAIT_S = 120.0  # a busy machine imports torch slowly
UNSEEN: WeakKeyDictionary[Worker, list] = WeakKeyDictionary()  # what came together with what was waited for


def until(worker: Worker, done, seconds: float = WAIT_S) -> list:
    """Polls as a panel does and gives all events up to the one for which `done(event)` holds."""
    seen, stop = [], time.monotonic() + seconds
    while time.monotonic() < stop:
        events = UNSEEN.pop(worker, None) or worker.poll()
        for number, event in enumerate(events, start=1):
            seen.append(event)
            if done(event):
                UNSEEN[worker] = events[number:]
                return seen
        time.sleep(0.02)
    raise AssertionError(f"did not come: {seen[-5:]}")


def answer_to(worker: Worker, id: int):
    return until(worker, lambda event: isinstance(event, ANSWERS) and event.id == id)[-1]


def handshake_of(worker: Worker) -> Handshake:
    return until(worker, lambda event: isinstance(event, Handshake))[-1]


def end_of(worker: Worker) -> list:
    return until(worker, lambda event: isinstance(event, Ended))


def alive(pid: int) -> bool:
    """A dead process that nobody has asked for yet is dead."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path("/proc") / str(pid) / "stat"
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return not stat.parent.parent.is_dir()


def gone(*pids: int) -> bool:
    """Whether all of them end within the time that a worker takes to see that it is alone."""
    stop = time.monotonic() + 20
    while any(map(alive, pids)) and time.monotonic() < stop:
        time.sleep(0.05)
    return not any(map(alive, pids))


@pytest.fixture
def temporary(tmp_path) -> Path:
    """Where private folders are made; nothing may be left in it."""
    folder = tmp_path / "Übergang für Ärzte"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def start(temporary):
    """start(python) -> Worker; stopped after the test."""
    started = []

    def new(python=sys.executable, **keywords) -> Worker:
        started.append(Worker(python, temporary=temporary, **keywords))
        return started[-1]

    yield new
    for worker in started:
        worker.stop()


@pytest.fixture
def script(tmp_path):
    """script("exit 1") -> an executable whose path has blanks and umlauts."""
    if os.name == "nt":
        pytest.skip("the launchers of these tests are shell scripts")

    def written(body: str) -> Path:
        file = tmp_path / "Präparate und Öl" / "python é"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        file.chmod(0o755)
        return file

    return written


@pytest.fixture(scope="session")
def study(tmp_path_factory) -> Path:
    """A NIfTI study: a block of water in air, warm all over."""
    import numpy as np
    import SimpleITK as sitk

    folder = tmp_path_factory.mktemp("Müller, Jörg")
    ct, pet = np.full((30, 40, 40), -1000, np.int16), np.full((30, 40, 40), 0.1, np.float32)
    ct[3:27, 4:36, 4:36], pet[3:27, 4:36, 4:36] = 20, 2.0
    for name, voxels in (("ct", ct), ("pet", pet)):
        image = sitk.GetImageFromArray(voxels)
        image.SetSpacing((4.0, 4.0, 4.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


@pytest.fixture(scope="session")
def model(tmp_path_factory, save_even_model) -> Path:
    """A network that says 0.5 everywhere, in windows so small that the study takes seconds, a region of it none."""
    return save_even_model(tmp_path_factory.mktemp("Modelle Ü") / "even", 3.0)

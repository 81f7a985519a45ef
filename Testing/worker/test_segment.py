"""The real process with a real network: same files as the command line's, warm, cancelled and killed in mid-run."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk

from PEMMASegmentLib.worker.client import Worker
from PEMMASegmentLib.worker.events import Error, LogLine, Progress, Result

from .conftest import answer_to, end_of, gone, until

ROI = [50.0, 100.0, 50.0, 100.0, 30.0, 80.0]  # mm, of `study`


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("Übergang für Ärzte")


@pytest.fixture(scope="module")
def worker(place):
    """One worker for all tests of this file: importing torch is what takes the time."""
    one = Worker(sys.executable, temporary=place)
    yield one
    one.stop()
    assert list(place.iterdir()) == []


def asked(worker: Worker, study: Path, model: Path, **fields) -> int:
    return worker.request("segment", study=study, model=model, device="cpu", **fields)


def at(worker: Worker, id: int, words: str) -> None:
    """Waits until the request is where the progress says `words`."""
    until(worker, lambda event: isinstance(event, Progress) and event.id == id and words in event.words)


def test_a_study_gives_probability_and_the_record(worker, study, model):
    answer = answer_to(worker, asked(worker, study, model, roi=ROI, threshold=0.45))
    assert isinstance(answer, Result), answer
    fields = answer.fields
    probability = sitk.ReadImage(str(answer.folder / fields["probability"]))
    ct = sitk.ReadImage(str(study / "ct.nii.gz"))
    assert probability.IsSameImageGeometryAs(ct)
    assert sitk.GetArrayFromImage(probability).max() == pytest.approx(0.5)
    [lesion] = fields["lesions"]
    assert lesion["suv_max"] == pytest.approx(2.0) and fields["threshold"] == 0.45
    assert fields["model"]["name"] == "even" and fields["inputs"] == "ct+pet" and fields["roi_mm"] == ROI
    assert "Müller" not in json.dumps(fields, ensure_ascii=False)


def test_volumes_give_what_the_study_gives_and_the_model_is_not_read_again(worker, study, model):
    folder = worker.private_folder()
    for name in ("ct", "pet"):
        sitk.WriteImage(sitk.ReadImage(str(study / f"{name}.nii.gz")), str(folder / f"{name}.nrrd"))
    volumes = {"ct": "ct.nrrd", "pet": "pet.nrrd"}
    aside = (model / "model.safetensors").rename(model / "elsewhere")
    try:
        id = worker.request("segment", folder=folder, volumes=volumes, model=model, device="cpu", roi=ROI)
        answer = answer_to(worker, id)
    finally:
        aside.rename(model / "model.safetensors")
    assert isinstance(answer, Result), answer
    assert answer.fields["lesions"][0]["suv_max"] == pytest.approx(2.0)
    worker.poll()
    assert not folder.exists()


def test_the_seg_is_the_command_lines(worker, model, tmp_path):
    import pydicom

    from PEMMASegmentLib.cli import main
    from PEMMASegmentLib.core.resources import unpack

    unpack(tmp_path / "patient")
    geometry = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path / "patient"), "", False, True))
    middle = geometry.TransformContinuousIndexToPhysicalPoint([n / 2 for n in geometry.GetSize()])
    roi = [float(round(m + side)) for m in middle for side in (-20, 20)]
    options = {"roi": roi, "min_volume": 0.1, "whole_study": True, "mtv_rule": "suv2.5"}
    answer = answer_to(worker, asked(worker, tmp_path / "patient", model, out=tmp_path / "worker", **options))
    assert isinstance(answer, Result), answer
    words = ["--roi", ",".join(map(str, roi)), "--min-volume", "0.1", "--whole-study", "--mtv-rule", "suv2.5"]
    arguments = ["segment", str(tmp_path / "patient"), "--out", str(tmp_path / "command"), "--model", str(model)]
    assert main([*arguments, *words, "--device", "cpu", "--quiet"]) == 0
    assert {path.name for path in (tmp_path / "worker").iterdir()} == {
        path.name for path in (tmp_path / "command").iterdir()
    }
    ours, theirs = (pydicom.dcmread(tmp_path / who / "segmentation.dcm") for who in ("worker", "command"))
    assert ours.SOPInstanceUID == theirs.SOPInstanceUID and ours.PixelData == theirs.PixelData
    assert [file["name"] for file in answer.fields["files"]]


def test_cancel_stops_at_the_next_window_and_the_model_stays(worker, study, model, place):
    waiting = asked(worker, study, model), asked(worker, study, model)
    at(worker, waiting[0], "window")
    pid = worker._handshake.pid
    worker.cancel(waiting[1])
    assert answer_to(worker, waiting[1]).sentence == "cancelled"
    at(worker, waiting[0], "window")  # what runs is left alone
    worker.cancel(waiting[0])
    assert answer_to(worker, waiting[0]).sentence == "cancelled"
    assert list(place.iterdir()) == []
    answer = answer_to(worker, worker.request("load_model", model=model))
    assert answer.fields["name"] == "even" and worker._handshake.pid == pid  # stopped, not killed


def test_killed_while_it_runs_it_says_so_and_works_again(worker, study, model, place, tmp_path):
    pid = killed(worker, asked(worker, study, model), "window")
    assert gone(pid) and list(place.iterdir()) == []
    out = tmp_path / "out"
    assert isinstance(answer_to(worker, asked(worker, study, model, roi=ROI, out=out)), Result)
    kept = (out / "result.json").read_bytes()
    pid = killed(worker, asked(worker, study, model, roi=ROI, out=out, threshold=0.3), "writing the result")
    assert gone(pid) and list(place.iterdir()) == []
    assert (out / "result.json").read_bytes() == kept and [path.name for path in tmp_path.iterdir()] == ["out"]


def killed(worker: Worker, id: int, words: str) -> int:
    """Kills the worker where its progress says `words`; checks that this is told once, and gives its pid."""
    at(worker, id, words)
    pid = worker._handshake.pid
    os.kill(pid, signal.SIGKILL)
    events = end_of(worker)
    [error] = [event for event in events if isinstance(event, Error)]
    assert (error.id, error.code) == (id, "worker-died") and "killed" in error.sentence
    assert all(isinstance(event, Error | Progress | LogLine) for event in events[:-1]) and events[-1].error is None
    return pid


def test_a_disk_that_is_full_is_said(study, tmp_path):
    from PEMMASegmentLib.core import PemmaError
    from PEMMASegmentLib.worker.commands import PROBABILITY
    from PEMMASegmentLib.worker.request import write_image

    with pytest.raises(PemmaError, match="cannot-write"):
        write_image(sitk.ReadImage(str(study / "ct.nii.gz")), tmp_path / "no such folder" / PROBABILITY)

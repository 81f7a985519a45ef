"""Whole-body studies: refused without the option, below 4 GB with it; run in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

HARNESS = Path(__file__).resolve().parents[1] / "harness"
LIBRARY = Path(__file__).resolve().parents[2] / "PEMMASegment"


def _python(*command) -> str:
    environment = os.environ | {"PYTHONPATH": str(LIBRARY)}
    done = subprocess.run([sys.executable, *map(str, command)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _segmented(folder: Path) -> dict:
    found = json.loads(_python(HARNESS / "whole_study.py", folder).splitlines()[-1])
    assert found["refused"] == "outside-region" and found["warnings"] == ["outside-region"]
    assert found["same_grid"] and found["peak_mib"] < 4e9 / 2**20
    return found


def test_synthesised_whole_body_pet_ct(tmp_path):
    _python(HARNESS / "whole_body.py", tmp_path / "study")
    found = _segmented(tmp_path / "study")
    assert found["inputs"] == "ct+pet" and found["size"] == [512, 512, 326]


def test_real_whole_body_pet_alone(unpack):
    found = _segmented(unpack("suv/STS_001_wholebody.zip"))
    assert found["inputs"] == "pet" and found["size"] == [128, 128, 267]

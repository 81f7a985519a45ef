"""CT and PET that are wrong or odd, each case by its verdict: loads, loads with a warning, is refused."""

import contextlib

import numpy as np
import pydicom
import pytest

from PEMMASegmentLib import study
from PEMMASegmentLib.core import PemmaError

from ..study.phantom import FACTOR, Pair, series
from . import of_files, of_folders, of_geometry, of_pairs, of_pixels, of_suv  # noqa: F401
from .spoil import CASES, Case


def test_cases_cover_the_table():
    assert len(CASES) >= 100
    assert len({c.row for c in CASES}) >= 90


@pytest.mark.parametrize("one", CASES, ids=lambda c: f"{c.row:03d}-{c.spoil.__name__}")
def test_verdict(one: Case, tmp_path, recwarn):
    with pydicom.config.disable_value_validation():
        pair = Pair()
        after = one.spoil(pair)
    folder = pair.write(tmp_path / "study")
    if after:
        after(folder)
    recwarn.clear()
    if one.verdict == "R":
        with pytest.raises(PemmaError) as refusal:
            study.load(folder)
        assert refusal.value.code == one.code
        told = str(refusal.value)
        assert refusal.value.way_out
    else:
        loaded = study.load(folder)
        codes = [w.code for w in loaded.warnings]
        assert one.code in codes if one.verdict == "W" else codes == []
        check_values(loaded, one)
        told = " ".join(f"{w.sentence} {w.way_out}" for w in loaded.warnings)
    assert not any(secret in told for secret in ("Doe", "Jane", "SECRET", str(tmp_path)))
    assert not recwarn.list, "pydicom's warnings may hold a patient's values"


def test_spoilt_bytes_give_a_study_or_a_refusal(tmp_path):
    """Bytes changed, put in or cut off anywhere: never an exception that is not meant for the user."""
    chance = np.random.default_rng(7)
    folder = Pair(ct=series("CT", 3), pet=series("PT", 3)).write(tmp_path)
    files = sorted(folder.rglob("*.dcm"))
    for turn in range(60):
        path = files[turn % len(files)]
        whole = path.read_bytes()
        at = int(chance.integers(132, len(whole) - 100))
        kept = (whole[at + 1 :], whole[at:], b"")[turn // len(files) % 3]
        path.write_bytes(whole[:at] + chance.bytes(turn % 5) + kept)
        with contextlib.suppress(PemmaError):
            study.load(folder)
        path.write_bytes(whole)
    assert study.load(folder).warnings == ()


def check_values(loaded: study.PetCtStudy, one: Case) -> None:
    """Whatever is odd about the files, values and places are those of the pair."""
    import SimpleITK as sitk

    spoilt = {
        "windowed_to_bytes",
        "lean_body_mass",
        "admin",
        "uptake_of_five_minutes",
        "uptake_of_nine_hours",
        "ends_missing",
        "empty_pet",
    }
    if loaded.ct is not None and one.spoil.__name__ not in spoilt:
        body = sitk.GetArrayFromImage(loaded.ct)[:, 8, 10]
        assert body.tolist() == [40 + k for k in range(len(body))]
        assert sitk.GetArrayFromImage(loaded.ct)[0, 0, 0] in (-1000, -1024)
    if loaded.pet is not None and one.spoil.__name__ not in spoilt:
        hot = sitk.GetArrayFromImage(loaded.pet)[:, 3, 4]
        assert np.allclose(hot, [20000 * (1 + k / 10) * FACTOR for k in range(len(hot))], rtol=1e-4)

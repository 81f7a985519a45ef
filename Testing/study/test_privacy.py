"""File names may hold a patient's name: a refusal's place tells them to the user, nothing that is kept repeats them."""

import json

import pydicom
import pytest
import SimpleITK as sitk

from PEMMASegmentLib import study
from PEMMASegmentLib.core import Identity, PemmaError, Segmentation
from PEMMASegmentLib.results.record import as_record

from ..badinputs import of_files, of_folders, of_geometry, of_pairs, of_pixels, of_suv  # noqa: F401
from ..badinputs.spoil import CASES, Case, clones
from .phantom import Pair, series

MARKER = "MEIER_HANS"
REFUSED = [one for one in CASES if one.verdict == "R" and one.row != 123]  # that one: no images, but slow to scan


def kept(loaded: study.PetCtStudy) -> str:
    """All that stays of a study in a result's record, and the reasons for its series."""
    label = sitk.Cast(loaded.grid > 1e6, sitk.sitkUInt8)
    probability = sitk.Cast(label, sitk.sitkFloat32)
    made = Segmentation(probability, label, 0.5, Identity("m", "1", "0"), None, "ct+pet", "cpu", "float32", None, (), ())
    return json.dumps([as_record(loaded, made, []), [c.reason for c in loaded.candidates]])


def marked(folder, one: Case):
    """The spoilt study with its images named by the marker."""
    with pydicom.config.disable_value_validation():
        pair = Pair()
        after = one.spoil(pair)
    pair.write(folder)
    if after:
        after(folder)
    for file in sorted(folder.rglob("*.dcm")):
        file.rename(file.with_name(f"{MARKER}.{file.parent.name}.{file.stem}.IMA"))
    return folder


@pytest.mark.parametrize("one", REFUSED, ids=lambda c: f"{c.row:03d}-{c.spoil.__name__}")
def test_no_refusal_keeps_a_file_name(one, tmp_path):
    folder = marked(tmp_path / "study", one)
    loads = [lambda need=need: study.load(folder, need=need) for need in ("ct", "pet")]

    def beside_a_good_one():
        Pair(ct=clones(series("CT", 3), 31), pet=clones(series("PT", 3), 32)).write(folder / "good")
        return study.load(folder)

    for load in (*loads, beside_a_good_one):
        try:
            assert MARKER not in kept(load())
        except PemmaError as refusal:
            assert MARKER not in refusal.sentence + refusal.way_out


@pytest.mark.parametrize("row, tag", [(35, "(0020,0032)"), (72, "(0028,1053)"), (77, "(0028,1053)")])
def test_refusal_names_the_tag_and_the_file(row, tag, tmp_path):
    folder = marked(tmp_path / "study", next(one for one in REFUSED if one.row == row))
    with pytest.raises(PemmaError) as refusal:
        study.load(folder)
    assert tag in refusal.value.sentence and refusal.value.place.startswith(MARKER)


def test_second_series_that_is_refused_leaves_no_file_name(tmp_path):
    pair = Pair()
    more = clones(series("CT"), 5)
    del more[3].RescaleSlope
    folder = pair.write(tmp_path)
    for k, header in enumerate(more):
        header.save_as(folder / f"{MARKER}.CT.5.{k:03d}.IMA", enforce_file_format=False)
    loaded = study.load(folder)
    assert "series-refused" in [w.code for w in loaded.warnings] and MARKER not in kept(loaded)

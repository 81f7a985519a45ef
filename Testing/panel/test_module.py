"""What a script calls, and the test that Slicer's own driver runs, with the bundled patient and model."""

from pathlib import Path

import pytest

from PEMMASegmentLib.core import PemmaError

from .conftest import MODULE

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


@pytest.fixture
def file(tmp_path):
    """The module file in an application with an empty DICOM database."""
    import slicer
    import slicer_app

    slicer_app.start(tmp_path)
    slicer.dicomDatabase = slicer_app.slicer_scene.FolderDatabase()
    yield slicer_app.load_file(MODULE)
    slicer.mrmlScene.Clear(1)


def test_the_self_test_goes_from_the_bundled_patient_to_a_seg(file, tmp_path):
    file.PEMMASegmentTest().runTest()
    assert list(tmp_path.rglob("*.dcm")) and list(tmp_path.glob("pemma-worker-*")) == []


def test_a_script_is_told_what_is_wrong(file):
    ct, _pet = file.load_sample()
    with pytest.raises(PemmaError, match="inputs"):
        file.PEMMASegmentLogic().segment(ct, None, inputs="pet")


def test_the_sample_has_a_thumbnail_and_the_module_an_icon(file):
    import SimpleITK as sitk

    assert sitk.ReadImage(str(file.SAMPLE.with_suffix(".png"))).GetSize() == (260, 280)
    assert sitk.ReadImage(str(Path(file.__file__).parent / "Resources" / "Icons" / "PEMMASegment.png")).GetSize()[0] >= 128

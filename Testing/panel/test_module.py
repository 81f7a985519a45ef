"""What a script calls, and the test that Slicer's own driver runs, with the bundled patient and model."""

from pathlib import Path

import pytest

from PEMMASegmentLib.core import PemmaError

from .conftest import MODULE

pytest.importorskip("slicer", reason="needs the package slicer-core", exc_type=ImportError)
pytest.importorskip("PyQt5.QtWidgets", reason="needs the package PyQt5", exc_type=ImportError)


@pytest.fixture
def file(tmp_path):
    """The module file in an application that is new: it has no DICOM database yet."""
    import slicer
    import slicer_app

    slicer_app.start(tmp_path)
    slicer.dicomDatabase = slicer_app.slicer_scene.FolderDatabase()
    yield slicer_app.load_file(MODULE)
    slicer.mrmlScene.Clear(1)


def test_the_self_test_goes_from_the_bundled_patient_to_a_seg(file, tmp_path):
    file.PEMMASegmentTest().runTest()
    assert list(tmp_path.rglob("*.dcm")) and list(tmp_path.glob("pemma-worker-*")) == []


@pytest.fixture
def asked(monkeypatch) -> list[str]:
    """Questions and errors, all answered with OK."""
    import slicer

    told = []
    for name in ("confirmOkCancelDisplay", "errorDisplay"):
        monkeypatch.setattr(slicer.util, name, lambda words, *_, **more: not told.append(words))
    return told


def test_a_slicer_without_a_dicom_database_gets_one_after_a_yes(file, tmp_path, asked, monkeypatch):
    """No database is touched that is there and was not opened, and where nothing can be loaded that is said."""
    import slicer

    folder = tmp_path / "SlicerDICOMDatabase"
    with monkeypatch.context() as patch:
        patch.setattr(slicer.util, "confirmOkCancelDisplay", lambda *_, **more: False)
        assert file.load_sample() == [] and "module DICOM" in asked[-1] and not folder.exists()
    assert [node.GetName() for node in file.load_sample()] == ["CT", "PET"]
    assert str(folder) in asked[-1] and folder.is_dir()
    monkeypatch.setattr(slicer.dicomDatabase, "_series", {})
    monkeypatch.setattr(slicer.dicomDatabase, "add", lambda folder: None)  # its disk is full
    assert file.load_sample() == [] and "could not be taken" in asked[-1]
    slicer.dicomDatabase.closeDatabase()
    (folder / "ctkDICOM.sql").touch()  # with the schema of an older Slicer
    asked.clear()
    assert file.load_sample() == [] and "update its database" in asked[0] and len(asked) == 1


def test_a_script_is_told_what_is_wrong(file, asked):
    ct, _pet = file.load_sample()
    with pytest.raises(PemmaError, match="inputs"):
        file.PEMMASegmentLogic().segment(ct, None, inputs="pet")


def test_a_script_gives_what_the_headers_lack(file, asked, monkeypatch):
    from PEMMASegmentLib.panel import studies

    (_ct, pet), read, seen = file.load_sample(), studies.read_study, []
    monkeypatch.setattr(studies, "read_study", lambda *nodes, **typed: seen.append(read(*nodes, **typed)) or seen[-1])
    with pytest.raises(PemmaError, match="inputs"):
        file.PEMMASegmentLogic().segment(None, pet, inputs="ct", weight_kg=70.0)
    assert "typed-value-unused" in {told.code for told in seen[0].warnings}  # these headers have a weight


def test_the_sample_has_a_thumbnail_and_the_module_an_icon(file):
    import SimpleITK as sitk

    assert sitk.ReadImage(str(file.SAMPLE.with_suffix(".png"))).GetSize() == (260, 280)
    assert sitk.ReadImage(str(Path(file.__file__).parent / "Resources" / "Icons" / "PEMMASegment.png")).GetSize()[0] >= 128

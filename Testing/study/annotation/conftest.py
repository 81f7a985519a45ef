"""A real patient's study."""

import pytest

from .grids import dicom_study


@pytest.fixture(scope="module")
def real(unpack):
    """Folder of a patient's DICOM study, and the study of its CT."""
    return lambda name: (folder := unpack(f"sts/dicom/{name}.zip"), dicom_study(folder / name / "CT", "ct"))

"""Where the bundled models and the sample patient lie, beside the library or beside the module in Slicer, and the user's own."""

import os
import zipfile
from pathlib import Path

#: The bundled patient.
PATIENT = "STS_008"


def resources() -> Path:
    """The folder that holds `Models` and `SampleData`."""
    library = Path(__file__).resolve().parents[1]
    installed = library / "Resources"
    return installed if installed.is_dir() else library.parent / "Resources"


def user_folder() -> Path:
    """The folder of the user's models and adapters. Raises ImportError where platformdirs is not yet installed."""
    home = os.environ.get("PEMMA_SEGMENT_HOME")
    if home:
        return Path(home)
    from platformdirs import user_data_path

    return user_data_path("pemma-segment", appauthor=False)


def unpack(folder: Path) -> None:
    """The bundled patient's DICOM files into `folder`."""
    with zipfile.ZipFile(resources() / "SampleData" / f"{PATIENT}.zip") as archive:
        archive.extractall(folder)

"""Where the bundled models and the sample patient lie: beside the library in an installed wheel, beside the module in Slicer."""

from pathlib import Path


def resources() -> Path:
    """The folder that holds `Models` and `SampleData`."""
    library = Path(__file__).resolve().parents[1]
    installed = library / "Resources"
    return installed if installed.is_dir() else library.parent / "Resources"

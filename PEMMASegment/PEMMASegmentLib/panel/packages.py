"""Which packages are missing, and their installation when the user asks for it; nothing is imported to find out."""

import importlib.metadata
import tempfile
from pathlib import Path

import slicer.packaging

from ..core import PemmaError

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
_BUNDLED = ("numpy", "scipy", "SimpleITK", "pydicom", "highdicom")  # Slicer's own: never replaced


def missing() -> list:
    """Requirements of the library that are not there."""
    required = slicer.packaging.load_pyproject_dependencies(str(PYPROJECT))
    return [requirement for requirement in required if not slicer.packaging.pip_check(requirement)]


def install(requirements: list) -> None:
    """Asks the user and installs: torch through the PyTorch extension, the rest with pip. Raises PemmaError."""
    others = [requirement for requirement in requirements if requirement.name != "torch"]
    for requirement in requirements:
        if requirement.name == "torch":
            _torch(str(requirement.specifier))
    if not others:
        return
    with tempfile.TemporaryDirectory() as folder:
        constraints = Path(folder) / "constraints.txt"
        constraints.write_text("\n".join(_as_they_are()), encoding="utf-8")
        try:
            slicer.packaging.pip_ensure(others, constraints=str(constraints), requester="PEMMASegment")
        except Exception as error:  # declined, or any of pip's ends; its own log has been shown
            way_out = "behind a proxy set HTTPS_PROXY and PIP_CERT; without internet install the wheels from a folder"
            raise PemmaError("not-installed", "the packages were not installed", way_out) from error


def _torch(versions: str) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        way_out = "install the extension PyTorch (Extensions Manager) and restart Slicer"
        raise PemmaError("no-pytorch-extension", "the extension PyTorch is not installed", way_out) from error
    logic = PyTorchUtils.PyTorchUtilsLogic()
    if logic.installTorch(askConfirmation=True, torchVersionRequirement=versions) is None:
        raise PemmaError("not-installed", "PyTorch was not installed", "press Segment again to install it")


def _as_they_are() -> list[str]:
    return [f"{name}=={importlib.metadata.version(name)}" for name in _BUNDLED if _there(name)]


def _there(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))

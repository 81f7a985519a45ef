"""Which packages are missing, and their installation when the user asks for it; nothing is imported to find out.

torch comes through the PyTorch extension, which picks the build for the GPU, or with all others from a folder of wheels.
"""

import contextlib
import importlib.metadata
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import slicer.util
from slicer.i18n import tr as _

from ..core import PemmaError

_BUNDLED = ("numpy", "scipy", "SimpleITK", "pydicom", "highdicom")  # Slicer's own: never replaced
_PROXY, _CERTIFICATE = ("HTTPS_PROXY", "HTTP_PROXY", "PIP_PROXY"), ("PIP_CERT", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True)
class Source:
    """Where packages come from: the internet, perhaps through a proxy with the hospital's certificate, or a folder.

    wheels: folder, "" for the internet. proxy: "http://host:port", "" for the system's. certificate: .pem file, "" for none.
    """

    wheels: str = ""
    proxy: str = ""
    certificate: str = ""


def _tool():
    """What looks for packages and installs them; None in an application without it."""
    try:
        import slicer.packaging
    except ImportError:
        return None
    return slicer.packaging


def missing() -> list:
    """Requirements of the library that are not there; none where nothing can be told: a run says what it lacks."""
    tool = _tool()
    required = tool.load_pyproject_dependencies(str(_pyproject())) if tool is not None else []
    return [requirement for requirement in required if not tool.pip_check(requirement)]


def _pyproject() -> Path:
    """Beside the library, or beside the module when the library is installed as a package."""
    beside = Path(__file__).resolve().parents[2] / "pyproject.toml"
    return beside if beside.is_file() else Path(slicer.util.modulePath("PEMMASegment")).parent / beside.name


def in_words(requirements: list) -> str:
    """One line about what is missing."""
    if _tool() is None:
        return _("This Slicer can't tell which packages are there.")
    if not requirements:
        return _("All packages are there.")
    return _("Missing: {names}.").format(names=", ".join(requirement.name for requirement in requirements))


def install(requirements: list, source: Source = Source()) -> None:
    """Asks the user and installs. Raises PemmaError when something is still missing afterwards."""
    if not requirements:
        return
    with _environment(source), _constraints() as constraints:
        if source.wheels:
            _from_folder(requirements, source.wheels, constraints)
        else:
            _from_internet(requirements, constraints)
    importlib.invalidate_caches()
    left = missing()
    if left:
        raise _not_installed(in_words(left).rstrip("."))


def _from_folder(requirements: list, wheels: str, constraints: str) -> None:
    folder = Path(wheels)
    if not folder.is_dir() or not any(folder.glob("*.whl")):
        sentence = "the folder of wheels holds no file .whl"
        raise PemmaError("no-wheels", sentence, "choose the folder into which `pip download` wrote", folder.name)
    question = _("Install from the folder {name}? This changes Slicer's Python.").format(name=folder.name)
    if not slicer.util.confirmOkCancelDisplay(question, "PEMMASegment", detailedText="\n".join(map(str, requirements))):
        raise _not_installed(_("the installation was declined"))
    wanted = ["--no-index", "--find-links", str(folder), *map(str, requirements)]
    with _told():
        _tool().pip_install(wanted, constraints=constraints, requester="PEMMASegment")


def _from_internet(requirements: list, constraints: str) -> None:
    for requirement in requirements:
        if requirement.name == "torch":
            _torch(str(requirement.specifier))
    others = [requirement for requirement in requirements if requirement.name != "torch"]
    if others:
        with _told():
            _tool().pip_ensure(others, constraints=constraints, requester="PEMMASegment")


def _torch(versions: str) -> None:
    try:
        import PyTorchUtils
    except ImportError as error:
        way_out = "install the extension PyTorch (Extensions Manager) and restart Slicer, or choose a folder of wheels"
        raise PemmaError("no-pytorch-extension", "the extension PyTorch is not installed", way_out) from error
    with _told():
        found = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=versions)
    if found is None:
        raise _not_installed(_("PyTorch was not installed"))


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # declined, or any of pip's ends; its own log has been shown
        raise _not_installed(_("the packages were not installed")) from error


def _not_installed(sentence: str) -> PemmaError:
    way_out = _("behind a proxy fill in proxy and certificate; without internet choose a folder of wheels")
    return PemmaError("not-installed", sentence, way_out)


@contextlib.contextmanager
def _constraints() -> Iterator[str]:
    """A file that keeps Slicer's own packages at their versions."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text("\n".join(_as_they_are()), encoding="utf-8")
        yield str(file)


def _as_they_are() -> list[str]:
    return [f"{name}=={importlib.metadata.version(name)}" for name in _BUNDLED if _there(name)]


def _there(name: str) -> bool:
    return any(True for _ in importlib.metadata.distributions(name=name))


@contextlib.contextmanager
def _environment(source: Source) -> Iterator[None]:
    """pip, also when the PyTorch extension starts it, hears of proxy and certificate through the environment only."""
    values = {**dict.fromkeys(_PROXY, source.proxy), **dict.fromkeys(_CERTIFICATE, source.certificate)}
    given = {name: value for name, value in values.items() if value}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

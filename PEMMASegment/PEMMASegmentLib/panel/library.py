"""Which models and adapters are installed: their cards, read without torch; hashes are checked by the background process."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..core.resources import resources, user_folder

MODEL, ADAPTER = "model.json", "adapter.json"


@dataclass(frozen=True)
class Installed:
    """A model or adapter folder. words: its README, or why its card can't be read. own: not bundled.

    sha256: of a model's weights; of an adapter: of the model it belongs to. longest_mm: what a model knows, 0 for adapters.
    """

    folder: Path
    name: str
    version: str
    words: str
    own: bool
    sha256: str = ""
    longest_mm: float = 0.0
    sound: bool = True

    @property
    def title(self) -> str:
        return f"{self.name} {self.version}".strip() if self.sound else f"{self.name} (can't be read)"


def models() -> list[Installed]:
    """The bundled models first, then the user's."""
    bundled = [_read(folder, MODEL, False) for folder in _folders(resources() / "Models", MODEL)]
    return bundled + [_read(folder, MODEL, True) for folder in _folders(_of_user("models"), MODEL)]


def adapters(model_sha256: str) -> list[Installed]:
    """The user's adapters for the model with these weights."""
    found = (_read(folder, ADAPTER, True) for folder in _folders(_of_user("adapters"), ADAPTER))
    return [adapter for adapter in found if adapter.sound and adapter.sha256 == model_sha256]


def named(folder: str) -> Installed:
    """A model or adapter folder that a scene names, installed or not."""
    path = Path(folder)
    return _read(path, MODEL if (path / MODEL).is_file() else ADAPTER, True)


def _of_user(kind: str) -> Path | None:
    try:
        return user_folder() / kind
    except ImportError:  # platformdirs comes with the other packages: before that nothing can have been imported
        return None


def _folders(place: Path | None, card: str) -> list[Path]:
    if place is None or not place.is_dir():
        return []
    return sorted(folder for folder in place.iterdir() if (folder / card).is_file())


def _read(folder: Path, card: str, own: bool) -> Installed:
    readme = folder / "README.md"
    try:
        told = json.loads((folder / card).read_text(encoding="utf-8"))
        words = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        return _OF[card](folder, told, words, own)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        return Installed(folder, folder.name, "", f"{card} can't be read ({type(error).__name__}).", own, sound=False)


def _model(folder: Path, told: dict, words: str, own: bool) -> Installed:
    longest = float(told["region"]["longest_mm"])
    return Installed(folder, str(told["name"]), str(told["version"]), words, own, str(told["sha256"]), longest)


def _adapter(folder: Path, told: dict, words: str, own: bool) -> Installed:
    return Installed(folder, str(told["name"]), str(told["version"]), words, own, str(told["base"]["sha256"]))


_OF: dict[str, Callable[[Path, dict, str, bool], Installed]] = {MODEL: _model, ADAPTER: _adapter}


def verdict_of(adapter: Path) -> tuple[str, str]:
    """What was proved of an adapter, and the sentence; "" and "" when nothing was."""
    told = told_of(adapter)
    scores = told.get("scores")
    return str(told.get("verdict") or ""), str(scores.get("sentence") or "") if isinstance(scores, dict) else ""


def origin_of(adapter: Path) -> dict[str, list[str]]:
    """What the headers of the adapter's cases state (`study.scanner.gathered`)."""
    return dict(told_of(adapter).get("origin") or {})


def told_of(adapter: Path) -> dict:
    """The card as it stands; empty when there is none that can be read."""
    try:
        told = json.loads((adapter / ADAPTER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}

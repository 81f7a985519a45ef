"""The model that stays loaded between the requests."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..adapters.files import MergedAdapter
    from ..network.files import Model, ModelCard


class WarmModel:
    """The model of the last request, kept for as long as the same folder with the same card is asked for."""

    def __init__(self):
        self._key: tuple[Path, ModelCard] | None = None
        self._model: Model | None = None
        self._adapter: MergedAdapter | None = None

    def get(self, name: str | None) -> "Model":
        """The model of this name or folder, None for the bundled one. Raises PemmaError."""
        from ..network import files

        folder = files.find_model(name).resolve()
        key = (folder, files.read_card(folder))  # the whole card: weights stay when a threshold is chosen anew
        if key != self._key:
            self._key = self._model = self._adapter = None  # there may be no room for two
            self._model, self._key = files.load_model(folder), key
        return self._model

    def adapter(self, name: str, model: "Model") -> "MergedAdapter | None":
        """The adapter of this name or folder, with its weights merged once for as long as the same one is asked for."""
        from ..adapters import keep_merged
        from ..jobs import segmenting

        found = segmenting.load_adapter(name, model)
        if found is None:
            return None
        if self._adapter is None or (self._adapter.card, self._adapter.base_net) != (found.card, model.net):
            self._adapter = None
            self._adapter = keep_merged(found, model.net.cpu())  # where the GPU's memory can't run out
        return self._adapter

"""A procedure that needs no training."""

from dataclasses import dataclass, field

from PEMMASegmentLib.adapters import AdapterCard
from PEMMASegmentLib.adapters.files import Adapter


@dataclass
class Threshold:
    """A procedure that needs no training and remembers what it was given."""

    at: float = 0.45
    name: str = "threshold"
    given: list = field(default_factory=list)
    training: dict = field(default_factory=dict)

    @property
    def words(self) -> str:
        return f"threshold {self.at}"

    def fit(self, model, cases, inputs, seed, progress):
        progress(0.5, "fitting")
        self.given.append([case.id for case in cases])
        card = AdapterCard("t", "1", None, "", (), model.identity, inputs, threshold=self.at, training=self.training)
        return Adapter(card, {})

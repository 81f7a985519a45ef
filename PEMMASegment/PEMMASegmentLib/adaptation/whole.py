"""Procedures that train parameters as they are: norms and the last layer, which are few, or all that run."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import nn

from ..adapters import AdapterCard
from ..core import Progress, no_progress
from ..core.progress import part
from ..inference.device import choose as choose_device
from ..network.files import Model
from ..training.case import TrainingCase
from ..training.config import Stage
from ..training.loop import Checkpoint
from .choices import EFFORTS
from .fewshot import PREPARED, RECIPE, prepared, run_key, trained
from .resuming import resumed
from .types import Fitted, SiteCase


@dataclass(frozen=True)
class WholeParameters:
    """A `Procedure` with the few-shot recipe, but for the learning rate; no weight decay, which pulls to zero, not to
    the base. everything: all parameters that run with the inputs, else layer norms and the last layer. work: where an
    unfinished run is kept, to go on exactly where it was stopped; None: it starts anew.
    """

    everything: bool = False
    steps: int = EFFORTS["standard"]
    device: str = "auto"
    work: Path | None = None

    @property
    def name(self) -> str:
        return "all weights" if self.everything else "norm+out"

    @property
    def words(self) -> str:
        what = "all weights of the network" if self.everything else "the network's norms and its last layer"
        return f"trains {what} ({self.steps} steps)"

    def fit(self, model: Model, cases: Sequence[SiteCase], inputs: str, seed: int = 0,
            progress: Progress = no_progress) -> Fitted:
        """An adapter that holds the parameters in full, from all of `cases`. A run stopped by `progress` then goes on."""

        def train(checkpoint: Checkpoint) -> Fitted:
            ready = prepared(model, cases, inputs, part(progress, 0.0, PREPARED))
            return self._train(model, ready, inputs, seed, checkpoint, part(progress, PREPARED, 1.0))

        key = run_key(self, model, cases, inputs, seed, everything=self.everything)
        return resumed(self.work, key, model.identity, train)

    @property
    def stage(self) -> Stage:
        rate = RECIPE.rate / (8 if self.everything else 2)
        return replace(RECIPE, steps=self.steps, rate=rate, weight_decay=0.0)

    def _train(self, model: Model, cases: list[TrainingCase], inputs: str, seed: int, checkpoint: Checkpoint,
               progress: Progress) -> Fitted:
        stage, device = self.stage, choose_device(self.device).device
        net = copy.deepcopy(model.net).to(device, memory_format=torch.channels_last_3d)
        chosen = trainable(net, model, inputs, self.everything)
        groups = [{"params": list(chosen.values()), "lr": stage.rate, "weight_decay": stage.weight_decay}]
        strength, figures = trained(net, chosen, groups, stage, model, cases, inputs, seed, checkpoint, progress)
        training = {"cases": len(cases), "seed": seed, "recipe": asdict(stage)} | figures | {"device": device.type}
        base = {name: p.detach().cpu() for name, p in model.net.named_parameters()}
        kept = {name: torch.lerp(base[name], p.detach().cpu(), strength).contiguous() for name, p in chosen.items()}
        count = sum(t.numel() for t in kept.values())
        card = AdapterCard(self.name.replace(" ", "-"), "1", None, "", (), model.identity, inputs, training=training,
                           parameters=tuple(kept), trained_parameters=count,
                           trained_share=count / sum(p.numel() for p in model.net.parameters()))
        return Fitted(card, kept)


def trainable(net: nn.Module, model: Model, inputs: str, everything: bool) -> dict[str, nn.Parameter]:
    """The parameters to train, by name, all others frozen: of those that a gradient reaches with these inputs."""
    net.requires_grad_(True)
    device = next(net.parameters()).device
    window = model.card.architecture.window
    net({name: torch.zeros(1, 1, *window, device=device) for name in inputs.split("+")}).sum().backward()
    reached = {name: p for name, p in net.named_parameters() if p.grad is not None}
    norms = {name for name, module in net.named_modules() if isinstance(module, nn.LayerNorm)}
    chosen = {
        name: p for name, p in reached.items() if everything or name.rpartition(".")[0] in norms or ".out." in f".{name}"
    }
    net.zero_grad(set_to_none=True)
    net.requires_grad_(False)
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen

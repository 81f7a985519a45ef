"""The CNN that stands beside the starter model: a MONAI DynUNet, CT and PET as two channels, same windows, same time.

    python Testing/evidence/dynunet.py --minutes CPU_MINUTES --out FOLDER     (needs `shared` beside the checkout)

Goes on where it was stopped. Trained on the starter's patients with its windows, augmentation, loss and optimiser; the
threshold is chosen on the selection patients.
"""

import argparse
import json
import time
from dataclasses import replace
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from monai.networks.nets import DynUNet
from safetensors.torch import load_model, save_model
from scoring import SHARED, cases
from torch import Tensor, nn

from PEMMASegmentLib.core.files import sha256_of
from PEMMASegmentLib.core.resources import resources
from PEMMASegmentLib.inference.selection import best_threshold, dice_by_threshold
from PEMMASegmentLib.network.files import Model, ModelCard, Region
from PEMMASegmentLib.training.augment import Augmentation
from PEMMASegmentLib.training.case import to_case
from PEMMASegmentLib.training.config import Config, read_config
from PEMMASegmentLib.training.loop import loss_function
from PEMMASegmentLib.training.state import load_state, save_state
from PEMMASegmentLib.training.windows import batch, draw

CONFIG = resources() / "Models/sts-starter/train.json"


class EarlyFusion(nn.Module):
    """{"ct", "pet"} -> logits, as two channels of one network (16-32-64-128 features, residual blocks)."""

    def __init__(self):
        super().__init__()
        self.net = DynUNet(3, 2, 2, kernel_size=[3] * 4, strides=[1, 2, 2, 2], upsample_kernel_size=[2] * 3,
                           filters=[16, 32, 64, 128], norm_name="instance", res_block=True)

    def forward(self, images: dict[str, Tensor]) -> Tensor:
        return self.net(torch.cat([images["ct"], images["pet"]], dim=1))


def as_model(net: EarlyFusion, config: Config, threshold: float, sha256: str = "") -> Model:
    """The network as what `inference.segment` takes."""
    card = ModelCard("dynunet", "1", replace(config.architecture, modalities=("pet",)), config.preprocessing, config.labels,
                     Region(config.region, 320.0), {"ct+pet": threshold}, sha256)
    return Model(card, net.eval(), Path())


def load(folder: Path) -> Model:
    net, note = EarlyFusion(), json.loads((folder / "dynunet.json").read_text())
    load_model(net, str(folder / "dynunet.safetensors"))
    return as_model(net, read_config(CONFIG), note["threshold"], sha256_of(folder / "dynunet.safetensors"))


def train(minutes: float, config: Config, state: Path) -> tuple[EarlyFusion, int]:
    torch.manual_seed(config.seed)
    net = EarlyFusion().to(memory_format=torch.channels_last_3d)
    training = [to_case(c.name, c.study.ct, c.study.pet, c.label, config.preprocessing)
                for c in cases(list(config.train), cut=False)]
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-2)
    average = {name: p.detach().clone() for name, p in net.named_parameters()}
    loss_of = loss_function()
    stage, key = config.stages[-1], f"{minutes} {config.stages[-1]} {config.seed}"
    step, spent = load_state(state, key, net, average, optimizer)
    started, saved, share = time.process_time() - spent, time.monotonic(), spent / 60 / minutes
    while share < 1:
        optimizer.param_groups[0]["lr"] = 1e-3 * min(share / 0.05 + 0.01, 0.01 + 0.99 * 0.5 * (1 + cos(pi * share)))
        rng = np.random.default_rng([config.seed, step])
        images, label = batch([draw(training, config, stage, ("ct", "pet"), Augmentation(), rng) for _ in range(2)])
        loss = loss_of(net({k: v.to(memory_format=torch.channels_last_3d) for k, v in images.items()}), label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(average.values()), list(net.parameters()), 1 - min(0.998, (1 + step) / (10 + step)))
        step += 1
        spent = time.process_time() - started
        share = spent / 60 / minutes
        if time.monotonic() - saved > 120 or share >= 1:
            save_state(state, step, spent, key, net, average, optimizer)
            saved = time.monotonic()
            print(f"step {step}, {share:.0%}, loss {float(loss.detach()):.3f}", flush=True)
    with torch.no_grad():
        for name, p in net.named_parameters():
            p.copy_(average[name])
    return net, step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = read_config(CONFIG)
    options.out.mkdir(parents=True, exist_ok=True)
    net, steps = train(options.minutes, config, options.out / "state.safetensors")
    model, select = as_model(net, config, 0.5), cases(list(config.select), cut=False)
    threshold, scores = best_threshold([dice_by_threshold(model, c.study, c.label, "ct+pet") for c in select])
    save_model(net.to(memory_format=torch.contiguous_format), str(options.out / "dynunet.safetensors"))
    note = {"threshold": threshold, "select_dice": scores, "steps": steps, "cpu_minutes": options.minutes,
            "parameters": sum(p.numel() for p in net.parameters())}
    (options.out / "dynunet.json").write_text(json.dumps(note, indent=1))
    print(note, f"data: {SHARED.name}")


if __name__ == "__main__":
    main()

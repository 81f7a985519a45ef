"""The one training loop: the CT stage trains the CT network, a modality's stage only what that modality brings."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from monai.losses import DiceCELoss
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .. import __version__
from ..core import PemmaError, Progress, no_progress
from ..network.pemma import CT, Pemma, added_parameters, clamp_gates
from ..network.precision import cpu_precision
from .augment import Augmentation
from .case import TrainingCase
from .config import Config, Stage
from .state import append_record, load_state, save_state
from .windows import batch, draw

_CHECKPOINT_SECONDS = 120.0
_PATIENCE = 5  # steps without a finite gradient, one after the other, until the training is given up
_SMOOTH = 50.0  # voxels added to both sides of the Dice


def loss_function() -> nn.Module:
    """Cross-entropy plus soft Dice, window by window: over a whole batch a small tumour drowns beside a large one."""
    return DiceCELoss(to_onehot_y=True, softmax=True, include_background=False, smooth_nr=_SMOOTH, smooth_dr=_SMOOTH)


@dataclass(frozen=True)
class Checkpoint:
    """Where a run keeps what it needs to go on, a digest of all that makes it the same run, and how often it is written."""

    file: Path
    key: str
    seconds: float


def trainable(net: Pemma, stage: Stage) -> dict[str, nn.Parameter]:
    """The parameters that a stage trains, by name; everything else is frozen here, before the first step.

    MONAI's transformer blocks carry a norm for cross-attention that no forward uses: never trained, never listed.
    """
    chosen = dict(net.base.named_parameters(prefix="base")) if stage.name == CT else added_parameters(net)
    chosen = {n: p for n, p in chosen.items() if "norm_cross_attn" not in n and (stage.name == CT or _of(stage, n))}
    net.requires_grad_(False)
    for parameter in chosen.values():
        parameter.requires_grad_(True)
    return chosen


def train_stage(net: Pemma, stage: Stage, cases: list[TrainingCase], config: Config, out: Path, device: torch.device,
                index: int = 0, progress: Progress = no_progress) -> dict:
    """Trains one stage in place and returns its record; goes on from `out`'s checkpoint when there is one.

    index: which stage of the run it is. The drawn windows depend on seed, index, step and process alone, so that a
    resumed run is the same run.
    At the end `net` holds the averaged weights.
    """
    chosen = trainable(net, stage)
    rank, world = _place()
    key = _key(config, config.stages[: index + 1], cases, world)
    checkpoint = Checkpoint(out / f"stage-{index}-{stage.name}.safetensors", key, _CHECKPOINT_SECONDS)

    def windows(step: int) -> tuple[dict[str, Tensor], Tensor]:
        rng = np.random.default_rng([config.seed, index + 2, step, rank])
        return batch([draw(cases, config, stage, inputs, Augmentation(), rng) for inputs in _inputs(stage, step, config)])

    def saved(record: dict) -> None:
        append_record(out / "log.jsonl", {"stage": index, "name": stage.name, **record})

    def told(step: int, loss: float) -> None:
        progress(step / stage.steps, f"stage {stage.name}: step {step} of {stage.steps}")

    spent = optimise(net, chosen, _groups(stage, chosen), stage, windows, checkpoint, device, told, saved)
    net.eval().requires_grad_(False)
    count = sum(p.numel() for p in chosen.values())
    return {**asdict(stage), "trained": list(chosen), "trained_parameters": count,
            "share": count / sum(p.numel() for p in net.base.parameters()), "cases": len(cases), "cpu_minutes": spent / 60}


def optimise(net: Pemma, chosen: dict[str, nn.Parameter], groups: Iterable[dict], stage: Stage,
             windows: Callable[[int], tuple[dict[str, Tensor], Tensor]], checkpoint: Checkpoint, device: torch.device,
             told: Callable[[int, float], None], saved: Callable[[dict], None] = lambda record: None) -> float:
    """The loop itself, over any parameters of a network: `chosen` in AdamW's `groups`; gives the CPU seconds it took.

    windows(step) -> inputs and label of that step, told(steps done, loss) after each, which may raise to stop; saved(record)
    after each checkpoint. Goes on from the checkpoint when there is one. At the end `chosen` holds the averaged weights.
    A step whose gradient is not finite is passed over, in all processes alike, and counted in the record. Raises PemmaError
    "not-finite" where that goes on, or is the last one, or where weights are not finite; the checkpoint from before stays.
    """
    optimizer = torch.optim.AdamW(groups)
    average = {name: p.detach().clone() for name, p in chosen.items()}
    rank, world = _place()
    first, spent = load_state(checkpoint.file, checkpoint.key, net, average, optimizer)
    loss_of = loss_function()
    rates = [group["lr"] for group in optimizer.param_groups]
    started, saved_at, losses = time.process_time() - spent, time.monotonic(), []
    skipped = in_a_row = 0
    net.train()
    for step in range(first, stage.steps):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * _schedule(step, stage)
        images, label = windows(step)
        with _autocast(device), _made_once(net):
            loss = loss_of(net(_to(images, device)), label.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        _average_gradients(chosen, world)
        if torch.isfinite(nn.utils.clip_grad_norm_(chosen.values(), 1.0)):
            in_a_row = 0
            optimizer.step()
            clamp_gates(net)
            _update(average, chosen, min(stage.average, (1 + step) / (10 + step)))
            losses.append(float(loss.detach()))
        else:
            skipped, in_a_row = skipped + 1, in_a_row + 1
            if in_a_row == _PATIENCE or step + 1 == stage.steps:  # at the end nothing shows that it was that step alone
                raise _not_finite(step, stage)
        due = time.monotonic() - saved_at > checkpoint.seconds or step + 1 == stage.steps
        if rank == 0 and due and not in_a_row:
            if not all(torch.isfinite(t).all() for t in (*chosen.values(), *average.values())):
                raise _not_finite(step, stage)
            spent = time.process_time() - started
            save_state(checkpoint.file, step + 1, spent, checkpoint.key, net, average, optimizer)
            saved({"step": step + 1, "loss": float(np.mean(losses)), "cpu_seconds": spent}
                  | ({"skipped": skipped} if skipped else {}))
            saved_at, losses, skipped = time.monotonic(), [], 0
        told(step + 1, float(loss.detach()))
    with torch.no_grad():
        for name, parameter in chosen.items():
            parameter.copy_(average[name])
    return spent


def _not_finite(step: int, stage: Stage) -> PemmaError:
    return PemmaError("not-finite", f"the training has broken: by step {step + 1} of {stage.steps} its numbers are not finite",
                      "begin anew with lower rates or another seed, in another --out")


def _place() -> tuple[int, int]:
    """This process's rank and the number of processes."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def _of(stage: Stage, name: str) -> bool:
    """Whether an added parameter belongs to the stage's modality (or to the fused path, which all share)."""
    return name.startswith((f"added.{stage.name}.", "fused."))


def _groups(stage: Stage, chosen: dict[str, nn.Parameter]) -> Iterator[dict]:
    """AdamW's groups: weight decay on matrices alone; gates ten times as fast and never pulled to zero."""
    gates = [p for n, p in chosen.items() if "gate" in n]
    matrices = [p for n, p in chosen.items() if "gate" not in n and p.ndim > 1 and "position" not in n]
    rest = [p for n, p in chosen.items() if "gate" not in n and (p.ndim <= 1 or "position" in n)]
    yield {"params": matrices, "lr": stage.rate, "weight_decay": stage.weight_decay}
    yield {"params": rest, "lr": stage.rate, "weight_decay": 0.0}
    if gates:
        yield {"params": gates, "lr": stage.rate * stage.gate_rate, "weight_decay": 0.0}


def _schedule(step: int, stage: Stage) -> float:
    """Share of the learning rate: linear warm-up, then cosine to a hundredth."""
    warm = max(1, round(stage.warm_up * stage.steps))
    if step < warm:
        return (step + 1) / warm
    return 0.01 + 0.99 * 0.5 * (1 + cos(pi * (step - warm) / max(1, stage.steps - warm)))


def _inputs(stage: Stage, step: int, config: Config) -> list[tuple[str, ...]]:
    """Which modalities each window of a step holds: one choice a step, since a batch shares its inputs."""
    if stage.name == CT:
        return [(CT,)] * stage.batch
    alone = np.random.default_rng([config.seed, step, 7]).uniform() >= stage.together
    return [(stage.name,) if alone else (CT, stage.name)] * stage.batch


def _autocast(device: torch.device):
    """bf16 where the device computes it natively; a CPU without it would be many times slower."""
    native = device.type == "cuda" or cpu_precision() == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16) if native else nullcontext()


def _made_once(net: Pemma):
    """An adapted weight serves both streams of tokens, so that it is made once a step, unless memory is spared."""
    return nullcontext() if net.sparing else parametrize.cached()


def _to(images: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """To the device; channels last, with which fp32 training on a CPU takes about a tenth less."""
    return {name: t.to(device, memory_format=torch.channels_last_3d) for name, t in images.items()}


def _average_gradients(chosen: dict[str, nn.Parameter], world: int) -> None:
    """Means of the gradients over all processes, in one message; none where no process has one, so that AdamW passes it over."""
    if world == 1:
        return
    there = torch.tensor([float(p.grad is not None) for p in chosen.values()], device=next(iter(chosen.values())).device)
    grads = [p.grad if p.grad is not None else torch.zeros_like(p) for p in chosen.values()]
    flat = torch.cat([there, *(g.reshape(-1) for g in grads)])
    dist.all_reduce(flat)
    there, *parts = flat.split([len(grads), *(g.numel() for g in grads)])
    for p, some, part in zip(chosen.values(), there.tolist(), parts, strict=True):
        p.grad = (part / world).view_as(p) if some else None


@torch.no_grad()
def _update(average: dict[str, Tensor], chosen: dict[str, nn.Parameter], decay: float) -> None:
    torch._foreach_lerp_(list(average.values()), [p.detach() for p in chosen.values()], 1 - decay)


def _key(config: Config, stages: tuple[Stage, ...], cases: list[TrainingCase], world: int) -> str:
    """A digest of all that makes the last of `stages` what it is; later ones may still change, and who judges them.

    cases: what this stage sees, voxels and contours too, since a contour may be mended under the name it had.
    """
    known = asdict(config) | {"stages": [asdict(stage) for stage in stages], "library": __version__, "processes": world}
    for name in ("name", "version", "labels", "region", "select", "split"):
        del known[name]  # no weight depends on them: of the split it is `train` that does
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode())
    for case in cases:
        voxels = {name: getattr(case, name) for name in ("ct", "pet", "label") if getattr(case, name) is not None}
        digest.update(json.dumps([case.name, {name: v.shape for name, v in voxels.items()}]).encode())
        for v in voxels.values():
            digest.update(v.contiguous().numpy())
    return digest.hexdigest()

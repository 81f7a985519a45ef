"""Checkpoints of a training stage as safetensors and JSON: all that is needed to go on exactly where it stopped."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ..core import PemmaError
from ..core.files import write_atomically, write_text


def save_state(file: Path, step: int, cpu_seconds: float, config_key: str, net: nn.Module, average: dict[str, Tensor],
               optimizer: torch.optim.Optimizer, names: list[str]) -> None:
    """One file holds network, averaged weights and optimiser; the step goes in its metadata, so both move together."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()} | {f"average.{k}": v for k, v in average.items()}
    for name, state in zip(names, optimizer.state_dict()["state"].values(), strict=False):
        tensors |= {f"optimizer.{key}.{name}": value for key, value in state.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    note = {"step": str(step), "cpu_seconds": f"{cpu_seconds:.1f}", "config": config_key}
    write_atomically(file, lambda path: save_file(tensors, str(path), metadata=note))


def load_state(file: Path, config_key: str, net: nn.Module, average: dict[str, Tensor],
               optimizer: torch.optim.Optimizer, names: list[str]) -> tuple[int, float]:
    """Restores what `save_state` wrote; returns the step to go on with and the CPU seconds so far (0 without a file)."""
    if not file.is_file():
        return 0, 0.0
    from safetensors import safe_open

    with safe_open(str(file), "pt") as stream:
        note = stream.metadata()
    if note["config"] != config_key:
        raise PemmaError("resume-config", "the unfinished run in this folder had another configuration",
                         "name another --out, or remove the folder's checkpoints", file.name)
    tensors = load_file(str(file))
    net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    for name in average:
        average[name].copy_(tensors[f"average.{name}"])
    groups = optimizer.state_dict()["param_groups"]
    state = {}
    for index, name in enumerate(names):
        keys = ("step", "exp_avg", "exp_avg_sq")
        if f"optimizer.step.{name}" in tensors:
            state[index] = {key: tensors[f"optimizer.{key}.{name}"] for key in keys}
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    return int(note["step"]), float(note["cpu_seconds"])


def append_record(file: Path, record: dict) -> None:
    """Adds one line to a JSON-lines log of the run."""
    lines = file.read_text("utf-8") if file.is_file() else ""
    write_text(file, lines + json.dumps(record) + "\n")

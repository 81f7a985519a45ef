"""Checkpoints of a training stage as safetensors and JSON: all that is needed to go on exactly where it stopped."""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core import PemmaError
from ..core.files import write_atomically, write_text

_MOMENTS = ("step", "exp_avg", "exp_avg_sq")  # what AdamW keeps of each parameter


def save_state(file: Path, step: int, cpu_seconds: float, config_key: str, net: nn.Module, average: dict[str, Tensor],
               optimizer: torch.optim.AdamW) -> None:
    """One file holds network, averaged weights and optimiser; the step goes in its metadata, so both move together."""
    tensors = {f"net.{k}": v for k, v in net.state_dict().items()} | {f"average.{k}": v for k, v in average.items()}
    for name, parameter in _of_optimizer(net, optimizer).items():
        tensors |= {f"optimizer.{key}.{name}": value for key, value in optimizer.state.get(parameter, {}).items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    note = {"step": str(step), "cpu_seconds": f"{cpu_seconds:.1f}", "config": config_key}
    write_atomically(file, lambda path: save_file(tensors, str(path), metadata=note))


def load_state(file: Path, config_key: str, net: nn.Module, average: dict[str, Tensor],
               optimizer: torch.optim.AdamW) -> tuple[int, float]:
    """Restores what `save_state` wrote; returns the step to go on with and the CPU seconds so far.

    Both are 0 without a file, or with one that can't be read: then the stage begins anew. Raises PemmaError
    "resume-config" for a file that another `config_key` wrote.
    """
    try:
        note, tensors = _read(file)
    except (FileNotFoundError, SafetensorError):
        return 0, 0.0
    if note.get("config") != config_key:
        raise PemmaError("resume-config", "the run in this folder had another configuration, other cases, another version "
                         "of this program or another number of processes",
                         "name another --out, or go on with what the run began with", file.name)
    net.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("net.")})
    for name in average:
        average[name].copy_(tensors[f"average.{name}"])
    state = {
        index: {key: tensors[f"optimizer.{key}.{name}"] for key in _MOMENTS}
        for index, name in enumerate(_of_optimizer(net, optimizer)) if f"optimizer.step.{name}" in tensors
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(note["step"]), float(note["cpu_seconds"])


def _read(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and copies of the tensors: as they come they lie in the mapped file, which Windows then lets nobody replace."""
    with safe_open(str(file), "pt") as stream:
        return stream.metadata() or {}, {name: stream.get_tensor(name).clone() for name in stream.keys()}


def _of_optimizer(net: nn.Module, optimizer: torch.optim.AdamW) -> dict[str, nn.Parameter]:
    """The optimiser's parameters by the network's names, in the optimiser's order."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return {names[id(p)]: p for group in optimizer.param_groups for p in group["params"]}


def append_record(file: Path, record: dict) -> None:
    """Adds one line to a JSON-lines log of the run."""
    lines = file.read_text("utf-8") if file.is_file() else ""
    write_text(file, lines + json.dumps(record) + "\n")

"""Updates put on a network's weights and taken off again, and what a training loop asks of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from .blocks import Block, find, from_matrix, to_matrix
from .methods import Method, build, check_ranks

WEIGHT_DECAY = 1e-2


class Update(nn.Module):
    """The parametrization of one weight: its matrix in blocks of rows, those without an update passed through.

    Works in the weight's own precision whatever autocast says, so that merging gives the trained numbers.
    """

    def __init__(self, blocks: list[Block], updates: list[nn.Module]):
        super().__init__()
        self.on = True
        self.blocks = tuple(blocks)
        self.updates = nn.ModuleList(updates)

    def forward(self, weight: Tensor) -> Tensor:
        if not self.on:
            return weight
        with torch.autocast(weight.device.type, enabled=False):
            transposed = self.blocks[0].transposed
            matrix = to_matrix(weight, transposed)
            pieces, done = [], 0
            for block, update in zip(self.blocks, self.updates, strict=True):
                stop = block.start + block.rows
                pieces += [matrix[done : block.start], update(matrix[block.start : stop])]
                done = stop
            return from_matrix(torch.cat([*pieces, matrix[done:]]), weight, transposed)


def attach(net: nn.Module, method: Method, targets: tuple[str, ...], seed: int = 0) -> None:
    """Freezes the network and puts a fresh update on each of the `targets` (names of `choose`), a no-op so far.

    The same seed gives the same update. Raises PemmaError "adapter-rank" for a rank that no target allows.
    """
    found = find(net)
    blocks = [found[name] for name in targets]
    check_ranks(method, blocks)
    generator = torch.Generator().manual_seed(seed)
    updates = {}
    for block in blocks:
        matrix = to_matrix(net.get_submodule(block.module).weight.detach(), block.transposed)
        updates[block] = build(method, block)
        updates[block].start(matrix[block.start : block.start + block.rows].cpu(), generator)
    put_on(net, updates)


def put_on(net: nn.Module, updates: dict[Block, nn.Module]) -> None:
    """Registers ready updates on a network that has none, and freezes everything else."""
    if any(parametrize.is_parametrized(module) for module in net.modules()):
        raise ValueError("the network is parametrized already")
    net.requires_grad_(False)
    for name in dict.fromkeys(block.module for block in updates):
        module = net.get_submodule(name)
        here = sorted((block for block in updates if block.module == name), key=lambda block: block.start)
        update = Update(here, [updates[block] for block in here]).to(module.weight.device)
        parametrize.register_parametrization(module, "weight", update)


def remove(net: nn.Module) -> None:
    """Takes the updates off: the base comes back bit for bit."""
    for module, _ in list(_attached(net)):
        _make_plain(module, module.parametrizations.weight.original)


def fold(net: nn.Module) -> None:
    """Leaves the updated weights in the place of the base's; for a copy, since this can't be undone."""
    for module, _ in list(_attached(net)):
        _make_plain(module, nn.Parameter(module.weight.detach(), requires_grad=False))


def _make_plain(module: nn.Module, weight: nn.Parameter) -> None:
    """Ends a parametrization with a weight of choice.

    torch's `remove_parametrizations` deletes from the class that a deep copy of the module shares, and breaks that one.
    """
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    module.register_parameter("weight", weight)


@contextmanager
def off(net: nn.Module) -> Iterator[None]:
    """Within this context the network is the base, the frozen weights themselves."""
    updates = [update for _, update in _attached(net)]
    before = [update.on for update in updates]
    try:
        for update in updates:
            update.on = False
        yield
    finally:
        for update, on in zip(updates, before, strict=True):
            update.on = on


def trained(net: nn.Module) -> dict[str, nn.Parameter]:
    """The adapter's trainable parameters under the names of its file."""
    return {name: p for prefix, update in _named(net) for name, p in update.named_parameters(prefix=prefix)}


def collect(net: nn.Module) -> dict[str, Tensor]:
    """All tensors of the adapter on `net` under the names of its file, copied to the CPU: to store or to resume from."""
    tensors = {f"{prefix}.{n}": t for prefix, update in _named(net) for n, t in update.state_dict().items()}
    return {name: t.detach().cpu().clone().contiguous() for name, t in tensors.items()}


def parameter_groups(net: nn.Module, rate: float, weight_decay: float = WEIGHT_DECAY) -> list[dict]:
    """AdamW's groups: weight decay on the low-rank matrices (it pulls to the base), none on scales and magnitudes."""
    parameters = trained(net).values()
    return [
        {"params": [p for p in parameters if p.ndim > 1], "lr": rate, "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim == 1], "lr": rate, "weight_decay": 0.0},
    ]


def share(net: nn.Module) -> float:
    """Trained numbers as a share of the base's weights."""
    count = sum(p.numel() for p in trained(net).values())
    return count / (sum(p.numel() for p in net.parameters()) - count)


def _attached(net: nn.Module) -> Iterator[tuple[nn.Module, Update]]:
    for module in net.modules():
        if parametrize.is_parametrized(module, "weight"):
            for update in module.parametrizations.weight:
                if isinstance(update, Update):
                    yield module, update


def _named(net: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for _, update in _attached(net):
        for block, part in zip(update.blocks, update.updates, strict=True):
            yield block.name, part

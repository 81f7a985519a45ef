"""Which matrices an adapter changes, chosen by pattern; the adapter's file then names each of them."""

from contextlib import ExitStack
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from ..core import PemmaError
from .blocks import find

#: From cheap to rich. Names as in MONAI's transformer blocks.
PRESETS = {
    "qv": ("*qkv.q", "*qkv.v"),
    "attn": ("*qkv.?", "*out_proj"),
    "attn+mlp": ("*qkv.?", "*out_proj", "*mlp.linear?"),
    "all": ("*",),
}


def choose(net: nn.Module, pattern: str = "all", example: Any = None) -> tuple[str, ...]:
    """Names of the matrices (`blocks.find`) that a pattern chooses, in the network's order.

    pattern: presets and shell patterns over names, joined by commas; a leading "-" takes away: "all", "attn,fused.*",
    "all,-base.*". example: an input; only what net(example) uses is chosen, and a module that it never runs is left out.

    In a PEMMA network `base.*` are the weights of the CT network, which also work while a PET is there, `added.*` and
    `fused.*` those that only a PET brings in. With CT and PET as the example the presets choose the whole path that
    runs then, the shared part of `base.*` included: the merged network is then changed for CT alone, too, which is why
    an adapter states its inputs and is off with others. "all,-base.*" leaves CT alone bit for bit as it was.
    PEMMA's own LoRA is no weight of a module and stays as it is; both updates add up.
    Raises PemmaError "adapter-targets" when nothing is chosen.
    """
    parts = [part.strip() for part in pattern.split(",") if part.strip()]
    keep = [glob for part in parts if part[0] != "-" for glob in PRESETS.get(part, (part,))]
    drop = [glob for part in parts if part[0] == "-" for glob in PRESETS.get(part[1:], (part[1:],))]
    blocks = find(net)
    used = None if example is None else _used(net, example)
    chosen = [
        name
        for name, block in blocks.items()
        if (used is None or block.module in used)
        and any(fnmatchcase(name, glob) for glob in keep)
        and not any(fnmatchcase(name, glob) for glob in drop)
    ]
    if not chosen:
        raise PemmaError("adapter-targets", f"the pattern '{pattern}' matches none of the network's {len(blocks)} weights",
                         f"choose one of {', '.join(PRESETS)}, or a pattern over names such as {next(iter(blocks), '')}")
    return tuple(chosen)


def _used(net: nn.Module, example: Any) -> set[str]:
    """Names of the modules that run in net(example)."""
    used: set[str] = set()
    with ExitStack() as hooks, torch.no_grad():
        for name, module in net.named_modules():
            handle = module.register_forward_pre_hook(lambda *_, name=name: used.add(name))
            hooks.callback(handle.remove)
        net(example)
    return used

"""Small updates over frozen weights: LoRA, DoRA, SVD scale/shift and SALT as parametrizations, and their files.

    names = choose(net, "all", example)           which matrices, only those that net(example) uses
    attach(net, method("salt"), names, seed=0)    no-op so far; only the adapter's numbers are trainable
    optimizer = AdamW(parameter_groups(net, rate=1e-3))
    save(folder, collect(net), card)              adapter.safetensors, adapter.json
    load(folder, base.identity).merged(base.net)  a copy with the update in its weights; the base stays as it is
"""

from .attaching import attach, collect, off, parameter_groups, remove, share, trained
from .blocks import find
from .card import AdapterCard, read_card, write_card
from .files import Adapter, keep_merged, load, save
from .methods import METHODS, Method, check_ranks, method, weakened
from .targets import PRESETS, choose

__all__ = [
    "METHODS", "PRESETS", "Adapter", "AdapterCard", "Method", "attach", "check_ranks", "choose", "collect", "find",
    "keep_merged", "load", "method", "off", "parameter_groups", "read_card", "remove", "save", "share", "trained",
    "weakened", "write_card",
]  # fmt: skip

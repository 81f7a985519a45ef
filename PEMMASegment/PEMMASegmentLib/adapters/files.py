"""Adapter folders: `adapter.json` and, if weights were trained, `adapter.safetensors`; typed, or refused with a reason."""

import copy
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file
from torch import Tensor, nn

from ..core import Identity, PemmaError
from ..core.files import sha256_of, write_atomically
from .attaching import fold, put_on
from .blocks import Block, find
from .card import CARD, WAY_OUT, AdapterCard, read_card, write_card
from .methods import Method, build, check_ranks

WEIGHTS = "adapter.safetensors"


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory: its card and its tensors by name, checked against each other."""

    card: AdapterCard
    tensors: dict[str, Tensor]

    @property
    def identity(self) -> Identity:
        """Its hash covers all that shapes a result: that of the weights alone when there is nothing else."""
        sha256 = self.card.sha256
        if self.card.fixes:
            told = json.dumps([sha256, self.card.fixes], sort_keys=True)
            sha256 = hashlib.sha256(told.encode()).hexdigest()
        return Identity(self.card.name, self.card.version, sha256)

    @property
    def inputs(self) -> str:
        """The inputs that it was trained and proved for."""
        return self.card.inputs

    def attach(self, net: nn.Module) -> None:
        """Puts the stored update on `net`, trainable; `parameters` take the place of the net's own, for good.

        Raises PemmaError "adapter-names", the net as it was, unless everything fits.
        """
        found, own = find(net), dict(net.named_parameters())
        missing = [name for name in self.card.targets if name not in found]
        missing += [name for name in self.card.parameters if name not in own]
        if missing:
            raise _misfit(missing, "the network has no such weight")
        updates = {found[name]: build(self.card.method, found[name]) for name in self.card.targets}
        if updates:
            check_ranks(self.card.method, updates)
        whole = [own[name] for name in self.card.parameters]
        _fill(_slots(updates) | {name: own[name].data for name in self.card.parameters}, self.tensors)
        net.requires_grad_(False)
        if updates:
            put_on(net, updates)
        for parameter in whole:
            parameter.requires_grad_(True)

    def merged(self, net: nn.Module) -> nn.Module:
        """A copy of `net` with the update in its weights, as fast as the base; `net` itself keeps every bit.

        `net` itself when the adapter changes no weight.
        """
        if not self.card.trains:
            return net
        merged = copy.deepcopy(net)
        self.attach(merged)
        fold(merged)
        return merged.requires_grad_(False)


@dataclass(frozen=True)
class MergedAdapter(Adapter):
    """An adapter that keeps one network with its update merged in, for one study after the other."""

    base_net: nn.Module
    merged_net: nn.Module

    def merged(self, net: nn.Module) -> nn.Module:
        return self.merged_net if net is self.base_net else super().merged(net)


def keep_merged(adapter: Adapter, net: nn.Module) -> MergedAdapter:
    """The adapter with its update merged into a copy of `net` once and for all."""
    return MergedAdapter(adapter.card, adapter.tensors, net, adapter.merged(net))


def save(folder: Path, tensors: dict[str, Tensor], card: AdapterCard) -> AdapterCard:
    """Writes a new adapter folder from what `collect` gave; returns the card with the hash of the weights.

    The card comes last: a folder without it is no adapter. Never writes over another adapter.
    """
    folder = Path(folder)
    if (folder / CARD).exists():
        raise PemmaError("adapter-exists", "there is an adapter in this folder already", "choose a new folder",
                         folder.name)
    _check_tensors(card, tensors)
    folder.mkdir(parents=True, exist_ok=True)
    if card.trains:
        write_atomically(folder / WEIGHTS, lambda path: save_file(tensors, str(path)))
        card = replace(card, sha256=sha256_of(folder / WEIGHTS))
    write_card(folder, card)
    return card


def load(folder: Path, base: Identity) -> Adapter:
    """An adapter for the model `base`, checked by hash, names and numbers; refused with a reason."""
    folder, card = Path(folder), read_card(folder)
    if card.base.sha256 != base.sha256:
        raise PemmaError("adapter-base", f"the adapter was trained on {card.base.name} {card.base.version} "
                         f"({card.base.sha256[:12]}...), the model is {base.name} {base.version} "
                         f"({base.sha256[:12]}...)", "choose the model it belongs to, or adapt this one anew", folder.name)
    if card.trains != (folder / WEIGHTS).is_file():
        there = "holds no adapter.safetensors" if card.trains else "holds weights that adapter.json does not name"
        raise PemmaError("adapter-damaged", f"the folder {there}", WAY_OUT, WEIGHTS)
    return Adapter(card, _read_weights(folder, card) if card.trains else {})


def _read_weights(folder: Path, card: AdapterCard) -> dict[str, Tensor]:
    """adapter.safetensors, checked by hash and against the card.

    Read into memory: Windows lets nobody replace or remove a file that is mapped.
    """
    found = sha256_of(folder / WEIGHTS)
    if found != card.sha256:
        raise PemmaError("adapter-hash", f"the weights have sha256 {found[:12]}..., adapter.json states "
                         f"{card.sha256[:12]}...", WAY_OUT, WEIGHTS)
    try:
        tensors = load_tensors((folder / WEIGHTS).read_bytes())
    except SafetensorError as error:
        raise PemmaError("adapter-damaged", f"the weights can't be read: {error}", WAY_OUT, WEIGHTS) from error
    _check_tensors(card, tensors)
    return tensors


def shapes(method: Method, blocks: list[Block]) -> dict[str, Tensor]:
    """Every tensor of an adapter's file by name, without its numbers (on the meta device)."""
    with torch.device("meta"):
        return {f"{b.name}.{name}": t for b in blocks for name, t in build(method, b).state_dict().items()}


def _check_tensors(card: AdapterCard, tensors: dict[str, Tensor]) -> None:
    """Every target and parameter has its tensors and every tensor one of them; all numbers are finite."""
    owners = {name: name.rpartition(".")[0] for name in tensors if name not in card.parameters}
    wrong = sorted({*card.targets} - set(owners.values()) | {*card.parameters} - set(tensors))
    wrong += [n for n, o in owners.items() if o not in card.targets]
    if wrong:
        raise _misfit(wrong, "adapter.json and the weights name different targets")
    bad = [name for name, t in tensors.items() if not torch.isfinite(t).all()]
    if bad:
        raise PemmaError("adapter-not-finite", f"the adapter holds numbers that are not finite ({bad[0]})",
                         "train it again with another --seed, or with --effort quick", WEIGHTS)


def _slots(updates: dict[Block, nn.Module]) -> dict[str, Tensor]:
    """The tensors of fresh updates under the names of the adapter's file."""
    return {f"{block.name}.{name}": t for block, update in updates.items() for name, t in update.state_dict().items()}


def _fill(slots: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Puts stored tensors into their places; names, shapes and precisions must agree both ways."""
    wrong = sorted(set(slots) ^ set(tensors))
    wrong = wrong or [n for n, t in tensors.items() if (t.shape, t.dtype) != (slots[n].shape, slots[n].dtype)]
    if wrong:
        raise _misfit(wrong, "the method, its ranks or the network's weights differ from the file's")
    for name, slot in slots.items():
        slot.copy_(tensors[name])


def _misfit(names: list[str], why: str) -> PemmaError:
    return PemmaError("adapter-names", f"{len(names)} names do not fit, the first is {names[0]}: {why}", WAY_OUT,
                      WEIGHTS)

"""The four methods under their names, with their ranks; ranks are capped at half of a matrix's singular values."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import isfinite

from torch import Tensor, nn

from ..core import PemmaError
from .blocks import Block
from .lora import Dora, Lora
from .svd import Salt, Svd

#: What each method uses of rank and top.
METHODS = {"salt": ("rank", "top"), "lora": ("rank",), "dora": ("rank",), "svd": ("top",)}


@dataclass(frozen=True)
class Method:
    """name: one of METHODS. rank: inner size of the low-rank part. top: how many singular values get scale and shift.

    Both as asked for; a matrix with fewer than twice as many singular values uses half of them. What the method does not
    use is 0. alpha: the low-rank part is multiplied by alpha / (rank used).
    """

    name: str
    rank: int
    top: int
    alpha: float = 4.0

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise PemmaError("adapter-method", f"{self.name!r} is no method", f"choose one of {', '.join(METHODS)}")
        for what in ("rank", "top"):
            value, used = getattr(self, what), what in METHODS[self.name]
            if type(value) is not int or (value < 1 if used else value != 0):
                raise PemmaError("adapter-rank", f"{what} {value!r} is out of range for {self.name}",
                                 f"give {'a whole number above 0' if used else '0'}")
        if not (isfinite(self.alpha) and self.alpha > 0):
            raise PemmaError("adapter-rank", f"alpha {self.alpha!r} is out of range", "give a number above 0")


#: The tensors of an update that are zero at first; the others say where it goes.
_ZERO_AT_FIRST = ("b", "magnitude", "scale", "shift")
#: On the starter model each trains under 4 % of the weights.
_DEFAULTS = {"salt": Method("salt", 4, 32), "lora": Method("lora", 4, 0), "dora": Method("dora", 3, 0),
             "svd": Method("svd", 0, 32)}


def method(name: str, **changes) -> Method:
    """A method with its default ranks, but for `changes`. Raises PemmaError for an unknown name or a rank out of range."""
    return replace(_DEFAULTS.get(name) or Method(name, 0, 0), **changes)


def check_ranks(method: Method, blocks: Iterable[Block]) -> None:
    """Refuses a rank that would be cut down everywhere."""
    limit = max(block.limit for block in blocks)
    for what in METHODS[method.name]:
        if getattr(method, what) > limit:
            raise PemmaError("adapter-rank", f"{what} {getattr(method, what)} is out of range: the widest of these "
                             f"weights allows {limit}", f"choose at most {limit}")


def build(method: Method, block: Block) -> nn.Module:
    """The update of one matrix, all zero; `start` draws or decomposes, a state dict fills it from a file."""
    size = (block.rows, block.columns)
    rank, top = min(method.rank, block.limit), min(method.top, block.limit)
    if method.name == "lora":
        return Lora(*size, rank, method.alpha)
    if method.name == "dora":
        return Dora(*size, rank, method.alpha)
    if method.name == "svd":
        return Svd(*size, top)
    return Salt(*size, top, rank, method.alpha)


def weakened(tensors: dict[str, Tensor], share: float) -> dict[str, Tensor]:
    """A trained update's tensors (`collect`) with a share of what it changes: W + share (W' - W), of DoRA nearly so."""
    return {name: t * share if name.rpartition(".")[2] in _ZERO_AT_FIRST else t for name, t in tensors.items()}

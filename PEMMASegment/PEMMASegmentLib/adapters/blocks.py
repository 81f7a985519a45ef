"""Which weights of a network can be adapted, each as matrices (rows: outputs, columns: inputs) of its linear map."""

from dataclasses import dataclass

from torch import Tensor, nn

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class Block:
    """Rows `start`..`start + rows` of the matrix of `module`.weight; all of it but for a fused qkv.

    part: "q", "k" or "v" of a fused qkv (MONAI's order: first all rows of q, then of k, then of v), else "".
    """

    module: str
    part: str
    start: int
    rows: int
    columns: int
    transposed: bool = False

    @property
    def name(self) -> str:
        return f"{self.module}.{self.part}" if self.part else self.module

    @property
    def limit(self) -> int:
        """The highest rank that is used here: half the number of singular values."""
        return min(self.rows, self.columns) // 2


def find(net: nn.Module) -> dict[str, Block]:
    """All matrices of a network that can be adapted, by name; those with a single singular value can't."""
    blocks = [block for name, module in net.named_modules() for block in _blocks(name, module)]
    return {block.name: block for block in blocks if block.limit > 0}


def to_matrix(weight: Tensor, transposed: bool) -> Tensor:
    """The weight as (rows, columns): out x in, out x (in k^3), and for transposed convolutions (out k^3) x in.

    A transposed convolution maps each voxel's channels to out x k^3 numbers (and adds where they overlap, which they
    do not when stride and kernel are equal); out x (in k^3) would mix different voxels.
    """
    matrix = weight.flatten(1)
    return matrix.T if transposed else matrix


def from_matrix(matrix: Tensor, weight: Tensor, transposed: bool) -> Tensor:
    """A matrix in the shape and the memory format of `weight`: another format would choose another kernel."""
    shaped = (matrix.T if transposed else matrix).reshape(weight.shape)
    if shaped.stride() == weight.stride():
        return shaped
    return weight.new_empty_strided(weight.shape, weight.stride()).copy_(shaped)


def _blocks(name: str, module: nn.Module) -> list[Block]:
    if not isinstance(module, (nn.Linear, *_CONVOLUTIONS, *_TRANSPOSED)):
        return []
    transposed = isinstance(module, _TRANSPOSED)
    rows, columns = to_matrix(module.weight, transposed).shape
    if not (name.split(".")[-1] == "qkv" and rows % 3 == 0):
        return [Block(name, "", 0, rows, columns, transposed)]
    third = rows // 3
    return [Block(name, part, n * third, third, columns) for n, part in enumerate("qkv")]

"""LoRA (Hu et al. 2022, arXiv 2106.09685) and DoRA (Liu et al. 2024, arXiv 2402.09353) for one matrix."""

import torch
from torch import Tensor, nn


class Lora(nn.Module):
    """W -> W + (alpha / rank) B A. a: (rank, columns), uniform in +-1/sqrt(columns); b: (rows, rank), zero at first."""

    def __init__(self, rows: int, columns: int, rank: int, alpha: float):
        super().__init__()
        self.gain = alpha / rank
        self.a = nn.Parameter(torch.zeros(rank, columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def start(self, matrix: Tensor, generator: torch.Generator) -> None:
        """Draws A; the update stays zero."""
        with torch.no_grad():
            bound = self.a.shape[1] ** -0.5
            self.a.uniform_(-bound, bound, generator=generator)

    def forward(self, matrix: Tensor) -> Tensor:
        return matrix + self.gain * (self.b @ self.a)


class Dora(Lora):
    """W -> (1 + magnitude) |W| / |V| V with V = W + (alpha / rank) B A and norms of rows; |V| takes no gradient.

    Both norms are taken here, by the same routine on the same device, so that their ratio is exactly 1 at first.
    """

    def __init__(self, rows: int, columns: int, rank: int, alpha: float):
        super().__init__(rows, columns, rank, alpha)
        self.magnitude = nn.Parameter(torch.zeros(rows))

    def forward(self, matrix: Tensor) -> Tensor:
        direction = super().forward(matrix)
        ratio = _row_norms(matrix) / _row_norms(direction.detach())
        return ((1 + self.magnitude) * ratio)[:, None] * direction


def _row_norms(matrix: Tensor) -> Tensor:
    return matrix.contiguous().norm(dim=1).clamp_min(torch.finfo(matrix.dtype).tiny)

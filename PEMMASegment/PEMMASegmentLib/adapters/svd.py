"""SVD scale/shift (S-SAM, Paranjape et al. 2024, arXiv 2408.06447) and SALT (arXiv 2503.16055) for one matrix.

Both are written as additions to W, so that the start is W itself, and without the ReLU of the published code: it would
cut half of SALT's low-rank part and leave it no gradient, and a negative singular value is a legal weight.
"""

import torch
from torch import Tensor, nn


def top_factors(matrix: Tensor, top: int) -> tuple[Tensor, Tensor, Tensor]:
    """U (rows, top), sigma (top), V (columns, top) of the largest singular values, float64, the same on every machine.

    The sign of each pair is free: the entry of u with the largest magnitude is made positive.
    """
    u, sigma, vt = torch.linalg.svd(matrix.detach().cpu().double(), full_matrices=False)
    u, sigma, v = u[:, :top], sigma[:top], vt[:top].T
    sign = torch.where(u.gather(0, u.abs().argmax(0, keepdim=True)) < 0, -1.0, 1.0).to(u)
    return u * sign, sigma, v * sign


class Svd(nn.Module):
    """W -> W + U diag(scale sigma + shift) V^T over the top singular values; scale and shift are zero at first.

    U and V are buffers in float16 that travel in the adapter's file, rounded before the first step: what was trained is
    what is stored, and loading never decomposes anything. They only say where the update goes; W keeps its bits.
    """

    def __init__(self, rows: int, columns: int, top: int):
        super().__init__()
        self.register_buffer("u", torch.zeros(rows, top, dtype=torch.float16))
        self.register_buffer("v", torch.zeros(columns, top, dtype=torch.float16))
        self.register_buffer("sigma", torch.zeros(top))
        self.scale = nn.Parameter(torch.zeros(top))
        self.shift = nn.Parameter(torch.zeros(top))

    def start(self, matrix: Tensor, generator: torch.Generator) -> None:
        """Takes the factors from the loaded weights."""
        u, sigma, v = top_factors(matrix, len(self.sigma))
        self.u.copy_(u)
        self.v.copy_(v)
        self.sigma.copy_(sigma)

    def forward(self, matrix: Tensor) -> Tensor:
        u, v = self.u.to(matrix), self.v.to(matrix)
        return matrix + (u * (self.scale * self.sigma + self.shift)) @ v.T


class Salt(Svd):
    """SVD scale/shift + (alpha / rank) (I - U U^T) B A (I - V V^T): the rest gets a LoRA off the top subspace.

    The published form (X Y in the basis of the remaining singular vectors) needs all factors and depends on how that
    basis is rotated; this one needs neither. Trained: 2 top + rank (rows + columns).
    """

    def __init__(self, rows: int, columns: int, top: int, rank: int, alpha: float):
        super().__init__(rows, columns, top)
        self.gain = alpha / rank
        self.a = nn.Parameter(torch.zeros(rank, columns))
        self.b = nn.Parameter(torch.zeros(rows, rank))

    def start(self, matrix: Tensor, generator: torch.Generator) -> None:
        """Takes the factors and draws A as LoRA does; the update stays zero."""
        super().start(matrix, generator)
        with torch.no_grad():
            bound = self.a.shape[1] ** -0.5
            self.a.uniform_(-bound, bound, generator=generator)

    def forward(self, matrix: Tensor) -> Tensor:
        u, v = self.u.to(matrix), self.v.to(matrix)
        b = self.b - u @ (u.T @ self.b)
        a = self.a - (self.a @ v) @ v.T
        return super().forward(matrix) + self.gain * (b @ a)

"""What every room shares: the result types, the one user-facing error, progress, atomic files, image geometry, metrics."""

from .errors import Cancelled, PemmaError, system_told
from .progress import Progress, no_progress
from .types import Identity, Lesion, Segmentation, Step

__all__ = ["Cancelled", "Identity", "Lesion", "PemmaError", "Progress", "Segmentation", "Step", "no_progress", "system_told"]

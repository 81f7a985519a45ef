"""What every room shares: result types, the one user-facing error and warning, progress, atomic files, geometry, metrics."""

from .errors import Cancelled, PemmaError, PemmaWarning, system_told
from .progress import Progress, no_progress
from .types import Identity, Lesion, Segmentation, Step

__all__ = [
    "Cancelled",
    "Identity",
    "Lesion",
    "PemmaError",
    "PemmaWarning",
    "Progress",
    "Segmentation",
    "Step",
    "no_progress",
    "system_told",
]

"""A study and a model in, a `Segmentation` out: windows where there is body, stitched, on the study's own grid."""

from .segment import segment

__all__ = ["segment"]

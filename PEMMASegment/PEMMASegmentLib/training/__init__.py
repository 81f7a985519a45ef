"""Training of base models: the CT stage and the stages of added modalities."""

from .run import train

__all__ = ["train"]

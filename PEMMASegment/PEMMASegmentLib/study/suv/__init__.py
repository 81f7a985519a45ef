"""From the values of a PET series to SUVbw, decided on its headers."""

from .planning import Plan, plan

__all__ = ["Plan", "plan"]

"""Contours by formula: circles and spheres in LPS mm, and what their label measures."""

import numpy as np

from PEMMASegmentLib.core.images import array, voxel_ml
from PEMMASegmentLib.study.annotation.polygons import fill

from .grids import codes, upright_grid


def sphere_contours(centre, radius, axes, step, start) -> list[np.ndarray]:
    """Circles (LPS mm) where planes across axes[:, 2], `step` apart and one of them through `start`, cut a sphere."""
    angle = np.linspace(0, 2 * np.pi, 120, endpoint=False)
    depth = (centre - start) @ axes[:, 2]
    first, last = np.ceil((depth - radius) / step), np.floor((depth + radius) / step)
    circles = []
    for height in np.arange(first, last + 1) * step - depth:
        r = np.sqrt(max(radius**2 - height**2, 0))
        ring = np.outer(r * np.cos(angle), axes[:, 0]) + np.outer(r * np.sin(angle), axes[:, 1])
        circles.append(centre + height * axes[:, 2] + ring)
    return [c for c in circles if np.ptp(c, axis=0).max() > 1]


def circles(heights, radius=30.0, x=64.0, y=64.0) -> list[np.ndarray]:
    """Circles (LPS mm) across the slices at these heights."""
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    return [np.c_[x + radius * np.cos(angle), y + radius * np.sin(angle), np.full(60, z)] for z in heights]


def read_ml(contours, step: float, slices: int = 60) -> tuple[float, np.ndarray, set[str]]:
    """Volume of the contours' label on slices `step` mm apart, which of these are marked, and the warnings' codes."""
    label, warnings = fill(contours, upright_grid(step, slices))
    return array(label).sum() * voxel_ml(label), array(label).any(axis=(1, 2)), codes(warnings)


def disc_ml(height: float, radius=30.0) -> float:
    return np.pi * radius**2 * height / 1000

"""Augmentation in physical terms: pose, CT/PET misalignment, intensity, resolution, noise, shading, foreign tissue.

Strong on what differs between scanners, so that another one costs little to begin with. Values are HU and SUV; the
normalisation of `network.preprocess` comes last, as in use.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..network.architecture import Preprocessing
from ..network.preprocess import AIR_HU, normalise_ct, normalise_pet
from .case import TrainingCase


@dataclass(frozen=True)
class Augmentation:
    """How often and how much. Angles in degrees, shifts in mm, CT in HU, PET relative unless stated.

    Size as logarithms: training tumours are mostly large, so they are shrunk more than grown (to 55 % of their width),
    or the model draws a small tumour as large as those it knows.
    foreign: how often a CT beside a PET holds pieces of another patient's (`graft`).
    """

    pose: float = 0.7
    angle: float = 15.0
    grown: float = 0.18
    shrunk: float = 0.6
    misalignment_mm: float = 5.0
    intensity: float = 0.5
    ct_gain: float = 0.2
    ct_shift: float = 30.0
    pet_gain: float = 0.45
    pet_floor: float = 0.6
    quality: float = 0.25
    ct_noise: float = 40.0
    pet_noise: float = 0.25
    shading_hu: float = 40.0
    shading_pet: float = 0.35
    foreign: float = 0.6


def sample(case: TrainingCase, cut: np.ndarray, start: np.ndarray, size: tuple[int, ...], p: Preprocessing,
           inputs: tuple[str, ...], how: Augmentation | None, rng: np.random.Generator) -> tuple[dict[str, Tensor], Tensor]:
    """The window at `start` of the cut: air and no uptake outside it, augmented, flipped, normalised."""
    flips = [axis + 1 for axis in range(3) if how and rng.uniform() < 0.5]
    theta = _pose(how, p.spacing_mm[::-1], rng)
    grid = _grid(size, start, cut, theta)
    label = _pick(case.label, cut, grid, 0.0)
    out = {}
    if "ct" in inputs:
        hu = _pick(case.ct, cut, grid, AIR_HU)
        out["ct"] = normalise_ct(_ct(hu, how, rng) if how else hu, p)
    if "pet" in inputs:
        shift = rng.normal(size=3) * how.misalignment_mm / 3 / np.array(p.spacing_mm[::-1]) if how else np.zeros(3)
        moved = grid if not shift.any() else _grid(size, start + shift, cut, theta)
        suv = _pick(case.pet, cut, moved, 0.0)
        out["pet"] = normalise_pet(_pet(suv, how, rng) if how else suv, p)
    flip = lambda t: t.flip(flips).contiguous() if flips else t  # noqa: E731
    return {name: flip(t) for name, t in out.items()}, flip((label >= 0.5).float())


def graft(ct: Tensor, other: Tensor, rng: np.random.Generator) -> Tensor:
    """A window's CT with soft tissue of another patient's in places, or that CT altogether: both normalised, (1, z, y, x).

    A network knows the CT of its training patients by heart; beside it, the PET would teach it little, and in a patient
    whose CT it reads badly it would trust the CT. Here a tumour may be missing in the CT, or one stand where there is none.
    """
    if rng.uniform() < 0.5:
        return other
    soft = ((ct > -0.95) & (ct < 0.7) & (other > -0.95) & (other < 0.7)).float()
    share = torch.sigmoid(8 * (_smooth(ct.shape, rng, int(rng.integers(3, 6))) - rng.uniform(0.0, 0.6)))
    return ct + soft * share * (other - ct)


def _pose(how: Augmentation | None, spacing: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """Rotation times zoom in mm, as 3 x 3 on voxels; the identity without augmentation. spacing: mm; both (z, y, x)."""
    if how is None or rng.uniform() >= how.pose:
        return np.eye(3)
    matrix = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(rng.uniform(-how.angle, how.angle, 3) * (1.0, 0.5, 0.5))):
        i, j = [k for k in range(3) if k != axis]
        turn = np.eye(3)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        matrix = matrix @ turn
    side = np.array(spacing)
    return matrix * np.exp(rng.uniform(-how.grown, how.shrunk)) * (side / side[:, None])  # to mm, turned, and back


def _grid(size: tuple[int, ...], start: np.ndarray, cut: np.ndarray, theta: np.ndarray) -> Tensor:
    """Where each voxel of the window lies in the cut, as `grid_sample` wants it: (1, z, y, x, 3) in x, y, z order."""
    half = (np.array(size) - 1) / 2
    axes = torch.meshgrid(*[torch.arange(n) - h for n, h in zip(size, half, strict=True)], indexing="ij")
    offset = torch.stack(axes, -1).float() @ torch.from_numpy(theta.T).float()
    length = np.maximum(cut[:, 1] - cut[:, 0], 1)
    index = offset + torch.from_numpy(start + half - cut[:, 0]).float()
    return ((2 * index + 1) / torch.from_numpy(length).float() - 1).flip(-1)[None]


def _pick(volume: Tensor, cut: np.ndarray, grid: Tensor, outside: float) -> Tensor:
    (z0, z1), (y0, y1), (x0, x1) = cut
    part = (volume[z0:z1, y0:y1, x0:x1] - outside)[None, None]
    return F.grid_sample(part, grid, padding_mode="zeros", align_corners=False)[0] + outside


def _ct(hu: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    if rng.uniform() < how.intensity:
        soft = hu.clamp(-250, 250)
        gain = float(np.exp(rng.normal() * how.ct_gain))
        hu = hu + (soft * gain + rng.normal() * how.ct_shift - soft) * (hu > -500)
    if rng.uniform() < how.quality:
        hu = hu + _smooth(hu.shape, rng) * how.shading_hu * (hu > -500)
    if rng.uniform() < how.quality:
        hu = _blur(hu, rng.uniform(0.3, 0.9))
    if rng.uniform() < how.quality:
        hu = hu + _grain(hu.shape, rng) * rng.uniform(0.1, 1.0) * how.ct_noise
    return hu


def _pet(suv: Tensor, how: Augmentation, rng: np.random.Generator) -> Tensor:
    if rng.uniform() < how.intensity:
        suv = suv * float(np.exp(rng.normal() * how.pet_gain))
    if rng.uniform() < how.quality:
        suv = suv * torch.exp(_smooth(suv.shape, rng) * how.shading_pet)
    if rng.uniform() < how.quality:
        suv = suv + rng.uniform(0, how.pet_floor) * (suv > 0.05)
    if rng.uniform() < how.quality:
        suv = _blur(suv, rng.uniform(0.4, 1.2))
    if rng.uniform() < how.quality:
        suv = suv * (1 + _grain(suv.shape, rng) * rng.uniform(0.2, 1.0) * how.pet_noise)
    return suv.clamp(min=0)


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


def _grain(shape: tuple[int, ...], rng: np.random.Generator) -> Tensor:
    """Noise of unit variance, half of the time with a grain of a voxel or more."""
    noise = _noise(shape, rng)
    if rng.uniform() < 0.5:
        noise = _blur(noise, rng.uniform(0.5, 1.0))
        noise = noise / noise.std()
    return noise


def _smooth(shape: tuple[int, ...], rng: np.random.Generator, knots: int = 3) -> Tensor:
    """A slow random field over the window, about -1..1: noise on `knots` points along each side."""
    return F.interpolate(_noise((1, 1, knots, knots, knots), rng), shape[1:], mode="trilinear", align_corners=True)[0]


def _blur(volume: Tensor, sigma: float) -> Tensor:
    """Gaussian blur (sigma in voxels) of (1, z, y, x), edges repeated."""
    radius = int(np.ceil(2.5 * sigma))
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    kernel = kernel / kernel.sum()
    for axis in range(3):
        shape = [1, 1, 1, 1, 1]
        shape[axis + 2] = -1
        pad = [0] * 6
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
        volume = F.conv3d(F.pad(volume[None], pad, mode="replicate"), kernel.view(shape))[0]
    return volume

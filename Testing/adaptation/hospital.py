"""A hospital small enough for every test: a tiny model, and patients with a hot ball somewhere in a body."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch

from PEMMASegmentLib.adaptation.types import SiteCase
from PEMMASegmentLib.network.architecture import Architecture, Preprocessing
from PEMMASegmentLib.network.files import Label, Model, ModelCard, Region, load_model, save_model
from PEMMASegmentLib.network.pemma import Pemma, added_parameters
from PEMMASegmentLib.study.types import PetCtStudy

SHAPE = Architecture((16, 16, 16), 8, 64, 1, 2, 64, 8, embedding="stem", taps=(), modalities=("pet",), rank=2,
                     fused_decoder=("decoder2", "out"))


def model(folder: Path) -> Model:
    """Random weights, nothing of PEMMA's own at zero."""
    torch.manual_seed(0)
    net = Pemma(SHAPE)
    with torch.no_grad():
        for parameter in added_parameters(net).values():
            parameter.add_(0.05 * torch.rand_like(parameter))
    label = Label(1, "lesion", "49755003", "108369006")
    card = ModelCard("tiny", "1", SHAPE, Preprocessing((6.0, 6.0, 6.0)), (label,), Region("a test", 500.0),
                     dict.fromkeys(("ct+pet", "ct", "pet"), 0.5))
    save_model(folder, net, card, "# tiny\n")
    for seed in (90, 91):
        write(folder / "reference" / f"R{seed}", seed)
    return load_model(folder)


def images(seed: int) -> dict[str, sitk.Image]:
    """CT, PET and label; a ball of 15 mm radius with SUV 6 and 80 HU."""
    rng = np.random.default_rng(seed)
    centre, out = rng.uniform(-12, 12, 3), {}
    for name, spacing in (("ct", 6.0), ("mask", 6.0), ("pet", 8.0)):
        n = int(96 / spacing)
        points = (np.indices((n, n, n)) - (n - 1) / 2) * spacing
        inside = ((points - centre[:, None, None, None]) ** 2).sum(0) < 15**2
        noise = rng.normal(size=(n, n, n))
        values = {"ct": inside * 80 + noise * 10, "mask": inside, "pet": inside * 6 + 0.5 + 0.1 * noise}[name]
        image = sitk.GetImageFromArray(values.astype({"ct": np.int16, "mask": np.uint8, "pet": np.float32}[name]))
        image.SetSpacing([spacing] * 3)
        image.SetOrigin([-(n - 1) / 2 * spacing] * 3)
        out[name] = image
    return out


def case(seed: int, patient: str = "", independent: bool = True, without: str = "") -> SiteCase:
    """One annotated case; `without`: "ct" or "pet"."""
    made = images(seed)
    kept = {name: None if name == without else made[name] for name in ("ct", "pet")}
    study = PetCtStudy(kept["ct"], kept["pet"], study_key=f"study {seed}", kind="nifti")
    return SiteCase(f"case{seed}", patient or f"P{seed}", study, made["mask"], independent)


def write(folder: Path, seed: int) -> Path:
    """The same as a folder of NIfTI files."""
    folder.mkdir(parents=True)
    for name, image in images(seed).items():
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder

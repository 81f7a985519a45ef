"""A tiny network, its configuration, and synthetic patients: hot balls in a body."""

import json

import numpy as np
import SimpleITK as sitk

ARCHITECTURE = {"window": [16, 16, 16], "patch": 8, "hidden": 16, "depth": 2, "heads": 2, "mlp": 32, "feature": 8,
                "embedding": "stem", "taps": [], "modalities": ["pet"], "rank": 2, "fused_decoder": ["decoder2"]}
LABEL = {"value": 1, "name": "Neoplasm", "category_code": "49755003", "type_code": "108369006"}


def write_case(folder, seed):
    """A hot ball in a body, on grids of CT and PET that differ."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    centre = rng.uniform(-15, 15, 3)
    for name, spacing in (("ct", 4.0), ("mask", 4.0), ("pet", 5.0)):
        n = int(112 / spacing)
        points = (np.indices((n, n, n)) - (n - 1) / 2) * spacing
        inside = ((points - centre[:, None, None, None]) ** 2).sum(0) < 18**2
        noise = rng.normal(size=(n, n, n))
        values = {"ct": inside * 80 + noise * 10, "mask": inside, "pet": inside * 6 + 0.5 + 0.1 * noise}[name]
        kind = {"ct": np.int16, "mask": np.uint8, "pet": np.float32}[name]
        image = sitk.GetImageFromArray(values.astype(kind))
        image.SetSpacing([spacing] * 3)
        image.SetOrigin([-(n - 1) / 2 * spacing] * 3)
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))


def write_config(folder, steps=(30, 20), **changes):
    folder.mkdir(exist_ok=True)
    (folder / "split.json").write_text(json.dumps({"train": ["a", "b"], "select": ["c"]}))
    raw = {"name": "tiny", "version": "1", "split": "split.json", "architecture": ARCHITECTURE, "region": "a test",
           "preprocessing": {"spacing_mm": [4.0, 4.0, 4.0]},
           "stages": [{"name": "ct", "steps": steps[0], "rate": 3e-3}, {"name": "pet", "steps": steps[1], "rate": 3e-3}],
           "labels": [LABEL]}
    (folder / "train.json").write_text(json.dumps(raw | changes))
    return folder / "train.json"

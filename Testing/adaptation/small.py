"""A study small enough to be a case a hundred times over; run as a program it adds cases, also one that gets killed.

python small.py add LIBRARY START NAME...   waits for the file START, adds a study for each name, prints what was refused
python small.py kill LIBRARY ACTION         does ACTION on a copy of LIBRARY in a child that dies at its n-th touch of a file,
                                            for every n; prints its exit code and the whole cases that it left
"""

import os
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from PEMMASegmentLib.adaptation.library import CaseLibrary, Origin
from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.study.types import PetCtStudy, Suv

KILLED = 9


def study(seed: int = 0, side: int = 12, spacing: float = 4.0) -> PetCtStudy:
    """Warm water in air, turned against the axes; no two seeds alike."""
    rng = np.random.default_rng(seed)
    ct = np.full((side, side, side), -1000, np.int16)
    ct[2:-2, 1:-1, 1:-1] = rng.integers(0, 80, (side - 4, side - 2, side - 2))
    pet = rng.gamma(2.0, 1.0, (side - 2, side // 2 + 2, side // 2 + 2)).astype(np.float32)
    pet_image = _placed(pet, (2 * spacing, 2 * spacing, spacing))
    return PetCtStudy(_placed(ct, (spacing, spacing, spacing)), pet_image, suv=Suv("made up", None), kind="nifti")


def contour(of: PetCtStudy) -> sitk.Image:
    """A ball and a voxel apart from it, which is too small for a lesion."""
    z, y, x = np.indices(of.grid.GetSize()[::-1])
    middle = (np.array(of.grid.GetSize()[::-1]) - 1) / 2
    inside = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 <= 4
    inside[3, 2, 2] = True
    label = sitk.GetImageFromArray(inside.astype(np.uint8))
    label.CopyInformation(of.grid)
    return label


def _placed(voxels: np.ndarray, spacing) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([s * (1 + 1e-9) for s in spacing])  # more than float32 holds
    image.SetOrigin((-123.456789012345, 1 / 3, 578.519999999997))
    image.SetDirection(sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.3).GetMatrix())
    return image


def add(library: CaseLibrary, seed: int, patient: str | None = None, **more):
    made = study(seed)
    return library.add(made, contour(made), patient=patient, **{"origin": Origin("scratch"), **more})


def _add_when_told(library: CaseLibrary, start: Path, names: list[str]) -> None:
    """Each rename is held back a moment, so that the programs meet at every one of them."""
    sys.addaudithook(lambda event, arguments: time.sleep(0.05) if event == "os.rename" else None)
    assert "torch" not in sys.modules  # the library of cases starts at once
    print("ready", flush=True)
    while not start.exists():
        time.sleep(0.01)
    for name in names:
        try:
            add(library, int(name), patient=f"patient {int(name) % 3}")
        except PemmaError as error:
            print(name, error.code)


def _kill(before: Path, action: str) -> None:
    """Nothing of ITK runs in this process itself: its threads would be missing in the children."""
    touches = 0
    while True:
        touches += 1
        library = CaseLibrary(before.with_name(f"{action} {touches}"))
        if before.is_dir():
            shutil.copytree(before, library.folder)
        child = os.fork()
        if not child:
            _die_at(touches)
            _act(library, action)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = [library.check(id).id for id in library.ids()] if library.folder.is_dir() else []
        print(os.waitstatus_to_exitcode(status), *left)
        shutil.rmtree(library.folder, ignore_errors=True)
        if os.waitstatus_to_exitcode(status) != KILLED:
            return


def _die_at(touches: int) -> None:
    left = [touches]

    def hook(event: str, arguments) -> None:
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree"):
            left[0] -= 1
            if not left[0]:
                os._exit(KILLED)

    sys.addaudithook(hook)


def _act(library: CaseLibrary, action: str) -> None:
    if action == "add":
        add(library, 0)
    elif action == "import":
        library.import_(library.folder.parent / "cases.zip")
    else:
        library.remove(library.ids()[0])
        add(library, 0)


if __name__ == "__main__":
    if sys.argv[1] == "add":
        _add_when_told(CaseLibrary(Path(sys.argv[2])), Path(sys.argv[3]), sys.argv[4:])
    else:
        _kill(Path(sys.argv[2]), sys.argv[3])

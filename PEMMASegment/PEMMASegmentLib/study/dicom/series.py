"""One series as a volume to be: its slices, its grid and its way to SUV, or what speaks against it."""

from dataclasses import dataclass, field

from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    PositronEmissionTomographyImageStorage,
)

from ...core import PemmaError, PemmaWarning
from .. import suv
from ..types import Typed
from . import geometry
from .files import File

#: SOP class -> (modality, is it multi-frame, is it legacy converted)
CLASSES = {
    CTImageStorage: ("CT", False, False),
    EnhancedCTImageStorage: ("CT", True, False),
    LegacyConvertedEnhancedCTImageStorage: ("CT", True, True),
    PositronEmissionTomographyImageStorage: ("PT", False, False),
    EnhancedPETImageStorage: ("PT", True, False),
    LegacyConvertedEnhancedPETImageStorage: ("PT", True, True),
}
NAME = {"CT": "CT", "PT": "PET"}
OPTION = {"CT": "--ct-series", "PT": "--pet-series"}


@dataclass(frozen=True)
class Slice:
    """One image of a series: a file, or frame number `frame` of a multi-frame file with its header laid out flat."""

    header: Dataset
    file: File
    frame: int | None
    plane: geometry.Plane


@dataclass
class Series:
    """Images of one Series Instance UID that belong together.

    Either `problem` says why it can't be loaded, or `slices` (ascending along the normal), `grid` and, for PET,
    `plan` are there.
    """

    uid: str
    modality: str
    files: list[File]
    slices: list[Slice] = field(default_factory=list)
    grid: geometry.Grid | None = None
    plan: suv.Plan | None = None
    warnings: list[PemmaWarning] = field(default_factory=list)
    problem: PemmaError | None = None
    part: str = ""

    def warn(self, code: str, sentence: str, way_out: str = "") -> None:
        self.warnings.append(PemmaWarning(code, sentence, way_out))

    def doubt(self, typed: Typed) -> bool:
        """Lets typed values go before the header's in the PET's plan; whether that changed anything."""
        before, self.plan = self.plan, self._plan(typed, doubted=True)
        self.warnings = [told for told in self.warnings if told not in before.warnings] + [*self.plan.warnings]
        return self.plan.summary.typed != before.summary.typed

    def _plan(self, typed: Typed, doubted: bool = False) -> suv.Plan:
        return suv.plan([s.header for s in self.slices], typed, self.enhanced, doubted)

    @property
    def enhanced(self) -> bool:
        _, multiframe, legacy = CLASSES[self.files[0].header.SOPClassUID]
        return multiframe and not legacy

    @property
    def header(self) -> Dataset:
        return self.slices[0].header if self.slices else self.files[0].header

    @property
    def usable(self) -> bool:
        return self.problem is None

    @property
    def count(self) -> int:
        return len(self.slices) or len(self.files)

    @property
    def multiframe(self) -> bool:
        return CLASSES[self.files[0].header.SOPClassUID][1]

"""A site's annotated cases in a folder of the user's choice: add, list, read, remove, import, export; a ledger of tries.

    private/key               turns Patient IDs into pseudonyms; beside it the names of all tries; never exported
    cases/<id>/case.json      the card (`cards.CaseCard`); beside it ct.nii.gz, pet.nii.gz, mask.nii.gz, thumbnail.png
    tries/<name>.json         one file a try of adaptation (`tries.TryFolder`)

Everything is written under a temporary name and renamed whole, so that a killed program leaves no half case and two
programs at once lose nothing. There is no lock and no index: what lies in the folder is the library.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from ..core import PemmaError
from ..core.components import components
from ..core.files import as_utf8, flush, folder_made, write_text
from ..core.folders import is_litter
from ..core.images import voxel_ml, voxels_in
from ..core.resources import user_folder
from ..core.types import SMALLEST_ML
from ..study import scanner
from ..study.types import PetCtStudy, Suv
from . import cards, exchange, fitness, keys, thumbnail, volumes
from .cards import CaseCard, Origin, Score, Volume
from .identity import pseudonym, refuse_identity
from .placing import REMOVED, WRITING, place, sweep, writing
from .tries import TryFolder, of_cases, together

if TYPE_CHECKING:
    from .types import SiteCase

__all__ = ["CaseCard", "CaseLibrary", "Origin", "Score", "Volume"]

CARD, THUMBNAIL = "case.json", "thumbnail.png"
_CASES, _PRIVATE, _TRIES = "cases", "private", "tries"
_ELSEWHERE = "free some space, or copy the whole library to where you may write (PEMMA_SEGMENT_HOME for the folder `tries`)"
_USERS_OWN = "free some space, or name a folder that you may write to in PEMMA_SEGMENT_HOME"


class CaseLibrary:
    """The cases in one folder. Nothing is kept in memory: other programs may add and remove cases at any time."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

    def add(
        self, study: PetCtStudy, label: sitk.Image, *, patient: str | None, origin: Origin, note: str = "",
        blind: Sequence[Score] = (), blind_left_out: str = "",
    ) -> CaseCard:  # fmt: skip
        """Takes in a study with its contour (uint8, above 0 inside, on `study.grid`).

        patient: the Patient ID or another name that is the same for all studies of a patient; only its pseudonym is
        kept. None: nobody knows, the study counts as a patient of its own. Raises PemmaError for what can't be a case
        (`fitness`), a study that is there already, a note that tells the patient, and "cannot-write".
        blind_left_out is not searched for the patient: it is mostly our own sentence. Who has a person's words for it asks
        `check_new` with them first.
        """
        self.check_new(study, label, patient, (note,))
        with self._temporary() as folder:
            id = id_of(study)
            stored = {name: volumes.write(name, image, folder) for name, image in _images(study, label)}
            thumbnail.write(folder / THUMBNAIL, study, label)
            self._make()  # late: a disk that is full by then, or a stop, leaves no library without a case
            card = CaseCard(
                id=id, patient=pseudonym(self._key(), patient or f"study {id}"), origin=origin, inputs=_inputs(study),
                volume_ml=_marked_ml(label), lesions=_lesions(label), scanner=scanner.facts(study), volumes=stored,
                blind=tuple(blind), blind_left_out=blind_left_out, note=note,
                suv_typed=study.suv.typed if study.suv else (),
            )  # fmt: skip
            card = replace(card, sha256=cards.hash_of(card))
            write_text(folder / CARD, cards.to_text(card))
            if not place(folder, self._cases / id):
                raise _known(id)
        return card

    def check_new(
        self, study: PetCtStudy, label: sitk.Image, patient: str | None = None, texts: Sequence[str] = ()
    ) -> None:
        """Raises what `add` would raise, before anything is written; texts: notes. For callers with long work between."""
        self._check_ours()
        as_utf8(self.folder)  # ITK will write its images
        fitness.check(study, label)
        refuse_identity(texts, study, patient)
        self._refuse_known(study)

    def ids(self) -> list[str]:
        """All cases, damaged ones too. Raises PemmaError "no-library"."""
        self._check_ours()
        if not self.folder.is_dir():
            raise PemmaError("no-library", "there is no case library", "check --library", self.folder.name)
        return sorted(f.name for f in self._cases.iterdir() if cards.is_id(f.name)) if self._cases.is_dir() else []

    def cards(self) -> list[CaseCard]:
        """The cards of all cases but damaged ones, which `damaged` tells."""
        return [card for card, _ in self._survey() if card]

    def damaged(self) -> list[PemmaError]:
        """What is wrong with which case, as far as card and lengths of the files tell; `check` looks closer."""
        return [error for _, error in self._survey() if error]

    def card(self, id: str) -> CaseCard:
        """One card. Raises PemmaError "case-unknown", "case-damaged" or "case-schema"."""
        with self._case(id) as folder:
            try:
                card = cards.from_text((folder / CARD).read_bytes(), id)
            except OSError as error:
                raise cards.damaged(id, "it has no case.json") from error
            for name, volume in card.volumes.items():
                volumes.check_length(id, name, volume, folder)
        return card

    def check(self, id: str) -> CaseCard:
        """The card of a case whose every file has the hash that the card states. Raises PemmaError as `card` does."""
        card = self.card(id)
        with self._case(id) as folder:
            for name, volume in card.volumes.items():
                volumes.check(id, name, volume, folder)
        return card

    def read(self, id: str) -> "SiteCase":
        """A case in memory, checked by hash: the same voxels and geometry as were added. Raises as `card` does."""
        from .types import SiteCase

        card = self.card(id)
        with self._case(id) as folder:
            images = {name: volumes.read(id, name, volume, folder) for name, volume in card.volumes.items()}
        suv = Suv("SUVbw as the case library keeps it", 1.0, card.suv_typed) if "pet" in images else None
        study = PetCtStudy(images.get("ct"), images.get("pet"), suv=suv, study_key=f"case {card.sha256}", kind="nifti")
        return SiteCase(card.id, card.patient, study, images["mask"], card.origin.independent)

    def thumbnail(self, id: str) -> Path:
        """A PNG of 388 x 192 pixels; drawn again where it is missing."""
        file = self._folder(id) / THUMBNAIL
        if not file.is_file():
            case = self.read(id)
            with writing(self.folder):
                thumbnail.write(file, case.study, case.label)
        return file

    def remove(self, id: str) -> None:
        """Deletes a case, also a damaged one; whole or not at all. Raises PemmaError "case-unknown", "cannot-write"."""
        folder = self._folder(id)
        with writing(self.folder):
            aside = Path(tempfile.mkdtemp(prefix=REMOVED, dir=self.folder))
            try:
                os.rename(folder, aside / id)
            except FileNotFoundError:
                if folder.exists():  # another program took our empty folder for a killed one's
                    return self.remove(id)
                raise _unknown(id) from None
            finally:
                shutil.rmtree(aside, ignore_errors=True)

    def export(self, ids: Sequence[str], file: Path, own: "CaseLibrary | None" = None) -> None:
        """Writes cases into a zip, byte for byte, with the tries on their patients and images, without the key.

        own: the user's own ledger, which knows of tries elsewhere. Each case is checked by hash first. Raises PemmaError
        "case-unknown", "case-damaged", "cannot-write".
        """
        with writing(file):
            cases = {id: (self._folder(id), self.check(id)) for id in dict.fromkeys(ids)}
            patients = {card.patient for _, card in cases.values()}
            tries = together(self.book, (own or self).book)
            images = {content[:12] for id in cases for content in volumes.contents_of(self.read(id).study)} if tries else ()
            exchange.write(file, cases, of_cases(tries, patients, images))

    def import_(self, file: Path) -> list[CaseCard]:
        """Takes in all cases of a zip that `export` wrote, or none; cases that are here already stay as they are.

        Gives the cards of all cases in the zip. A patient keeps the pseudonym of the library that exported the case, and
        the tries on its patients count here too: they are written down before the first case is there.
        Raises PemmaError "case-file" for a zip that is not ours, "case-damaged", "case-known" where another
        contour of the same study is here, "cannot-write".
        """
        self._check_ours()
        exchange.check_file(Path(file))
        with self._temporary() as folder:
            found, tries = exchange.unpack(file, folder)
            new = [card for card in found if self._takes(card, folder / card.id)]
            self._make()
            self.book.take_in(tries)
            self._place_all(folder, new)
        return found

    def pseudonym(self, patient: str) -> str:
        """What stands for a patient here; in another library it is another. Raises PemmaError "cannot-write", "library-key".

        For a library that is no more than a ledger in the user's own folder: cases get theirs when they are added.
        """
        with writing(self.folder, _USERS_OWN):
            self.folder.mkdir(parents=True, exist_ok=True)
            return pseudonym(self._key(), patient)

    def record_try(self, about: dict) -> None:
        """Adds a try of adaptation to the ledger, unless this very one is there.

        `about`: plain values, nothing of a patient's identity; one without pseudonyms does without their key.
        """
        with writing(self.folder, _ELSEWHERE):
            self.folder.mkdir(parents=True, exist_ok=True)
            if about["held_out"] or not self.book:
                self._key()
            self.book.take_in([about])

    def record_tries_of(self, library: "CaseLibrary") -> None:
        """Adds the tries of a library to the user's own ledger, by their images alone: its patients have other pseudonyms."""
        with writing(self.folder, _ELSEWHERE):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.book:
                self._key()
            self.book.take_images(library.book)

    def check_tries(self, pseudonyms: bool = True) -> None:
        """Raises what `record_try` would raise, as far as that can be told before; for callers with long work between."""
        with writing(self.folder, _ELSEWHERE):
            if pseudonyms and (self._cases.is_dir() or self.book):
                self._key()
            self.book.check()

    def tries(self) -> list[dict]:
        """What `record_try` was given, oldest first; {"lost": hash} for each try whose entry is damaged or was deleted."""
        return self.book.all()

    @property
    def _cases(self) -> Path:
        return self.folder / _CASES

    @property
    def book(self) -> TryFolder:
        """The ledger's files."""
        return TryFolder(self.folder / _TRIES, self._private)

    @property
    def _private(self) -> Path:
        return self.folder / _PRIVATE

    def _folder(self, id: str) -> Path:
        if not cards.is_id(id) or not (self._cases / id).exists():
            raise _unknown(id)
        return self._cases / id

    @contextmanager
    def _case(self, id: str) -> Iterator[Path]:
        """A case's folder; what goes wrong because another program removes it meanwhile is "case-unknown"."""
        folder = self._folder(id)
        try:
            yield folder
        except PemmaError:
            if not folder.exists():
                raise _unknown(id) from None
            raise

    def _survey(self) -> Iterator[tuple[CaseCard | None, PemmaError | None]]:
        for id in self.ids():
            try:
                yield self.card(id), None
            except PemmaError as error:
                if error.code != "case-unknown":  # removed by another program since
                    yield None, error

    def _check_ours(self) -> None:
        """Refuses a folder that holds something else: cases would be strewn among a user's files."""
        if self.folder.is_dir() and not self._cases.is_dir():
            names = {f.name for f in self.folder.iterdir() if not f.name.startswith(".")} - {_PRIVATE, _TRIES}
            if not all(map(is_litter, names)):
                raise PemmaError("not-a-library", "the folder holds something else than a case library",
                                 "name a new or an empty folder with --library", self.folder.name)
        elif self.folder.exists() and not self.folder.is_dir():
            raise PemmaError("not-a-library", "the case library is a file", "name a folder", self.folder.name)

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        """A temporary folder in the library's own; gone at the end, with the latter where nothing was put into it."""
        with writing(self.folder), folder_made(self.folder):
            sweep(self.folder)
            folder = Path(tempfile.mkdtemp(prefix=WRITING, dir=self.folder))
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def _make(self) -> None:
        """Key and place of the cases, where they are missing."""
        self._key()
        self._cases.mkdir(exist_ok=True)
        flush(self.folder)

    def _place_all(self, folder: Path, new: Sequence[CaseCard]) -> None:
        placed = []
        try:
            for card in new:
                if not place(folder / card.id, self._cases / card.id):
                    raise _known(card.id)
                placed.append(card.id)
        except (OSError, PemmaError):
            for id in placed:
                self.remove(id)
            raise

    def _takes(self, card: CaseCard, folder: Path) -> bool:
        """Draws the thumbnail of an unpacked case, unless this very one is here. Raises PemmaError as `_refuse_known`."""
        if self._cases.is_dir() and any(here.sha256 == card.sha256 for here in self.cards()):
            return False
        study, label = _shown(folder, card)
        self._refuse_known(study)
        thumbnail.write(folder / THUMBNAIL, study, label)
        return True

    def _refuse_known(self, study: PetCtStudy) -> None:
        """Raises PemmaError "case-known" when a case of this study is here, whatever its contour."""
        for card in self.cards() if self._cases.is_dir() else ():
            if volumes.are_of(card.volumes, study):
                raise _known(card.id)
        if (self._cases / id_of(study)).exists():  # one that is damaged
            raise _known(id_of(study))

    def _key(self) -> bytes:
        """The key of the pseudonyms, made with the library.

        Another one in its place would give the patients other pseudonyms, and no earlier try would count for them.
        """
        had_cases, had_tries = self._cases.is_dir(), bool(self.book)  # asked first: another program makes the key before them
        if not keys.is_there(self._private):
            if had_cases or had_tries:
                raise keys.lost(had_cases)
            keys.make(self._private)
        return keys.read(self._private)


def own_ledger() -> CaseLibrary:
    """The user's own ledger; a library without cases, whose key makes the pseudonyms of study folders' patients."""
    return CaseLibrary(user_folder() / "tries")


def _known(id: str) -> PemmaError:
    return PemmaError("case-known", f"the study is in the library already, as case {id}",
                      "remove that case first to put another contour in its place")


def _unknown(id: str) -> PemmaError:
    name = id if cards.is_id(id) else "of that name"
    return PemmaError("case-unknown", f"there is no case {name}", "see `pemma-segment cases list`")


def id_of(study: PetCtStudy) -> str:
    """Made from the image that the contour lies on: the same study gets the same id, whichever program adds it."""
    return volumes.content_of(study.grid)[:12]


def _images(study: PetCtStudy, label: sitk.Image) -> list[tuple[str, sitk.Image]]:
    mask = label > 0
    return [(name, image) for name, image in (("ct", study.ct), ("pet", study.pet), ("mask", mask)) if image is not None]


def _shown(folder: Path, card: CaseCard) -> tuple[PetCtStudy, sitk.Image]:
    images = {name: volumes.read(card.id, name, volume, folder) for name, volume in card.volumes.items()}
    return PetCtStudy(images.get("ct"), images.get("pet")), images["mask"]


def _inputs(study: PetCtStudy) -> str:
    return "+".join(name for name in ("ct", "pet") if getattr(study, name) is not None)


def _marked_ml(label: sitk.Image) -> float:
    return float(np.count_nonzero(sitk.GetArrayViewFromImage(label)) * voxel_ml(label))


def _lesions(label: sitk.Image) -> int:
    """Components of the contour that are lesions by their volume; of a contour of smaller ones all."""
    least = voxels_in(SMALLEST_ML, label)
    return len(components(label, least)[1]) or len(components(label)[1])

"""A site's annotated cases in a folder of the user's choice: add, list, read, remove, import, export; a ledger of tries.

    private, tries    the key of the pseudonyms, and the ledger (`book.Book`)
    cases/<id>        the cases (`casefolder`)

Everything is written under a temporary name and renamed whole, so that a killed program leaves no half case and two
programs at once lose nothing. There is no lock and no index: what lies in the folder is the library.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from ..core import PemmaError
from ..core.files import as_utf8, flush
from ..core.folders import is_litter
from ..study.types import PetCtStudy
from . import cards, casefolder, exchange, fitness, placing, thumbnail, volumes
from .book import PRIVATE, TRIES, Book
from .cards import CaseCard, Origin, Score, Volume
from .casefolder import THUMBNAIL, id_of
from .identity import pseudonym, refuse_identity
from .placing import place, writing
from .tries import of_cases, together

if TYPE_CHECKING:
    from .types import SiteCase

__all__ = ["CaseCard", "CaseLibrary", "Origin", "Score", "Volume"]


class CaseLibrary(Book):
    """The cases in one folder. Nothing is kept in memory: other programs may add and remove cases at any time."""

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
        with placing.temporary(self.folder) as folder:
            stored, id = casefolder.write_images(folder, study, label), id_of(study)
            self._make()  # late: a disk that is full by then, or a stop, leaves no library without a case
            card = casefolder.write_card(
                folder, study, label, stored, patient=pseudonym(self._key(), patient or f"study {id}"), origin=origin, note=note,
                blind=blind, blind_left_out=blind_left_out,
            )  # fmt: skip
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
            return casefolder.card(folder, id)

    def check(self, id: str) -> CaseCard:
        """The card of a case whose every file has the hash that the card states. Raises PemmaError as `card` does."""
        card = self.card(id)
        with self._case(id) as folder:
            casefolder.check(folder, card)
        return card

    def read(self, id: str) -> "SiteCase":
        """A case in memory, checked by hash: the same voxels and geometry as were added. Raises as `card` does."""
        from .types import SiteCase

        card = self.card(id)
        with self._case(id) as folder:
            study, label = casefolder.read(folder, card)
        return SiteCase(card.id, card.patient, study, label, card.origin.independent)

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
            if not placing.remove(folder, self.folder):
                raise _unknown(id)

    def export(self, ids: Sequence[str], file: Path, own: Book | None = None) -> None:
        """Writes cases into a zip, byte for byte, with the tries on their patients and images, without the key.

        own: the user's own ledger, which knows of tries elsewhere. Each case is checked by hash first. Raises PemmaError
        "case-unknown", "case-damaged", "cannot-write".
        """
        with writing(file):
            cases = {id: (self._folder(id), self.check(id)) for id in dict.fromkeys(ids)}
            patients = {card.patient for _, card in cases.values()}
            tries = together(self.entries, (own or self).entries)
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
        with placing.temporary(self.folder) as folder:
            found, tries = exchange.unpack(file, folder)
            new = [card for card in found if self._takes(card, folder / card.id)]
            self._make()
            self.entries.take_in(tries)
            self._place_all(folder, new)
        return found

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
            names = {f.name for f in self.folder.iterdir() if not f.name.startswith(".")} - {PRIVATE, TRIES}
            if not all(map(is_litter, names)):
                raise PemmaError("not-a-library", "the folder holds something else than a case library",
                                 "name a new or an empty folder with --library", self.folder.name)
        elif self.folder.exists() and not self.folder.is_dir():
            raise PemmaError("not-a-library", "the case library is a file", "name a folder", self.folder.name)

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
        study, label = casefolder.read(folder, card)
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

def _known(id: str) -> PemmaError:
    return PemmaError("case-known", f"the study is in the library already, as case {id}",
                      "remove that case first to put another contour in its place")


def _unknown(id: str) -> PemmaError:
    name = id if cards.is_id(id) else "of that name"
    return PemmaError("case-unknown", f"there is no case {name}", "see `pemma-segment cases list`")

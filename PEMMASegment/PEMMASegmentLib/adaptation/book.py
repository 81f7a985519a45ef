"""The ledger of tries in a folder with the key of the pseudonyms that it tells: of a case library, and of the user.

    private/key           turns Patient IDs into pseudonyms; beside it the names of all tries; never exported
    tries/<name>.json     one file a try of adaptation (`tries.TryFolder`)
"""

from pathlib import Path

from ..core.resources import user_folder
from . import keys
from .identity import pseudonym
from .placing import writing
from .tries import TryFolder

CASES, PRIVATE, TRIES = "cases", "private", "tries"
_ELSEWHERE = "free some space, or copy the whole library to where you may write (PEMMA_SEGMENT_HOME for the folder `tries`)"
_USERS_OWN = "free some space, or name a folder that you may write to in PEMMA_SEGMENT_HOME"


class Book:
    """A `ledger.Ledger`. Nothing is kept in memory: other programs may write at any time."""

    def __init__(self, folder: Path):
        self.folder = Path(folder)

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
            if about["held_out"] or not self.entries:
                self._key()
            self.entries.take_in([about])

    def record_tries_of(self, other: "Book") -> None:
        """Adds the tries of another book to the user's own, by their images alone: its patients have other pseudonyms."""
        with writing(self.folder, _ELSEWHERE):
            self.folder.mkdir(parents=True, exist_ok=True)
            if not self.entries:
                self._key()
            self.entries.take_images(other.entries)

    def check_tries(self, pseudonyms: bool = True) -> None:
        """Raises what `record_try` would raise, as far as that can be told before; for callers with long work between."""
        with writing(self.folder, _ELSEWHERE):
            if pseudonyms and (self._cases.is_dir() or self.entries):
                self._key()
            self.entries.check()

    def tries(self) -> list[dict]:
        """What `record_try` was given, oldest first; {"lost": hash} for each try whose entry is damaged or was deleted."""
        return self.entries.all()

    @property
    def _cases(self) -> Path:
        return self.folder / CASES

    @property
    def entries(self) -> TryFolder:
        """The ledger's files."""
        return TryFolder(self.folder / TRIES, self._private)

    @property
    def _private(self) -> Path:
        return self.folder / PRIVATE

    def _key(self) -> bytes:
        """The key of the pseudonyms, made with the library.

        Another one in its place would give the patients other pseudonyms, and no earlier try would count for them.
        """
        had_cases, had_tries = self._cases.is_dir(), bool(self.entries)  # asked first: another program makes the key before them
        if not keys.is_there(self._private):
            if had_cases or had_tries:
                raise keys.lost(had_cases)
            keys.make(self._private)
        return keys.read(self._private)


def own_ledger() -> Book:
    """The user's own ledger; its key makes the pseudonyms of study folders' patients."""
    return Book(user_folder() / "tries")

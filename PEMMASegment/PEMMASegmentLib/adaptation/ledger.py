"""How often the scores of a site's patients have been looked at. Each look is written down first and raises the bar.

A try is a procedure with its recipe on a base, cases, inputs and a seed. On the CPU the same try again gives the same
scores and counts once; a GPU adds in any order, so that there each run is a look of its own. A try counts for a proof
when one of its held-out patients is among the proof's, or one of their images: a study that is taken out and added again
under another name is of the same patient. Tries whose entry was deleted or damaged count as well, for
whatever patients, and the result tells how many they are: `tries` says which of them leave a trace. Cases that go to
another library take the tries on their patients with them. Studies that are added to another library anew have other
pseudonyms there: they are known by their images, to the same user (`WithOwn`).
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .. import __version__
from ..core import Identity
from .book import Book
from .fewshot import digest
from .tries import meets, together
from .types import Procedure, SiteCase
from .volumes import contents_of

#: Digest, patient's pseudonym, and whether it is scored, of a case.
Stated = tuple[str, str, bool]


class Ledger(Protocol):
    """Append-only; `book.Book` is one."""

    def tries(self) -> list[dict]: ...

    def record_try(self, about: dict) -> None:
        """Adds a try, unless this very one is there."""
        ...

    def check_tries(self) -> None:
        """Raises what `record_try` would raise, before long work whose scores could not be opened then."""
        ...


@dataclass(frozen=True)
class WithOwn:
    """A library's ledger and the user's own one, in which each try stands by its images alone: it counts wherever this
    user has the same images, in another library or as study folders."""

    library: Book
    own: Book

    def tries(self) -> list[dict]:
        return together(self.library.entries, self.own.entries)

    def record_try(self, about: dict) -> None:
        self.library.record_try(about)
        self.own.record_tries_of(self.library)  # this one, and those of an earlier version or another user

    def check_tries(self) -> None:
        self.library.check_tries()
        self.own.check_tries(pseudonyms=False)


@dataclass(frozen=True)
class Tries:
    """count: this one and all before it on these patients. lost: how many of them have no entry any more."""

    count: int
    lost: int = 0


def about(procedure: Procedure, base: Identity, cases: Sequence[Stated], inputs: str, seed: int, held_out: Sequence[str],
          device: str = "cpu", images: Sequence[str] = ()) -> dict:
    """The entry of a try. cases: as `stated` gives them; held_out: pseudonyms of the patients whose scores open; images: as
    `images_of` them.

    device: torch's type of the device. The recipe is told by the procedure's words and by this library's version.
    """
    made_of = [__version__, procedure.name, procedure.words, base.sha256, list(cases), inputs, seed]
    made_of += [] if device == "cpu" else [secrets.token_hex()]
    return {"try": hashlib.sha256(json.dumps(made_of).encode()).hexdigest(), "procedure": procedure.name,
            "words": procedure.words, "base": f"{base.name} {base.version}", "inputs": inputs, "seed": seed,
            "held_out": sorted(set(held_out)), "images": list(images)}


def stated(cases: Sequence[SiteCase]) -> list[Stated]:
    """What makes the same cases the same try: voxels and contours, in the order that training draws them in, and what the
    folds follow from, each one's patient and whether it is scored."""
    return [(digest(case), case.patient, case.independent) for case in cases]


def images_of(cases: Sequence[SiteCase], patients: Sequence[str]) -> list[str]:
    """12 digits of each of the hashes of these patients' images (`volumes.contents_of`)."""
    return sorted({content[:12] for case in cases if case.patient in patients for content in contents_of(case.study)})


def open_scores(ledger: Ledger, entry: dict) -> Tries:
    """Writes a try down, where this very one is not there already, and says how many there are; then scores may be opened.

    Written first and counted then: of two programs at once at least the later one counts both.
    """
    ledger.record_try(entry)
    known = ledger.tries()
    lost = sum("lost" in one for one in known)
    same_patients = {one["try"] for one in known if "try" in one and meets(one, entry["held_out"], entry.get("images", ()))}
    return Tries(len(same_patients | {entry["try"]}) + lost, lost)

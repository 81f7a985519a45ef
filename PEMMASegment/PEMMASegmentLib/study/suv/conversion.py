"""What the steps of one conversion to SUVbw share: the headers, the typed values, and the record of what was done."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pydicom import Dataset

from ...core import PemmaError, PemmaWarning
from .. import tags
from ..types import Typed

USE_CT = "use --inputs ct, or choose another series with --pet-series"
NOT_SUV = "choose a PET series in Bq/ml or SUV with --pet-series, or use --inputs ct"
OR_CT = ", or use --inputs ct"

T = TypeVar("T")
#: warn(code, sentence, what to do)
Warn = Callable[[str, str, str], None]


class ToBeTyped(PemmaError):
    """A refusal that a typed value puts right; its way out is `type_it`."""


def type_it(name: str, option: str) -> str:
    return f"give the {name} with {option}{OR_CT}"


def all_of(*reads: Callable[[], T]) -> list[T]:
    """What each of them gives. Several values that have to be typed are one refusal, so that they are told at once; one
    that no typed value puts right goes before them."""
    found, to_type = [], []
    for read in reads:
        try:
            found.append(read())
        except ToBeTyped as problem:
            to_type.append(problem)
    if not to_type:
        return found
    sentence = "; ".join(problem.sentence for problem in to_type)
    ways = ", ".join(problem.way_out.removesuffix(OR_CT) for problem in to_type)
    raise ToBeTyped(to_type[0].code, sentence, ways + OR_CT, to_type[0].place)


def stated_or_typed(
    stated: Callable[[Warn], T], typed: Callable[[Warn, T | None], T] | None, warn: Warn, doubted: bool
) -> T:
    """What the header states; what was typed where the header's can't be used or is doubted: something is told of it, or
    `doubted` says so.

    Of the two only the one that is used is told of. typed: None if nothing was typed; it gets what the header states, None
    if that can't be used.
    """
    found = None
    told: list[tuple[str, str, str]] = []

    def tell(code: str, sentence: str, way_out: str) -> None:
        told.append((code, sentence, way_out))

    try:
        found = stated(tell)
        doubted = doubted or bool(told)
    except PemmaError:
        if typed is None:
            raise
        doubted = True
    if doubted and typed is not None:
        told.clear()
        found = typed(tell, found)
    for one in told:
        warn(*one)
    return found


@dataclass
class Conversion:
    """One series on its way to SUVbw: its slices' headers, typed values, and what was found so far.

    doubted: whether typed values go before the header's; words: the route; used: names of the typed values that were needed;
    options: of the command line, for the values that this route needs.
    """

    headers: Sequence[Dataset]
    typed: Typed
    enhanced: bool
    doubted: bool = False
    words: list[str] = field(default_factory=list)
    warnings: list[PemmaWarning] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)

    @property
    def first(self) -> Dataset:
        return self.headers[0]

    def warn(self, code: str, sentence: str, way_out: str = "") -> None:
        warning = PemmaWarning(code, sentence, way_out)
        if warning not in self.warnings:
            self.warnings.append(warning)

    def same(self, keyword: str) -> str:
        """A text that all slices agree on, upper case."""
        return tags.same(self.headers, lambda header: tags.text(header, keyword).upper(), keyword)

    def flag_typed(self, name: str, instead_of: str = "") -> None:
        """Records that a typed value was used; instead_of: a clause on the header's one, "" if it has none of use."""
        self.used.append(name)
        self.warn(
            "typed-value",
            f"the {name} was typed in by the user; {instead_of or 'the header gives none that can be relied on'}",
            "check it against the record",
        )

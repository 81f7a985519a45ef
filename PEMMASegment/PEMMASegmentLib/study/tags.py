"""Header values read with care: a checked number, text or private value, or a refusal that names the tag."""

import functools
import math
import struct
import warnings
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from pydicom import Dataset
from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.tag import Tag

from ..core import PemmaError

#: What pydicom raises when a value is converted on first access and its bytes make no sense.
VALUE_ERRORS = (
    BytesLengthException,
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    LookupError,
    NotImplementedError,
    struct.error,
)
EXPORT_AGAIN = "export the series again from the PACS"

P, R, T = ParamSpec("P"), TypeVar("R"), TypeVar("T")


def quiet(work: Callable[P, R]) -> Callable[P, R]:
    """Keeps pydicom's warnings off the terminal: they may print values of a patient."""

    @functools.wraps(work)
    def inner(*args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work(*args, **kwargs)

    return inner


def title(keyword: str) -> str:
    """A tag in words and numbers: "Patient's Weight (0010,1030)"."""
    tag = Tag(tag_for_keyword(keyword))
    return f"{dictionary_description(tag)} ({tag.group:04X},{tag.element:04X})"


def place(keyword: str) -> str:
    """The tag's number, as errors give it in `place`: "(0010,1030)"."""
    return title(keyword).rpartition(" ")[2]


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """All values of a DS, IS or binary number; () if absent or empty. Refuses what is no finite number."""
    try:
        values = tuple(float(v) for v in _raw_values(dataset, keyword))
    except VALUE_ERRORS:
        raise PemmaError(
            "value-not-a-number", f"{title(keyword)} is not a number", EXPORT_AGAIN, place(keyword)
        ) from None
    if not all(math.isfinite(v) for v in values):
        raise PemmaError("value-not-finite", f"{title(keyword)} is not a finite number", EXPORT_AGAIN, place(keyword))
    return values


def number(dataset: Dataset, keyword: str) -> float | None:
    """One number, None if absent or empty. Refuses several values and what is no finite number."""
    values = numbers(dataset, keyword)
    if len(values) > 1:
        raise PemmaError(
            "value-ambiguous",
            f"{title(keyword)} has {len(values)} values where one is allowed",
            EXPORT_AGAIN,
            place(keyword),
        )
    return values[0] if values else None


def _raw_values(dataset: Dataset, keyword: str) -> Sequence:
    """Values as text where the VR is a text (pydicom would refuse "300000.5" as IS), converted otherwise."""
    if keyword not in dataset:
        return ()
    element = dataset.get_item(keyword)
    if isinstance(element, RawDataElement) and dictionary_VR(keyword) in ("DS", "IS"):
        stored = bytes(element.value or b"").decode("ascii", "replace").strip(" \0")
        return [v.strip(" \0") for v in stored.split("\\")] if stored else ()
    value = dataset[keyword].value
    if value is None or value == "":
        return ()
    return value if isinstance(value, MultiValue | list | tuple) else (value,)


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """All values of a text, stripped; () if absent, empty or unreadable."""
    try:
        value = dataset.get(keyword)
    except VALUE_ERRORS:
        return ()
    if value is None:
        return ()
    values = value if isinstance(value, MultiValue | list | tuple) else (value,)
    found = tuple((v.decode("ascii", "replace") if isinstance(v, bytes) else str(v)).strip(" \0") for v in values)
    return found if any(found) else ()


def text(dataset: Dataset, keyword: str) -> str:
    """First value of a text, stripped; "" if absent, empty or unreadable."""
    return next(iter(texts(dataset, keyword)), "")


def words(dataset: Dataset, keyword: str) -> str:
    """A free text fit for a line of output: no control characters, at most 64 characters."""
    return on_one_line(text(dataset, keyword))[:64]


def on_one_line(value: str) -> str:
    """Blanks for line ends and all else that can't be printed."""
    return "".join(c if c.isprintable() else " " for c in value)


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """The items of a sequence; [] if absent or unreadable."""
    try:
        return list(dataset.get(keyword) or [])
    except VALUE_ERRORS:
        return []


def same(headers: Sequence[Dataset], read: Callable[[Dataset], T], keyword: str, code: str = "value-differs") -> T:
    """The value that all slices agree on; refuses a series in which it differs."""
    values = {read(header) for header in headers}
    if len(values) > 1:
        raise differs(keyword, code)
    return values.pop()


def differs(keyword: str, code: str) -> PemmaError:
    """The refusal of a series whose slices do not agree on a value."""
    sentence = f"{title(keyword)} differs between the slices of one series"
    return PemmaError(code, sentence, EXPORT_AGAIN, place(keyword))


def private(dataset: Dataset, group: int, creator: str, element: int) -> str:
    """Text of a private element, found by its creator, or at block 10 when no creator claims that block; "" if absent.

    creator: beginning of the creator's name. Values may come as bytes (VR UN) with blanks and NULs around them.
    """
    for block in _blocks(dataset, group, creator):
        tag = Tag(group, block << 8 | element)
        if tag in dataset:
            return _private_text(dataset, tag)
    return ""


def _blocks(dataset: Dataset, group: int, creator: str) -> list[int]:
    creators = {
        tag.element: _private_text(dataset, tag)
        for tag in dataset.keys()
        if tag.group == group and 0x10 <= tag.element <= 0xFF
    }
    claimed = [block for block, name in creators.items() if name.upper().startswith(creator.upper())]
    return claimed or ([] if 0x10 in creators else [0x10])


def _private_text(dataset: Dataset, tag: Tag) -> str:
    try:
        value = dataset[tag].value
    except VALUE_ERRORS:
        return "unreadable"
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return "" if value is None else str(value).strip(" \0")

"""What the numbers of a configuration must be: rules by name, checked in one place and refused in words."""

from collections.abc import Callable
from math import inf
from typing import Any

#: What a number must be, in words, and whether a value is that. NaN and infinity never are.
Rule = tuple[str, Callable[[Any], bool]]

COUNT: Rule = ("a whole number above 0", lambda n: isinstance(n, int) and n > 0)
INDEX: Rule = ("a whole number from 0 on", lambda n: isinstance(n, int) and n >= 0)
SEED: Rule = ("a whole number from 0 to 4294967295", lambda n: isinstance(n, int) and 0 <= n < 2**32)
NUMBER: Rule = ("a number", lambda n: isinstance(n, int | float) and abs(n) < inf)
NOT_NEGATIVE: Rule = ("a number from 0 on", lambda n: isinstance(n, int | float) and 0 <= n < inf)
POSITIVE: Rule = ("a number above 0", lambda n: isinstance(n, int | float) and 0 < n < inf)
SHARE: Rule = ("a share from 0 to 1", lambda n: isinstance(n, int | float) and 0 <= n <= 1)
SHARE_ABOVE_0: Rule = ("a share above 0, up to 1", lambda n: isinstance(n, int | float) and 0 < n <= 1)
#: What names a part of a network.
NAME: Rule = ("a word of letters, digits and underscores", lambda name: isinstance(name, str) and name.isidentifier())


def each(rule: Rule, count: int | None = None) -> Rule:
    """The rule for a tuple of `count` such numbers; of any length when None."""
    words, holds = rule
    return (f"a list{'' if count is None else f' of {count}'}, each {words}",
            lambda values: isinstance(values, tuple) and count in (None, len(values)) and all(map(holds, values)))


def check_numbers(of: object, where: str, **rules: Rule) -> None:
    """Raises ValueError for the first field of `of` that is not what its rule says. where: how the sentence begins."""
    for name, (words, holds) in rules.items():
        if not holds(getattr(of, name)):
            raise ValueError(f"{where}: {name} is {getattr(of, name)!r}, it must be {words}")

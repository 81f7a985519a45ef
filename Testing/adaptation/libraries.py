"""What these tests ask of a library: a refusal by its code, what a write left over."""

import pytest

from PEMMASegmentLib.adaptation.library import CaseLibrary
from PEMMASegmentLib.core import Identity, PemmaError

MODEL, ADAPTER = Identity("starter", "1", "ab" * 32), Identity("site", "2", "cd" * 32)


def refused(code: str, work, *arguments, **keywords) -> PemmaError:
    with pytest.raises(PemmaError) as caught:
        work(*arguments, **keywords)
    assert caught.value.code == code
    return caught.value


def left_over(library: CaseLibrary) -> list[str]:
    return [f.name for f in library.folder.iterdir() if f.name not in ("cases", "private", "tries")]

"""Whether a Series Description calls a PET not attenuation corrected: in words, whatever their spelling."""

import re
import unicodedata

#: in words of small letters without accents: "w/o AC" is "w o ac"
_CALLED = (
    r"(?:pet|wb)?nac\d*",
    r"(?:no|non)a[tc]?c",
    r"natc",
    r"uncorr\w*",
    r"unkorr\w*",
    r"unattenuated",
    # with nothing else between: "no motion correction" tells of another one
    r"(?:no|non|not|un|w o|without|ohne|nicht|sans|sin|senza|zonder|uden)(?: (?:ac(?! \d)|atc|att\w*|[ck]orr\w*|schwa\w*))+",
)
_UNCORRECTED = re.compile(rf"\b(?:{'|'.join(_CALLED)})\b")
#: what may be left uncorrected in a PET that is attenuation corrected, and how one is called that is
_OTHERWISE = re.compile(r"\b(?:motion|scatter|pve?|partial|gat(?:ed|ing)|decay|(?:ct)?ac)\b")


def described(description: str) -> bool:
    """Whether it says so, and of no other correction than that of attenuation."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", description.casefold()) if not unicodedata.combining(c))
    words = " ".join(re.findall(r"[^\W_]+", plain))
    found = _UNCORRECTED.search(words)
    return found is not None and not _OTHERWISE.search(_UNCORRECTED.sub("", words))

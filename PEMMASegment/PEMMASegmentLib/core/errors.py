"""The two exceptions that callers are meant to catch.

    Exception
    +-- PemmaError   the user can act on it: one sentence, a way out, a code, the file or tag concerned
    +-- Cancelled    raised out of a progress callback; the work stops at the next window or step

Anything else that escapes is a bug and keeps its traceback.
"""


class PemmaError(Exception):
    """Something that the user can put right.

    code: stable, lower-case words joined by hyphens, e.g. "pet-units".
    sentence: what was found, in one sentence without a full stop and without anything of a patient's identity.
    way_out: what to do now.
    place: file name or DICOM tag concerned, "" if none.
    """

    def __init__(self, code: str, sentence: str, way_out: str = "", place: str = ""):
        super().__init__(code, sentence, way_out, place)
        self.code, self.sentence, self.way_out, self.place = code, sentence, way_out, place

    def __str__(self) -> str:
        place = f" [{self.place}]" if self.place else ""
        way_out = f" ({self.way_out})" if self.way_out else ""
        return f"{self.sentence}{place}{way_out} [{self.code}]"


class Cancelled(Exception):
    """The user stopped the work."""

"""What answers and terminal call a study, and how they tell a warning. Nothing heavy."""

import os
from collections.abc import Sequence
from pathlib import Path

from ..core import PemmaWarning


def warning_in_words(warning: PemmaWarning) -> str:
    """One line: `warning: sentence (way out) [code]`."""
    way_out = f" ({warning.way_out})" if warning.way_out else ""
    return f"warning: {warning.sentence}{way_out} [{warning.code}]"


def base_name(study: Path) -> str:
    """The last part of a study's path, also of `.` or `..`; of a link its own, as what it leads to may name the patient."""
    return os.path.basename(os.path.abspath(study))


def name_among(studies: Sequence[Path], study: Path) -> str:
    """The name of one of several studies, for what is said of it; "" where it is the only one."""
    return base_name(study) if len(studies) > 1 else ""

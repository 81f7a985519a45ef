"""What answers and terminal call a study. Nothing heavy."""

import os
from collections.abc import Sequence
from pathlib import Path


def base_name(study: Path) -> str:
    """The last part of a study's path, also of `.` or `..`; of a link its own, as what it leads to may name the patient."""
    return os.path.basename(os.path.abspath(study))


def name_among(studies: Sequence[Path], study: Path) -> str:
    """The name of one of several studies, for what is said of it; "" where it is the only one."""
    return base_name(study) if len(studies) > 1 else ""

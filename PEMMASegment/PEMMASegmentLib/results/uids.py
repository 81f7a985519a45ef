"""UIDs made from content, so that the same run gives the same objects."""

import hashlib

from ..core import Segmentation


def result_key(study_key: str, found: Segmentation) -> str:
    """Study, model, adapter and options in one text: the same in the same run, on the command line and in the panel."""
    adapter = found.adapter.sha256 if found.adapter else "none"
    return "|".join(map(str, (study_key, found.model.sha256, adapter, found.inputs, found.threshold, found.roi_mm)))


def uid_of(*parts: bytes | str) -> str:
    """A DICOM UID below 2.25 from the sha256 of the parts; each part's length counts, so parts can't run together."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    # a UUID of version 8 (free content): DICOM's 2.25 root is for UUIDs
    number = int.from_bytes(digest.digest()[:16], "big")
    number = number & ~(0xF << 76) | (8 << 76)
    number = number & ~(0b11 << 62) | (0b10 << 62)
    return f"2.25.{number}"

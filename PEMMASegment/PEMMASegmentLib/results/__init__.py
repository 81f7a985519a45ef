"""Segmentation to lesions with their figures, and to the files of a result: DICOM-SEG, table, picture, record."""

from .coverage import coverage
from .measure import measure, measure_edited, rule_in_words, totals
from .preview import write_preview
from .record import SCHEMA, write_json
from .seg import write_label_nifti, write_seg
from .table import as_text, write_csv
from .uids import result_key
from .write import check_out, drop, write_all

__all__ = [
    "SCHEMA",
    "as_text",
    "check_out",
    "coverage",
    "drop",
    "measure",
    "measure_edited",
    "result_key",
    "rule_in_words",
    "totals",
    "write_all",
    "write_csv",
    "write_json",
    "write_label_nifti",
    "write_preview",
    "write_seg",
]

"""The lesion table in a file and in a terminal."""

import csv

from PEMMASegmentLib.core import Lesion
from PEMMASegmentLib.results import as_text, write_csv

HOT = Lesion(1, 27.984, (1.25, -2.0, 3.0), "2.25.1", 6.5, 3.125, 5.5, 16.17, "41%", 64.9)
COLD = Lesion(2, 0.5, (0.0, 0.0, 0.0), "2.25.2", mtv_rule="41%")  # outside the PET
THROWN_OUT = Lesion(3, 0.5, (0.0, 0.0, 0.0), "2.25.3", mtv_rule="41%", kept=False)


def test_csv_has_the_keys_points_and_the_rule_in_the_title(tmp_path):
    write_csv(tmp_path / "lesions.csv", [HOT, COLD, THROWN_OUT])
    with open(tmp_path / "lesions.csv", encoding="utf-8", newline="") as stream:
        title, *rows = csv.reader(stream)
    assert title == [
        "number", "volume_ml", "suv_max", "suv_mean", "mtv_ml (41% of SUVmax)", "mtv_rule", "tlg", "suv_peak",
        "centroid_mm",
    ]  # fmt: skip
    assert rows[0] == ["1", "27.98", "6.50", "3.12", "16.17", "41%", "64.90", "5.50", "1.2 -2.0 3.0"]
    assert rows[1:] == [["2", "0.50", "", "", "", "41%", "", "", "0.0 0.0 0.0"]]


def test_csv_without_a_lesion_is_its_title(tmp_path):
    write_csv(tmp_path / "lesions.csv", [])
    assert (tmp_path / "lesions.csv").read_text("utf-8").startswith("number,volume_ml,suv_max,suv_mean,mtv_ml,")


def test_typed_values_are_told_in_a_last_column(tmp_path):
    write_csv(tmp_path / "lesions.csv", [HOT], typed=("weight", "dose"))
    title, row = (tmp_path / "lesions.csv").read_text("utf-8").splitlines()
    assert title.endswith(",suv_from_typed") and row.endswith(",weight; dose")


def test_text_has_units_sums_and_no_empty_columns():
    lines = as_text([HOT, COLD]).splitlines()
    assert "MTV ml (41% of SUVmax)" in lines[0] and len(lines) == 4 and len(set(map(len, lines))) == 1
    assert lines[-1].split() == ["all", "28.48", "6.50", "16.17", "64.90"]
    assert "SUV" not in as_text([COLD]) and as_text([]) == as_text([THROWN_OUT]) == "No lesion found."

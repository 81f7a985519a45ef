"""`train` writes into a run's folder only."""

import pytest

from PEMMASegmentLib.cli.train import check_out
from PEMMASegmentLib.core import PemmaError


def test_only_a_new_an_empty_or_a_run_folder_is_taken(tmp_path):
    check_out(tmp_path)
    check_out(tmp_path / "new")
    (tmp_path / "ct.nii.gz").touch()
    for out, code in ((tmp_path, "out-not-empty"), (tmp_path / "ct.nii.gz", "out-is-a-file")):
        with pytest.raises(PemmaError) as refused:
            check_out(out)
        assert refused.value.code == code
    (tmp_path / "stage-0-ct.safetensors").touch()
    check_out(tmp_path)

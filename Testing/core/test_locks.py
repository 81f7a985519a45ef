"""A file is held by one program, until that one ends or is killed."""

import subprocess
import sys
from pathlib import Path

import PEMMASegmentLib
from PEMMASegmentLib.core.locks import held

HOLD = """
import sys, time
from pathlib import Path
from PEMMASegmentLib.core.locks import held
with held(Path(sys.argv[1])) as ours:
    print(ours, flush=True)
    time.sleep(60)
"""


def test_a_lock_is_held_by_one_program_and_falls_with_it(tmp_path):
    file = tmp_path / "lock"
    place = Path(PEMMASegmentLib.__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], cwd=place, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline() == "True\n"
            with held(file) as ours:
                assert not ours
            assert file.exists()
        finally:
            other.kill()
    for _ in range(2):
        with held(file) as ours, held(file) as twice:
            assert ours and not twice
        assert not file.exists()

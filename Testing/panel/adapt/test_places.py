"""Where new adapters go: two runs never get one place, a run that was stopped gets its own again."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from PEMMASegmentLib.core import PemmaError
from PEMMASegmentLib.panel import adapt_places


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """Of the user's adapters, new."""
    monkeypatch.setenv("PEMMA_SEGMENT_HOME", str(tmp_path))
    return tmp_path / "adapters"


def run_of(case: str, **fields) -> dict:
    fields = {"method": "salt", "effort": "quick", "library": Path(case), "device": "cpu"} | fields
    return adapt_places.run_of(fields, "ab", [{"sha256": case}])


def write(folder: Path, **card) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter.json").write_text(json.dumps(card))


def test_a_run_whose_adapter_is_not_there_yet_keeps_its_place(place):
    """Under way in another window, or stopped: the same run goes on there, also with its cases elsewhere, no other does."""
    ours, others = run_of("cd"), (run_of("ef"), run_of("cd", effort="standard"))
    assert adapt_places.take("", "salt", ours) == place / "salt"
    assert [adapt_places.take("", "salt", run).name for run in others] == ["salt-2", "salt-3"]
    for run in others:
        with pytest.raises(PemmaError, match="choose another name") as refusal:
            adapt_places.take("salt", "", run)
        assert refusal.value.code == "adapter-unfinished"
    again = run_of("cd", library=Path("moved"), device="cuda")
    assert adapt_places.take("", "salt", again) == adapt_places.take("salt", "", again) == place / "salt"


def test_of_several_that_begin_at_once_each_gets_a_place_of_its_own(place):
    runs, together = [run_of(str(n)) for n in range(6)], Barrier(6)

    def take(run: dict) -> Path:
        together.wait()
        return adapt_places.take("", "salt", run)

    with ThreadPoolExecutor(6) as pool:
        outs = list(pool.map(take, runs))
    assert len(set(outs)) == 6
    assert [adapt_places.take("", "salt", run) for run in runs] == outs


def test_only_the_run_that_made_an_adapter_may_write_it_again(place):
    """Not another run, not where another adapter has taken the place meanwhile, not over words of the user's own."""
    run, other = run_of("cd"), run_of("cd", effort="standard")
    out = adapt_places.take("", "salt", run)
    write(place / ".salt.unfinished" / "run" / "key", sha256="12")
    write(out, sha256="12")
    assert adapt_places.take("", "salt", run) == out and adapt_places.take("", "salt", other).name == "salt-2"
    for card in ({"sha256": "34"}, {"sha256": "12", "note": "ours"}, {"sha256": ""}, {}):
        write(out, **card)
        assert adapt_places.take("", "salt", run).name == "salt-3"
    with pytest.raises(PemmaError, match="there is an adapter salt already"):
        adapt_places.take("salt", "", run)


def test_a_place_that_can_not_be_written_is_told_and_one_with_a_broken_note_passed_over(place):
    place.write_text("a file")
    with pytest.raises(PemmaError, match="no adapter can be written"):
        adapt_places.take("", "salt", run_of("cd"))
    place.unlink()
    (place / ".salt.unfinished").mkdir(parents=True)
    (place / ".salt.unfinished" / "run.json").write_text("")
    assert adapt_places.take("", "salt", run_of("cd")) == place / "salt-2"

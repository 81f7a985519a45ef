"""The client against processes that misbehave: one clear sentence, nothing left, and the next request works."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from PEMMASegmentLib import __version__
from PEMMASegmentLib.worker import client, folders, parent
from PEMMASegmentLib.worker.events import Ended, Error, Handshake, LogLine, Progress, Result

from .conftest import alive, answer_to, end_of, gone, handshake_of, until

LIBRARY = Path(client.__file__).resolve().parents[2]
HELLO = json.dumps({"protocol": 1, "library": __version__, "python": "3.12.0", "pid": 0})


def hello(pid: str = "$$") -> str:
    """Shell that says what a worker says first."""
    return f"""printf '@PEMMA %s\\n' '{HELLO}' | sed "s/\\"pid\\": 0/\\"pid\\": {pid}/\""""


def test_the_client_needs_the_standard_library_alone():
    code = f"""import sys
sys.path.insert(0, {str(LIBRARY)!r})
before = set(sys.modules)
import PEMMASegmentLib.worker.client
tops = {{name.partition(".")[0] for name in set(sys.modules) - before}}
sys.exit(" ".join(tops - sys.stdlib_module_names - {{"PEMMASegmentLib"}}) or 0)"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo no module named torch >&2; exit 3", "before it was ready (exit code 3)"),
        ("kill -9 $$", "before it was ready (SIGKILL)"),
        (f"{hello()}; read line; echo working >&2; kill -9 $$", "was killed (SIGKILL)"),
        (f"{hello()}; read line; printf '@PEMMA {{\"id\": 1, \"resu'; exit 7", "ended unexpectedly (exit code 7)"),
        (f"{hello()}; read line; sleep 600 & exit 8", "ended unexpectedly (exit code 8)"),  # its child holds the pipes
    ],
)
def test_a_death_is_one_sentence_with_the_last_lines_and_nothing_is_left(script, start, temporary, body, words):
    worker = start(script(body))
    id = worker.request("segment", study=Path("somewhere"))
    events = end_of(worker)
    [error] = [event for event in events if isinstance(event, Error)]
    assert error.id == id and error.code == "worker-died" and words in error.sentence and error.way_out
    assert error.details == "\n".join(event.text for event in events if isinstance(event, LogLine))
    assert events[-1].error is None  # told once
    assert not worker.running and not worker.busy and list(temporary.iterdir()) == []


def test_a_death_while_nothing_is_asked_is_told_too(script, start):
    answer = '@PEMMA {"id": 1, "result": {}}'
    worker = start(script(f"{hello()}; read line; echo '{answer}'; sleep 0.3; exit 4"))
    worker.request("inspect", study="x")
    [ended] = [event for event in end_of(worker) if isinstance(event, Ended)]
    assert ended.error.code == "worker-died" and ended.error.id is None


def test_an_executable_that_is_not_there_is_told(start, tmp_path):
    worker = start(tmp_path / "no python")
    assert answer_to(worker, worker.request("segment", study="x")).code == "worker-not-started"
    assert not worker.running


def test_a_disk_without_room_for_private_folders_is_told(tmp_path):
    worker = client.Worker(temporary=tmp_path / "full")
    id = worker.request("segment", study="x")
    [error] = worker.poll()
    assert (error.id, error.code) == (id, "cannot-write") and not worker.running and not worker.busy


@pytest.mark.parametrize("change", [('"protocol": 1', '"protocol": 2'), (__version__, "99.0")])
def test_another_version_is_refused(script, start, change):
    worker = start(script(f"{hello().replace(*change)}; sleep 600"))
    error = answer_to(worker, worker.request("inspect", study="x"))
    assert error.code == "worker-version" and __version__ in error.sentence and "restart" in error.way_out
    assert not worker.running


def test_garbage_is_log_text_and_a_flood_of_it_blocks_nothing(script, start):
    garbage = ["@PEMMA {broken", "@PEMMA []", '@PEMMA {"id": 1}', '@PEMMA {"id": 9, "result": {}}', "half \\377 bytes",
               '@PEMMA {"id": 1, "progress": 3}']  # fmt: skip
    lines = "".join(f"printf '%b\\n' '{line}'\n" for line in garbage)
    flood = "yes 'UserWarning: again and again' | head -n 300000 >&2; head -c 3000000 /dev/zero >&2"
    answer = '@PEMMA {"id": 1, "result": {"words": "da\\u00df"}}'
    worker = start(script(f"{hello()}\n{lines}{flood}\nread line\nprintf '%s\\n' '{answer}'\nread line"))
    worker.request("inspect", study="x")
    events = until(worker, lambda event: isinstance(event, Result))
    assert events[-1].fields == {"words": "daß"}
    logged = [event.text for event in events if isinstance(event, LogLine)]
    assert "@PEMMA {broken" in logged and "@PEMMA []" in logged and max(map(len, logged)) <= 4096
    assert not any(isinstance(event, Progress | Error) for event in events)


def test_a_worker_that_does_not_hear_cancel_is_killed_with_all_it_started(script, start, monkeypatch):
    monkeypatch.setattr(client, "CANCEL_S", 0.3)
    worker = start(script(f"sleep 600 &\necho $! >&2\n{hello()}\nsleep 600"))
    id = worker.request("segment", study="x")
    pids = {}
    until(worker, lambda event: pids.update(_pid(event)) or len(pids) == 2)
    worker.cancel(id)
    assert answer_to(worker, id).code == "cancelled"
    assert gone(*pids.values())


@pytest.mark.parametrize("starts_again", [True, False])
def test_a_kill_for_a_cancelled_request_costs_none_that_waited(script, start, tmp_path, monkeypatch, starts_again):
    """What had begun beside it is told that it was ended, and not that it was cancelled; what can't begin anew is told why."""
    monkeypatch.setattr(client, "CANCEL_S", 0.3)
    begun = "".join(f"""echo '@PEMMA {{"id": {id}, "progress": {{"fraction": 0, "words": "at it"}}}}'; """ for id in (1, 2))
    deaf = begun + ("" if starts_again else 'rm "$0"; ') + "sleep 600"
    answers = """read line; case "$line" in *'"id": 3'*) echo '@PEMMA {"id": 3, "result": {}}';; esac; read line"""
    worker = start(script(f"{hello()}; if mkdir '{tmp_path}/once' 2>&-; then {deaf}; fi; {answers}"))
    cancelled, beside = worker.request("segment", study="x"), worker.request("inspect", study="x")
    waited = worker.request("cases", folder=worker.private_folder(), action="add", library="x")
    until(worker, lambda event: isinstance(event, Progress) and event.id == beside)
    worker.cancel(cancelled)
    events = until(worker, lambda event: isinstance(event, Result | Error) and event.id == waited)
    errors = {event.id: event for event in events if isinstance(event, Error)}
    assert errors[cancelled].code == "cancelled"
    assert errors[beside].code == "worker-died" and "cancelled" not in errors[beside].sentence and errors[beside].way_out
    assert [event.error for event in events if isinstance(event, Ended)] == [None]
    if starts_again:
        assert set(errors) == {cancelled, beside} and events[-1].folder.is_dir()
    else:
        assert errors[waited].code == "worker-not-started" and not worker.running and not worker.busy


def _pid(event) -> dict[str, int]:
    if isinstance(event, Handshake):
        return {"worker": event.pid}
    return {"its child": int(event.text)} if isinstance(event, LogLine) else {}


def test_a_silent_start_is_ended(script, start, monkeypatch):
    monkeypatch.setattr(client, "START_S", 0.2)
    worker = start(script("sleep 600"))
    assert answer_to(worker, worker.request("inspect", study="x")).code == "worker-silent"


def test_private_folders_are_private_and_go_with_the_answer(script, start, temporary):
    """One whose files are kept goes with the process (fixture `temporary`)."""
    answers = "".join(f"""read line; echo '@PEMMA {{"id": {id}, "result": {{}}}}'; """ for id in (1, 2))
    worker = start(script(f"{hello()}; {answers} read line"))
    for keep in (False, True):
        folder = worker.private_folder()
        assert os.name == "nt" or stat.S_IMODE(folder.stat().st_mode) == 0o700
        worker.request("segment", folder=folder, volumes={"ct": "ct.nrrd"})
        assert until(worker, lambda event: isinstance(event, Result))[-1].folder == folder and folder.is_dir()
        if keep:
            worker.keep(folder)
        worker.poll()
        assert folder.exists() == keep


def test_folders_of_an_application_that_was_killed_go_after_a_day(tmp_path):
    old, new, foreign = folders.new_folder(tmp_path), folders.new_folder(tmp_path), tmp_path / "thesis"
    foreign.mkdir()
    worker = client.Worker(temporary=tmp_path)
    in_use = worker.private_folder()  # into which nothing was written for long
    for folder in (old, foreign, in_use):
        os.utime(folder, (time.time() - 2 * folders.STALE_S,) * 2)
    worker.poll()
    folders.remove_stale(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([new, foreign, in_use])


def test_an_unfinished_result_goes_and_the_earlier_one_comes_back(tmp_path):
    out = tmp_path / "out"
    for name in (".writing-12-a/old/out/result.json", ".writing-12-b/x", ".writing-123-c/x", ".writing-12-d/old/two/x"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("earlier")
    folders.undo_writing(out, 12)
    assert (out / "result.json").read_text() == "earlier"
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".writing-123-c", ".writing-12-d"}  # d: of another result


def test_stop_ends_a_worker_that_listens_to_nothing(script, start):
    worker = start(script(f"trap '' TERM\n{hello()}\nwhile true; do sleep 1; done"))
    worker.request("inspect", study="x")
    pid = handshake_of(worker).pid
    started = time.monotonic()
    worker.stop(0.3)
    assert time.monotonic() - started < 3 and gone(pid)
    assert worker.poll() == [] and not worker.busy


@pytest.mark.skipif(os.name == "nt", reason="Windows watches a handle")
def test_the_client_and_the_parent_are_watched(monkeypatch):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert parent.posix_watch(ended.pid)() and not parent.posix_watch(os.getpid())()
    adopted = parent.posix_watch(os.getpid())
    another = os.getppid() + 1  # not 1: the tests may run under the first process themselves
    monkeypatch.setattr(os, "getppid", lambda: another)
    assert adopted()


def test_a_launcher_that_is_killed_takes_the_worker_with_it(script, start):
    """PythonSlicer is a launcher: its pid is not the worker's."""
    worker = start(script(f'"{sys.executable}" "$@"\nexit $?'))
    worker.request("load_model", model="there is none")
    pid = handshake_of(worker).pid
    launcher = worker._child._process.pid
    assert pid != launcher and alive(pid)
    os.kill(launcher, signal.SIGKILL)
    end_of(worker)
    assert gone(pid, launcher)

"""The real process without torch: handshake, broken lines, its output kept clean, its end with its owner."""

import json
import os
import subprocess
import sys
from pathlib import Path

from PEMMASegmentLib.worker import client, protocol
from PEMMASegmentLib.worker.events import Error, Result

from .conftest import answer_to, gone

LIBRARY = Path(client.__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(LIBRARY)}
COMMAND = [sys.executable, "-u", "-m", "PEMMASegmentLib.worker"]


def spoken(*lines: bytes) -> list[dict]:
    """What a worker answers to these lines until its input ends."""
    done = subprocess.run(
        COMMAND, input=b"\n".join(lines) + b"\n", stdout=subprocess.PIPE, env=ENVIRONMENT, timeout=60
    )
    assert done.returncode == 0
    events = [protocol.read_event(line) for line in done.stdout.decode("ascii").splitlines()]
    assert None not in events
    return events


def test_the_handshake_comes_first_and_broken_lines_are_answered():
    first, *rest = spoken(b"", b"nonsense", b"\xff\xfe", b"[]", b'{"id": "x", "do": "segment"}')
    assert set(first) == {"protocol", "library", "python", "pid"}
    assert [event["error"]["code"] for event in rest] == ["bad-request"] * 5


def test_the_handshake_waits_for_nothing_heavy():
    code = """import sys
from PEMMASegmentLib.worker import server
heavy = {"numpy", "torch", "SimpleITK", "pydicom"} & set(sys.modules)
sys.exit(" ".join(heavy) or 0)"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_libraries_print_stays_out_of_the_events():
    code = """import os, sys
from PEMMASegmentLib.worker import server
requests, events = server._take_pipes()
print("from Python", end="")
os.write(1, b"from C")
os.system("echo from a child; cat")
server.Server(events).send({"id": 1, "result": {}})"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, input="x\n")
    assert done.stdout == '@PEMMA {"id": 1, "result": {}}\n'
    assert "from C" in done.stderr and "from Python" in done.stderr and "from a child" in done.stderr


def test_requests_are_answered_with_what_is_wrong(start, tmp_path):
    worker = start()
    asked = {
        "adapt-out": ("adapt", {"library": tmp_path}),
        "unknown-request": ("dance", {}),
        "no-study": ("inspect", {"study": tmp_path / "nowhere"}),
        "option": ("inspect", {"study": tmp_path, "threshold": 2}),
        "nothing-to-load": ("inspect", {"study": tmp_path}),
        "bad-request": ("inspect", {"volumes": {"ct": "../ct.nrrd"}, "folder": worker.private_folder()}),
    }
    for code, (do, fields) in asked.items():
        answer = answer_to(worker, worker.request(do, **fields))
        assert isinstance(answer, Error) and answer.code == code, answer
        assert answer.sentence and str(tmp_path) not in answer.sentence


def test_inspect_tells_what_the_command_line_tells(start, study, capsys):
    from PEMMASegmentLib.cli import main

    worker = start()
    answer = answer_to(worker, worker.request("inspect", study=study))
    assert main(["inspect", str(study), "--json", "--quiet"]) == 0
    assert isinstance(answer, Result) and answer.fields == json.loads(capsys.readouterr().out)


def test_a_fault_is_a_bug_without_a_word_of_the_patient(tmp_path):
    code = f"""import io, sys
from PEMMASegmentLib.worker import server
def fails(request, progress):
    raise ValueError("Müller, Jörg")
sent = []
one = server.Server(io.BytesIO())
one.send = sent.append
one._do({{"inspect": fails}}, {{"id": 1, "do": "inspect", "study": {str(tmp_path)!r}}})
print(sent[-1]["error"]["code"], sent[-1]["error"]["sentence"])"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout == "bug a fault in PEMMASegment (ValueError)\n"
    assert "in fails" in done.stderr and "ller" not in done.stdout + done.stderr


def test_too_little_memory_is_no_fault():
    code = """import io
from PEMMASegmentLib.worker import server
sent = []
one = server.Server(io.BytesIO())
one.send = sent.append
one._do({"inspect": lambda request, progress: bytearray(2**60)}, {"id": 1, "do": "inspect"})
print(sent[-1]["error"]["code"], sent[-1]["error"]["way_out"])"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.startswith("memory close other programs"), done.stderr


def test_it_ends_with_its_owner_and_takes_the_private_folder_along(temporary):
    """The owner is killed in the middle of it: nobody else is there to tidy up."""
    code = f"""import os, signal, sys, time
from pathlib import Path
from PEMMASegmentLib.worker.client import Worker
from PEMMASegmentLib.worker.events import Result, Error
worker = Worker(temporary=Path({str(temporary)!r}))
worker.request("inspect", folder=worker.private_folder(), study={str(temporary)!r})
while worker._handshake is None:
    worker.poll()
    time.sleep(0.02)
print(worker._handshake.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)"""
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert gone(int(done.stdout))
    assert list(temporary.iterdir()) == []

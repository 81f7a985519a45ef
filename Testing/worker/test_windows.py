"""Windows' ways, as far as they can be tried without Windows: structures, the order of the calls, what is refused."""

import ctypes
from types import SimpleNamespace

from PEMMASegmentLib.worker import parent, reasons, winjob


class Kernel32:
    """Answers like Windows and keeps what it was asked."""

    def __init__(self, **answers):
        self.asked, self.answers, self.flags = [], answers, None

    def __getattr__(self, name):
        def call(*arguments):
            self.asked.append((name, *arguments))
            if name == "SetInformationJobObject":
                limits = arguments[2]._obj
                self.flags = limits.BasicLimitInformation.LimitFlags
                assert arguments[3] == ctypes.sizeof(limits)
            return self.answers.get(name, 77)

        return call


def test_the_structures_have_the_sizes_of_windows_64_bits():
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return
    assert ctypes.sizeof(winjob.BasicLimits) == 64
    assert ctypes.sizeof(winjob.ExtendedLimits) == 144
    assert winjob.BasicLimits.LimitFlags.offset == 16


def test_a_job_takes_a_process_in_and_ends_all():
    kernel32 = Kernel32(CreateJobObjectW=5, OpenProcess=9)
    job = winjob.Job(kernel32)
    assert kernel32.flags == winjob.KILL_ON_JOB_CLOSE
    assert job.add(1234) and job.end()
    assert kernel32.asked[2:] == [
        ("OpenProcess", winjob.TERMINATE_AND_SET_QUOTA, False, 1234),
        ("AssignProcessToJobObject", 5, 9),
        ("CloseHandle", 9),
        ("TerminateJobObject", 5, 1),
    ]


def test_what_windows_refuses_is_said():
    assert not winjob.Job(Kernel32(OpenProcess=0)).add(1)
    refused = Kernel32(AssignProcessToJobObject=0, OpenProcess=9)
    assert not winjob.Job(refused).add(1) and ("CloseHandle", 9) in refused.asked


def test_the_client_is_watched_through_a_handle():
    running = SimpleNamespace(OpenProcess=lambda *_: 3, WaitForSingleObject=lambda handle, _: 258)
    ended = SimpleNamespace(OpenProcess=lambda *_: 3, WaitForSingleObject=lambda handle, _: 0)
    never = SimpleNamespace(OpenProcess=lambda *_: None)
    assert [parent.windows_watch(1, kernel32)() for kernel32 in (running, ended, never)] == [False, True, True]


def test_windows_codes_are_no_signals(monkeypatch):
    monkeypatch.setattr(reasons.os, "name", "nt")
    assert reasons.in_words(0xC0000005) == ("exit code 0xc0000005", False)
    assert reasons.in_words(137) == ("exit code 137", False)

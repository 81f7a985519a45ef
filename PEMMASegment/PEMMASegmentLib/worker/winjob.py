"""A Windows job object: all processes in it, also those of a launcher, end with one call or with their owner."""

import ctypes
from ctypes import c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
TERMINATE_AND_SET_QUOTA = 0x0001 | 0x0100  # what AssignProcessToJobObject asks of a process handle


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = [
        ("PerProcessUserTimeLimit", c_int64), ("PerJobUserTimeLimit", c_int64), ("LimitFlags", c_uint32),
        ("MinimumWorkingSetSize", c_size_t), ("MaximumWorkingSetSize", c_size_t), ("ActiveProcessLimit", c_uint32),
        ("Affinity", c_size_t), ("PriorityClass", c_uint32), ("SchedulingClass", c_uint32),
    ]  # fmt: skip


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION; `IoInfo` are the six counters of IO_COUNTERS."""

    _fields_ = [
        ("BasicLimitInformation", BasicLimits), ("IoInfo", c_uint64 * 6), ("ProcessMemoryLimit", c_size_t),
        ("JobMemoryLimit", c_size_t), ("PeakProcessMemoryUsed", c_size_t), ("PeakJobMemoryUsed", c_size_t),
    ]  # fmt: skip


class Job:
    """Processes that end together. Where Windows refuses a call, `add` and `end` say so by False."""

    def __init__(self, kernel32: Any = None):
        self._kernel32 = kernel32 or load_kernel32()
        self._handle = self._kernel32.CreateJobObjectW(None, None)
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = KILL_ON_JOB_CLOSE
        self._kernel32.SetInformationJobObject(
            self._handle, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
        )

    def add(self, pid: int) -> bool:
        """Takes a process in; those that it starts from now on are in too."""
        process = self._kernel32.OpenProcess(TERMINATE_AND_SET_QUOTA, False, pid)
        if not process:
            return False
        try:
            return bool(self._kernel32.AssignProcessToJobObject(self._handle, process))
        finally:
            self._kernel32.CloseHandle(process)

    def end(self) -> bool:
        """Ends all processes in the job at once."""
        return bool(self._kernel32.TerminateJobObject(self._handle, 1))

    def close(self) -> None:
        """Gives the handle back, which ends what is still in the job."""
        self._kernel32.CloseHandle(self._handle)


def load_kernel32() -> Any:
    """kernel32 with the types of the calls used here: without them a handle would be cut to 32 bits."""
    kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    calls = {
        "CreateJobObjectW": (c_void_p, [c_void_p, c_void_p]),
        "SetInformationJobObject": (c_uint32, [c_void_p, c_uint32, c_void_p, c_uint32]),
        "OpenProcess": (c_void_p, [c_uint32, c_uint32, c_uint32]),
        "AssignProcessToJobObject": (c_uint32, [c_void_p, c_void_p]),
        "TerminateJobObject": (c_uint32, [c_void_p, c_uint32]),
        "WaitForSingleObject": (c_uint32, [c_void_p, c_uint32]),
        "CloseHandle": (c_uint32, [c_void_p]),
    }
    for name, (answer, arguments) in calls.items():
        call = getattr(kernel32, name)
        call.restype, call.argtypes = answer, arguments
    return kernel32

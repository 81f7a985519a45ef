"""The lines that panel and background process exchange. Standard library only.

To the process: one JSON object a line, `{"id", "do", ...}`; `cancel` carries the id of the request that it cancels.
From it: lines that begin with PREFIX, first the handshake `{"protocol", "library", "python", "pid"}`, then
`{"id", "progress": {"fraction", "words", "part", "step", "loss", "there"}}` (`core.progress.Reached`), `{"id", "result": {...}}`
or `{"id", "error": {"code", "sentence", "way_out", "place"}}`; every request but `cancel` and `quit` ends in one result or one
error. Any other line is log text.
All JSON is written in ASCII, so that no code page on the way can spoil it.
"""

import json

PREFIX = "@PEMMA "
VERSION = 1

#: Private folders are named so; the process removes those that its client can't remove any more.
FOLDER_PREFIX = "pemma-worker-"

#: Environment variable with the client's process id: a launcher may stand between the client and the process.
CLIENT_PID = "PEMMA_WORKER_CLIENT"


def event_line(event: dict) -> str:
    """An event as a line. Raises ValueError for numbers that JSON lacks."""
    return f"{PREFIX}{json.dumps(event, allow_nan=False)}\n"


def read_event(line: str) -> dict | None:
    """The event in a line, None when it is log text (or an event that was cut off)."""
    if not line.startswith(PREFIX):
        return None
    try:
        event = json.loads(line.removeprefix(PREFIX))
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def request_line(request: dict) -> str:
    """A request as a line."""
    return json.dumps(request, allow_nan=False) + "\n"


def read_request(line: bytes) -> dict:
    """The request in a line. Raises ValueError for what is none."""
    try:
        request = json.loads(line.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(request, dict) or not isinstance(request.get("do"), str):
        raise ValueError("no JSON object with a field `do`")
    if request["do"] != "quit" and type(request.get("id")) is not int:
        raise ValueError("no whole number as `id`")
    return request

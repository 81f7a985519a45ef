"""Lines: what is written is read again, and nothing that is read breaks the reader."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from PEMMASegmentLib.worker import protocol

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_an_event_is_one_line_of_ascii_and_comes_back(event):
    line = protocol.event_line(event)
    assert line.isascii() and line.count("\n") == 1
    assert protocol.read_event(line) == event


@given(st.text())
def test_any_other_text_is_log_text(text):
    assert protocol.read_event(text) is None
    assert not isinstance(protocol.read_event(protocol.PREFIX + text), list | str | int)


@settings(max_examples=50)
@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_a_line_that_is_no_request_is_refused_by_value_error_alone(line):
    try:
        request = protocol.read_request(line)
    except ValueError:
        return
    assert isinstance(request["do"], str)


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"do": "segment"}', b'{"do": "cancel", "id": true}', b'{"id": 1}'])
def test_requests_without_what_they_need_are_refused(line):
    with pytest.raises(ValueError):
        protocol.read_request(line)


def test_a_path_that_is_no_unicode_travels():
    request = {"id": 1, "do": "inspect", "study": "M\udcfcller"}
    assert protocol.read_request(protocol.request_line(request).encode("ascii")) == request

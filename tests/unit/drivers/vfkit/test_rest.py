"""The bytes of the REST service."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snowshed.drivers.vfkit.rest import LostAnswer, parse, render
from snowshed.errors import GuestError


def test_a_request_whole() -> None:
    assert render("POST", "/vm/state", {"state": "Stop"}) == (
        b"POST /vm/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        b'Content-Type: application/json\r\nContent-Length: 17\r\n\r\n{"state": "Stop"}'
    )
    assert render("GET", "/vm/state", None) == b"GET /vm/state HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_vfkits_state() -> None:
    answer = parse(
        b'HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{"canStop":true,"state":"VirtualMachineStateRunning"}'
    )
    assert (answer.status, answer.state) == (200, "Running")


def test_krunkits_answer_ends_in_a_nul_byte() -> None:
    assert parse(b'HTTP/1.1 200 OK\r\n\r\n{"state": "VirtualMachineStateStopping"}\0').state == "Stopping"


def test_an_accepted_wish_has_no_body() -> None:
    answer = parse(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
    assert (answer.status, answer.state) == (202, "")


def test_a_refusal_has_a_reason() -> None:
    assert parse(b'HTTP/1.1 500 X\r\n\r\n{"error":"Invalid state"}').error == "Invalid state"
    assert parse(b"HTTP/1.1 500 X\r\n\r\nnothing useful").error == "status 500"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 202 Acc"])
def test_half_an_answer_is_none(raw: bytes) -> None:
    with pytest.raises(LostAnswer):
        parse(raw)


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 9999 X\r\n\r\n"]
)
def test_nonsense_is_an_error_with_a_sentence(raw: bytes) -> None:
    with pytest.raises(GuestError, match="nonsense"):
        parse(raw)


@given(st.binary() | st.binary().map(lambda tail: b"HTTP/1.1 200 OK\r\n\r\n" + tail))
def test_whatever_is_said_is_an_answer_or_an_error_of_ours(raw: bytes) -> None:
    try:
        answer = parse(raw)
    except (LostAnswer, GuestError):
        return
    assert isinstance(answer.state, str)
    assert answer.error

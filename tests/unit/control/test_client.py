"""The client against a listener that speaks, misspeaks, or says nothing."""

from __future__ import annotations

import itertools
import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from snowshed import PROTOCOL, __version__
from snowshed.control import client
from snowshed.control.client import ESSENTIAL, Control, Gone, Nonsense, Unresponsive
from snowshed.errors import NotRunning, UserError

GREETING = {"snowshed": __version__, "protocol": PROTOCOL, "builder": "one", "pid": 1}


@contextmanager
def supervisor(path: Path, *lines: object, greeting: object = GREETING, stay: bool = False) -> Iterator[list[bytes]]:
    """Serves one client: greets, takes its request, says `lines`, and leaves unless it is to `stay`."""
    requests: list[bytes] = []
    done = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            for line in [] if greeting is None else [greeting]:
                client.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            if greeting is not None:
                requests.append(client.recv(1 << 16))
                for line in lines:
                    client.sendall(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
            if stay:
                done.wait()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield requests
    finally:
        done.set()
        thread.join(10)
        listener.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control.sock"


def test_a_supervisor_that_was_just_killed_is_not_running(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def end() -> None:
        listener.accept()[0].close()
        listener.close()

    ending = threading.Thread(target=end)
    ending.start()
    with pytest.raises(NotRunning):
        Control(path)
    ending.join()


def test_events_come_one_by_one_and_the_answer_last(path: Path) -> None:
    seen: list[dict[str, Any]] = []
    lines = ({"event": {"text": "a"}}, {"event": {"text": "b"}}, {"ok": {"state": "running"}})
    with supervisor(path, *lines) as requests, Control(path) as control:
        answer = control.request("stop", each=seen.append, force=True)
    assert [event["text"] for event in seen] == ["a", "b"]
    assert answer == {"state": "running"}
    assert [json.loads(line) for line in requests] == [{"request": "stop", "force": True}]


def test_a_line_may_come_in_pieces(path: Path) -> None:
    with supervisor(path, b'{"ok": ', b'{"is": "whole"}}\n'), Control(path) as control:
        assert control.request("status") == {"is": "whole"}


def test_an_error_comes_back_as_the_error_it_was(path: Path) -> None:
    error = NotRunning("Cannot pause.", "Start it.")
    with supervisor(path, {"error": error.as_json()}), Control(path) as control, pytest.raises(NotRunning) as caught:
        control.request("pause")
    assert caught.value.as_json() == error.as_json()


def test_no_socket_means_not_running(path: Path) -> None:
    with pytest.raises(NotRunning):
        Control(path)


def test_a_stale_socket_means_not_running(path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.close()
    with pytest.raises(NotRunning):
        Control(path)


def test_a_supervisor_that_says_nothing_is_named_by_its_process(path: Path) -> None:
    with supervisor(path, greeting=None, stay=True), pytest.raises(Unresponsive) as caught:
        Control(path, deadline=0.01)
    assert caught.value.pid == os.getpid()


def test_silence_after_a_request_has_an_end(path: Path) -> None:
    with (
        supervisor(path, stay=True),
        Control(path) as control,
        pytest.raises(Unresponsive, match="did not answer `start`"),
    ):
        control.request("start", silence=0.01)


def test_a_supervisor_that_leaves_without_an_answer_is_an_error(path: Path) -> None:
    with supervisor(path), Control(path) as control, pytest.raises(Gone, match="went away"):
        control.request("start")


@pytest.mark.parametrize(("verb", "said"), [("suspend", ("the builder goes on with `suspend`",)), ("start", ())])
def test_whoever_interrupts_what_goes_on_is_told(path: Path, verb: str, said: tuple[str, ...]) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with supervisor(path, {"event": {}}), Control(path) as control, pytest.raises(KeyboardInterrupt) as caught:
        control.request(verb, each=interrupt)
    assert caught.value.args == said


REPORT: dict[str, Any] = dict.fromkeys(ESSENTIAL)


def test_a_report_is_what_every_supervisor_says(path: Path) -> None:
    with supervisor(path, {"ok": REPORT | {"more": 1}}), Control(path) as control:
        assert control.report() == REPORT | {"more": 1}


@pytest.mark.parametrize("greeting", [b"SSH-2.0-x\r\n", b"\xff\n", b"[]\n", b"{}\n", {"protocol": "x"}, b"x" * 2000])
def test_what_does_not_greet_as_a_supervisor_is_none(
    path: Path, greeting: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LONGEST_LINE", 1000)
    with supervisor(path, greeting=greeting), pytest.raises(Nonsense, match="is no supervisor of snowshed") as caught:
        Control(path)
    assert f"What listens at {path} (process {os.getpid()})" in caught.value.message


@pytest.mark.parametrize(
    "answer", [b"hello\n", {}, {"well": 1}, {"ok": 7}, {"ok": None}, {"ok": {}}, {"error": "x"}, {"event": "x"}]
)
def test_nor_is_what_does_not_answer_as_one(path: Path, answer: object) -> None:
    with supervisor(path, answer), Control(path) as control, pytest.raises(Nonsense):
        control.report()


def test_a_line_that_comes_ever_so_slowly_is_silence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece comes in time, and the line does not; a clock that jumps stands for the waiting."""
    clock = itertools.count(step=4.0)
    monkeypatch.setattr(client.time, "monotonic", lambda: next(clock))
    with supervisor(path, greeting=b'{"pro', stay=True), pytest.raises(Unresponsive, match="within 5 seconds"):
        Control(path, deadline=5.0)


@pytest.mark.parametrize("verb", ["start", "suspend", "events"])
def test_another_protocol_is_named_and_only_understood_verbs_are_sent(path: Path, verb: str) -> None:
    newer = {**GREETING, "snowshed": "9.9", "protocol": PROTOCOL + 1}
    with (
        supervisor(path, greeting=newer, stay=True),
        Control(path) as control,
        pytest.raises(UserError, match=r"started by snowshed 9\.9"),
    ):
        control.request(verb)


def test_a_report_of_another_protocol_may_be_one_that_nobody_here_understands(path: Path) -> None:
    newer = {**GREETING, "snowshed": "9.9", "protocol": PROTOCOL + 1}
    with (
        supervisor(path, {"ok": {"word": 1}}, greeting=newer),
        Control(path) as control,
        pytest.raises(UserError, match=r"started by snowshed 9\.9") as caught,
    ):
        control.report()
    assert "`snowshed stop`" in caught.value.hint


@pytest.mark.parametrize("verb", ["stop", "status"])
def test_stopping_and_looking_work_across_protocols(path: Path, verb: str) -> None:
    with supervisor(path, {"ok": None}, greeting={**GREETING, "protocol": PROTOCOL + 1}), Control(path) as control:
        assert control.request(verb) is None

"""What is replayed of the event log, across its rotation and a power cut."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from snowshed.cli import main as cli
from snowshed.cli.events import replay


def event(number: int, kind: str = "message") -> str:
    return json.dumps({"at": 1000.0 + number, "kind": kind, "text": f"event {number}"})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "events.jsonl.1").write_text(f"{event(1)}\n{event(2, 'state')}\n")
    (tmp_path / "events.jsonl").write_text(f"{event(3)}\nno event\n[]\n{event(4, 'state')}\n" + '{"at": 5, "ki')
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], state: Path, *words: str) -> list[str]:
    assert cli.main(["events", "--state-dir", str(state), *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_events_of_before_a_rotation_come_first(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1001))
    lines = shown(capsys, state)
    assert lines[0] == f"{stamp}  event 1"
    assert [line[-1] for line in lines] == ["1", "2", "3", "4"]


def test_the_last_so_many_of_a_kind(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [line[-1] for line in shown(capsys, state, "-n", "1")] == ["4"]
    assert [line[-1] for line in shown(capsys, state, "--kind", "state")] == ["2", "4"]
    assert [line[-1] for line in shown(capsys, state, "--kind", "message", "-n", "1")] == ["3"]
    assert shown(capsys, state, "-n", "0") == []


def test_json_is_what_was_written(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, state, "--json") == [event(1), event(2, "state"), event(3), event(4, "state")]


def test_following_begins_where_the_replay_ends(state: Path) -> None:
    file = state / "events.jsonl"
    lines, size = replay(file)
    assert len(lines) == 6
    assert file.read_bytes()[size:] == b'{"at": 5, "ki'
    assert replay(state / "nothing") == ([], 0)

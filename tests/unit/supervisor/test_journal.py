"""The journal: each reader gets what happens, a file stays within its bound, and progress is for nobody's file."""

from __future__ import annotations

import io
import json
from pathlib import Path

from snowshed.cli.events import replay
from snowshed.model.wire import Happening
from snowshed.supervisor.journal import BACKLOG, REMEMBERED, ROTATE_AT, Journal


def test_a_log_of_ten_megabytes_is_put_aside_and_nothing_between_is_lost(tmp_path: Path) -> None:
    file, aside = tmp_path / "events.jsonl", tmp_path / "events.jsonl.1"
    journal = Journal(file, io.StringIO())
    padding = "x" * (1 << 20)
    for number in range(25):
        journal.say(f"{number} {padding}")
    journal.close()
    sizes = [file.stat().st_size, aside.stat().st_size]
    assert all(0 < size <= ROTATE_AT for size in sizes)
    numbers = [int(json.loads(line)["text"].split()[0]) for line in replay(file)[0]]
    assert numbers == list(range(numbers[0], 25))
    assert len(numbers) > 9
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.jsonl", "events.jsonl.1"]
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_past_is_told_across_the_rotation_and_within_its_bound(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl.1").write_bytes(b'{"at": 1, "kind": "state", "text": "old"}\n\xff{\n')
    journal = Journal(tmp_path / "events.jsonl", io.StringIO())
    journal.say("one")
    journal.state("running", "two")
    assert [each.text for each in journal.past(10)] == ["old", "one", "two"]
    assert [each.text for each in journal.past(1, ("state",))] == ["two"]
    assert journal.past(0) == journal.past(-3) == []
    journal.say("x" * REMEMBERED)
    journal.say("three")
    assert [each.text for each in journal.past(10)] == ["three"]
    journal.close()


def test_everybody_hears_what_happens(tmp_path: Path) -> None:
    log, heard = io.StringIO(), []
    journal = Journal(tmp_path / "events.jsonl", log)
    journal.listeners.append(heard.append)
    with journal.follow() as feed:
        journal.state("running")
        journal.say("Careful.", level="warning")
        assert feed.get_nowait() == heard[0]
        assert feed.get_nowait() == heard[1]
    journal.say("Later.")
    assert feed.empty()
    journal.close()
    assert [line.split(" ", 1)[1] for line in log.getvalue().splitlines()] == [
        "The builder is running.",
        "warning: Careful.",
        "Later.",
    ]
    kept = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(each["kind"], each.get("state"), each.get("level")) for each in kept] == [
        ("state", "running", None),
        ("message", None, "warning"),
        ("message", None, None),
    ]


def test_progress_is_for_those_who_wait(tmp_path: Path) -> None:
    log, heard = io.StringIO(), []
    journal = Journal(tmp_path / "events.jsonl", log)
    journal.listeners.append(heard.append)
    with journal.follow() as feed:
        journal.progress("Copying", 0.5)
        happening = feed.get_nowait()
    assert happening is not None
    assert (happening.kind, happening.text, happening.fraction) == ("progress", "Copying", 0.5)
    journal.close()
    assert (log.getvalue(), heard, (tmp_path / "events.jsonl").read_bytes()) == ("", [], b"")


def test_a_reader_that_sleeps_loses_the_oldest(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "events.jsonl", io.StringIO())
    with journal.follow() as feed:
        for number in range(BACKLOG + 10):
            journal.add(Happening(float(number), "message", "x"))
        first = feed.get_nowait()
    journal.close()
    assert first is not None
    assert first.at == 10.0

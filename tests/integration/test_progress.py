"""What is seen by whoever waits for a builder: on a terminal, without one, as a program, and with `--quiet`."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from clients import status_of
from command import PATIENCE, Place, free_port, interrupt, with_patience
from terminal import Terminal

SMALL = ("--memory", "512", "--cores", "1")


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as made:
        yield made


def terminal(place: Place, *words: str, **environment: str) -> Terminal:
    given = {name: value for name, value in place.environment.items() if name != "COLUMNS"}
    return Terminal(place.argv(*words), {**given, **environment})


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_life_on_a_terminal(place: Place) -> None:
    place.qemu.fail("slow-boot=0.3", "slow-save=1", "slow-shutdown=0.5")
    lived = [
        (("start", "--port", str(free_port()), *SMALL), ("Booting Linux", "1/5"), "is ready in"),
        (("suspend",), ("Putting its memory on disk",), "is suspended; the next connection wakes it."),
        (("resume",), (), "is running."),
        (("restart", *SMALL), ("Shutting the guest down",), "is ready in"),
        (("stop",), ("Shutting the guest down",), "is stopped."),
    ]
    for words, meanwhile, end in lived:
        with terminal(place, *words) as shown:
            assert shown.ended() == 0, shown.text
            assert [word for word in meanwhile if word not in shown.said] == []
            assert end in shown.text
            assert "Shutting" not in shown.text
            assert "█" not in shown.text
            assert shown.is_as_before


def test_ctrl_c_takes_a_start_back_and_leaves_the_terminal_as_it_was(place: Place) -> None:
    place.qemu.fail("boot-hangs=disk")
    with terminal(place, "start", "--port", str(free_port()), *SMALL) as shown:
        shown.until(lambda text: "Preparing the disk" in text)
        shown.interrupt()
        assert shown.ended() == 130
        assert shown.text.splitlines() == ["^C", "snowshed: interrupted."]
        assert shown.is_as_before
    assert place.processes() == {}


def test_ctrl_c_leaves_a_line_and_none_that_is_empty(place: Place) -> None:
    place.state.mkdir(parents=True)
    (place.state / "supervisor.log").write_text("one\n")
    (place.state / "supervisor.lock").touch()
    for words, waits, left in (
        (("logs", "-f"), "one", ["one", "^C"]),
        (("destroy",), "[y/N]:", ["Delete it? [y/N]: ^C"]),
    ):
        with terminal(place, *words) as shown:
            shown.until(lambda text, waits=waits: waits in text)
            shown.interrupt()
            assert shown.ended() == 130
            assert shown.text.splitlines()[-1 - len(left) :] == [*left, "snowshed: interrupted."]


def test_a_life_without_a_terminal(place: Place) -> None:
    place.start()
    suspended = place.ok("suspend")
    assert suspended.err.splitlines()[:-1] == ["Putting its memory on disk"]
    resumed = place.ok("resume")
    assert resumed.err.splitlines()[:-1] == ["Bringing it back from its memory"]
    assert place.ok("gc").err.splitlines()[-1].startswith("The guest's store holds only what is needed")
    stopped = place.ok("stop")
    assert stopped.err.splitlines() == ["Shutting the guest down", "The builder default is stopped."]
    assert "\x1b" not in suspended.err + resumed.err + stopped.err


def test_a_life_for_a_program(place: Place) -> None:
    started = objects(place.ok("start", "--json", "--port", str(free_port()), *SMALL).out)
    assert [each["stage"] for each in started if each["kind"] == "stage"] == ["boot", "disk", "sshd", "nix"]
    assert (started[-1]["kind"], started[-1]["report"]["running"]) == ("done", True)
    for verb, state in (("suspend", "suspended"), ("resume", "running"), ("pause", "paused"), ("gc", "running")):
        done = place.ok(verb, "--json")
        assert done.err == ""
        found = objects(done.out)
        assert (found[-1]["kind"], found[-1]["report"]["state"]) == ("done", state)
    stopped = objects(place.ok("stop", "--json").out)
    assert [each["state"] for each in stopped if each["kind"] == "state"] == ["stopping", "stopped"]
    assert stopped[-1]["kind"] == "done"
    image = objects(place.ok("image", "build", "--if-missing", "--json").out)
    assert image[-1]["path"].endswith(image[-1]["name"])


def test_a_life_for_who_wants_to_hear_nothing(place: Place) -> None:
    for words in (("start", "--port", str(free_port()), *SMALL), ("suspend",), ("resume",), ("gc",), ("stop",)):
        done = place.ok(*words, "--quiet")
        assert (done.out, done.err) == ("", "")
    refused = place.run("suspend", "-q")
    assert refused.status == 3
    assert "is not running" in refused.err


def test_ssh_shows_a_person_how_the_guest_wakes(place: Place) -> None:
    place.start()
    place.ok("stop")
    place.qemu.fail("slow-boot=0.3")
    running = place.spawn("run", "--on-demand", "--port", str(free_port()), *SMALL)
    try:
        with_patience(lambda: status_of(place, "supervisorPid"))
        with terminal(place, "ssh", "-o", "BatchMode=yes", "true") as shown:
            assert shown.ended() == 255  # what answers there is no SSH
            assert "Booting Linux" in shown.said
    finally:
        place.run("stop", "--force")
        interrupt(running)


def test_events_are_followed_while_they_come_and_until_the_builder_is_deleted(place: Place) -> None:
    place.start()
    following = place.spawn("events", "-f", "--json", "--kind", "state", "-n", "1")
    assert following.stdout is not None
    assert json.loads(following.stdout.readline())["state"] == "running"
    place.ok("suspend")
    assert [json.loads(following.stdout.readline())["state"] for _ in range(2)] == ["suspending", "suspended"]
    place.ok("destroy", "--yes")
    out, err = following.communicate(timeout=PATIENCE)
    assert (following.returncode, out.splitlines()[2:], err) == (0, [], "The builder default was deleted.\n")


def test_a_log_is_followed_before_there_is_one_and_across_its_rotation(place: Place) -> None:
    following = place.spawn("logs", "-f")
    place.state.mkdir(parents=True)
    log = place.state / "supervisor.log"
    log.write_text("one\n")
    assert next_of(following) == b"one\n"
    log.write_bytes(b"")
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"a \xff, and no end")
    assert next_of(following) == b"a \xff, and no end"
    done = interrupt(following)
    assert (done.status, done.out, done.err) == (130, "", "snowshed: interrupted.\n")


def test_a_log_that_nobody_reads_any_more_is_not_followed(place: Place) -> None:
    place.state.mkdir(parents=True)
    (place.state / "supervisor.log").write_text("one\n")
    following = place.spawn("logs", "-f")
    assert next_of(following) == b"one\n"
    assert following.stdout is not None
    following.stdout.close()
    assert following.wait(PATIENCE) == 0


def next_of(following: subprocess.Popen[str]) -> bytes:
    """What it says next."""
    assert following.stdout is not None
    return os.read(following.stdout.fileno(), 1 << 16)

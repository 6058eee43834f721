"""`snowshed top` on a terminal, and without one: the real command and supervisors, a stand-in for QEMU."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from command import Place, free_port
from terminal import Terminal


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """Builders that run, sleep, and are stopped."""
    with Place.made(stops=True) as made:
        made.qemu.fail("named-builds=hello-2.12.1+gcc-13.2.0")
        made.start()
        for name in ("asleep", "stopped"):
            made.ok("start", "-b", name, "--port", str(free_port()), "--memory", "512", "--cores", "1")
        made.ok("-b", "asleep", "suspend")
        made.ok("-b", "stopped", "stop")
        yield made
        made.run("-b", "asleep", "stop", "--force")


def terminal(place: Place, *words: str, columns: int = 100, lines: int = 30, **environment: str) -> Terminal:
    given = {name: value for name, value in place.environment.items() if name != "COLUMNS"}
    return Terminal(place.argv(*words), {**given, **environment}, columns=columns, lines=lines)


def complete(text: str) -> bool:
    return all(word in text for word in ("gcc-13.2.0", "asleep", "suspended", "stopped"))


def test_all_builders_are_shown_until_ctrl_c_and_the_terminal_is_as_before(place: Place) -> None:
    with terminal(place, "top") as shown:
        text = shown.until(complete)
        assert "3 builders, 1 running, 2 builds" in text
        assert "default is running" in text
        assert "hello-2.12.1" in text
        assert shown.colours
        shown.interrupt()
        assert shown.ended() == 0
        assert shown.is_as_before


@pytest.mark.parametrize("how", ["q", "terminated", "hung up"])
def test_however_it_ends_the_terminal_is_as_before(place: Place, how: str) -> None:
    with terminal(place, "top") as shown:
        shown.until(complete)
        if how == "q":
            shown.press("q")
        else:
            os.kill(shown.process.pid, signal.SIGTERM if how == "terminated" else signal.SIGHUP)
        assert shown.ended() == 0
        assert shown.is_as_before


def test_a_terminal_that_is_gone_is_no_bug(place: Place) -> None:
    with terminal(place, "top") as shown:
        shown.until(complete)
        shown.vanish()
        assert shown.process.wait(30) != 70
    assert not (place.home / ".cache/snowshed/last-bug.txt").exists()


def test_a_window_that_changes_its_size_is_filled_anew(place: Place) -> None:
    with terminal(place, "top", columns=160) as shown:
        shown.until(complete)
        assert "▁" in shown.text
        shown.resize(48, 20)
        text = shown.until(complete)
        assert "▁" not in text
        assert text.splitlines()[1].endswith("╮")
        shown.resize(100, 7)
        text = shown.until(lambda text: "asleep" in text and "BUILDER" in text)
        assert "╮" not in text
        shown.resize(120, 40)
        assert "▁" in shown.until(lambda text: complete(text) and "╮" in text)


def test_a_state_that_changes_is_shown_without_waiting_for_the_next_sample(place: Place) -> None:
    with terminal(place, "-b", "asleep", "status", "--watch") as shown:
        shown.until(lambda text: "suspended" in text)
        place.ok("-b", "asleep", "resume")
        shown.until(lambda text: "asleep is running" in text)
        place.ok("-b", "asleep", "suspend")
        shown.until(lambda text: "suspended" in text)
        assert "default" not in shown.text


def test_a_builder_that_comes_to_life_is_found(place: Place) -> None:
    with terminal(place, "top") as shown:
        shown.until(complete)
        place.ok("-b", "stopped", "start")
        shown.until(lambda text: "stopped is running" in text)
        place.ok("-b", "stopped", "stop")
        shown.until(lambda text: "stopped is running" not in text)


def test_no_colour_where_none_is_wanted(place: Place) -> None:
    with terminal(place, "top", NO_COLOR="1") as shown:
        shown.until(complete)
        assert shown.colours == set()
        assert b"\x1b[3" not in shown.bytes


@pytest.mark.parametrize("environment", [{}, {"TERM": "xterm", "NO_COLOR": ""}])
def test_without_a_terminal_it_is_text_once(place: Place, environment: dict[str, str]) -> None:
    done = place.run("top", **environment)
    assert (done.status, done.err) == (0, "")
    assert "\x1b" not in done.out
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line}
    assert rows["default"][1:3] == ["running", "x86_64-linux"]
    assert rows["default"][-1] == "2"
    assert rows["asleep"][1] == "suspended"
    assert rows["stopped"][1] == "stopped"
    assert rows["gcc-13.2.0"][1] == "default"


def test_a_terminal_that_cannot_move_gets_text(place: Place) -> None:
    with terminal(place, "top", TERM="dumb") as shown:
        assert shown.ended() == 0
        assert b"\x1b" not in shown.bytes
        assert "gcc-13.2.0" in shown.text


def test_for_programs_it_is_json(place: Place) -> None:
    found = json.loads(place.ok("top", "--json").out)
    assert [(each["name"], each["state"]) for each in found] == [
        ("asleep", "suspended"),
        ("default", "running"),
        ("stopped", "stopped"),
    ]
    assert [build["name"] for build in found[1]["builds"]] == ["hello-2.12.1", "gcc-13.2.0"]
    assert found[1]["disk"]["used"] == 1 << 20


def test_a_picture(place: Place, tmp_path: Path) -> None:
    place.ok("-b", "default", "top", "--svg", str(tmp_path / "top.svg"))
    svg = (tmp_path / "top.svg").read_text()
    assert svg.startswith("<svg ")
    assert "gcc-13.2.0" in svg
    assert "url(http" not in svg


def test_no_builder_at_all() -> None:
    with Place.made() as place:
        assert place.ok("top").err == "There is no builder yet; `snowshed start` makes one.\n"
        with terminal(place, "top") as shown:
            shown.until(lambda text: "There is no builder yet" in text)
            shown.press("q")
            assert shown.ended() == 0

"""What is told while somebody waits, to each who may be waiting."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyte
import pytest
from rich.console import Console

from snowshed.cli import progress as module
from snowshed.cli.progress import How, Progress, done, progress
from snowshed.errors import GuestError


def stage(name: str, seconds: float = 1.0) -> dict[str, Any]:
    return {"at": 1.0, "kind": "stage", "text": f"Reached {name}.", "stage": name, "seconds": seconds}


def state(name: str) -> dict[str, Any]:
    return {"at": 1.0, "kind": "state", "text": f"The builder is {name}.", "state": name}


def warning(text: str) -> dict[str, Any]:
    return {"at": 1.0, "kind": "message", "text": text, "level": "warning"}


def saved(fraction: float) -> dict[str, Any]:
    return {"at": 1.0, "kind": "progress", "text": "Putting its memory on disk", "fraction": fraction}


EVENTS = [
    state("suspending"),
    saved(0.5),
    warning("It is slow."),
    state("suspended"),
    {"at": 1.0, "kind": "message", "text": "x"},
]


def test_lines_say_each_step_once() -> None:
    stream = io.StringIO()
    with progress("Looking", stream=stream) as shown:
        shown.moved("packages", 0.0)
        shown.moved("packages", 1.0)
        shown.event(state("starting"))
        shown.event(stage("boot", 2.34))
        shown.event(stage("boot", 9.99))
        for event in EVENTS:
            shown.event(event)
    assert stream.getvalue().splitlines() == [
        "image: packages",
        "boot: 2.3 s",
        "Putting its memory on disk",
        "  It is slow.",
    ]


def test_the_quiet_hear_what_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Looking", How.QUIET) as shown:
        shown.moved("packages", 0.0)
        for event in [stage("boot"), *EVENTS]:
            shown.event(event)
    done("It is done.", How.QUIET)
    assert capsys.readouterr() == ("", "  It is slow.\n")


def test_programs_get_an_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Looking", How.JSON) as shown:
        for number in range(1000):
            shown.moved("packages", number / 1000)
        for event in EVENTS:
            shown.event(event)
    done("It is done.", How.JSON, report={"name": "arm"})
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert err == ""
    work = [each["fraction"] for each in found if each["kind"] == "progress" and each["text"] == "packages"]
    assert work == sorted(work)
    assert 90 < len(work) < 110
    assert found[-6:-1] == EVENTS
    assert (found[-1]["kind"], found[-1]["text"], found[-1]["report"]) == ("done", "It is done.", {"name": "arm"})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """The screens of a terminal, one after each step."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)

    def look(*steps: Callable[[Progress], None], columns: int = 80) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        stream = Terminal()
        screens = []
        with progress("Preparing the image", stream=stream) as shown:
            for step in steps:
                step(shown)
                shown._shown._live.refresh()  # type: ignore[attr-defined]
                screens.append(screen_of(stream.getvalue(), columns))
        return [*screens, screen_of(stream.getvalue(), columns)]

    return look


def screen_of(text: str, columns: int = 80) -> str:
    screen = pyte.Screen(columns, 8)
    pyte.Stream(screen).feed(text.replace("\n", "\r\n"))
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


def heard(event: dict[str, Any]) -> Callable[[Progress], None]:
    return lambda shown: shown.event(event)


def test_a_start_fills_a_bar_and_leaves_nothing_behind(look: Callable[..., list[str]]) -> None:
    screens = look(
        lambda shown: None,
        lambda shown: shown.moved("packages", 0.25),
        heard(state("starting")),
        heard(stage("boot")),
        heard(stage("sshd")),
        heard(stage("disk")),
        heard(stage("nix")),
    )
    assert "Preparing the image" in screens[0]
    assert ("Preparing the image: packages" in screens[1], "25%" in screens[1]) == (True, True)
    assert ("Booting Linux" in screens[2], "1/5" in screens[2]) == (True, True)
    assert ("Preparing the disk" in screens[3], "2/5" in screens[3]) == (True, True)
    assert ("Preparing the disk" in screens[4], "3/5" in screens[4]) == (True, True)
    assert ("Starting Nix" in screens[5], "4/5" in screens[5]) == (True, True)
    assert ("Ready" in screens[6], "5/5" in screens[6]) == (True, True)
    assert screens[7] == ""


def test_a_suspend_fills_a_bar_and_what_is_wrong_stays(look: Callable[..., list[str]]) -> None:
    screens = look(*(heard(event) for event in EVENTS[:4]))
    assert "Putting its memory on disk" in screens[0]
    assert "50%" in screens[1]
    assert screens[3].splitlines()[0] == "It is slow."
    assert screens[4] == "It is slow."


@pytest.mark.parametrize("columns", [20, 40, 200])
def test_one_line_at_any_width(columns: int, look: Callable[..., list[str]]) -> None:
    screens = look(heard(state("resuming")), columns=columns)
    assert len(screens[0].splitlines()) == 1


def test_without_colour_it_moves_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    with progress("Waking it", stream=stream) as shown:
        shown.event(state("resuming"))
    assert "Waking it" in stream.getvalue()
    assert "\x1b[3" not in stream.getvalue()


def test_markup_in_what_is_shown_is_text() -> None:
    live = module.bar_on(Console(file=io.StringIO(), width=80))
    bar = module.Bar(live, "x")
    bar.moved("[red]packages[/red]", 0.5)
    console = Console(file=io.StringIO(), width=100)
    console.print(live.get_renderable())
    assert "[red]packages[/red]" in console.file.getvalue()  # type: ignore[attr-defined]


def test_what_the_wait_ends_with_is_not_said_twice_and_other_trouble_is_said() -> None:
    stream = io.StringIO()
    error = GuestError("It broke.", "Mend it.")
    with suppress(GuestError), progress("Looking", stream=stream) as shown:
        shown.event(warning("It is slow."))
        shown.event(warning(str(error)))
        shown.event(state("failed"))
        raise error
    assert stream.getvalue() == "  It is slow.\n"


def test_trouble_after_which_something_goes_on_is_said_at_once() -> None:
    stream = io.StringIO()
    with progress("Looking", stream=stream) as shown:
        shown.event(warning("It boots anew."))
        shown.event(state("starting"))
        assert stream.getvalue() == "  It boots anew.\n"
        shown.event(warning("It is slow."))
    assert stream.getvalue() == "  It boots anew.\n  It is slow.\n"

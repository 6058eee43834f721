"""A builder of another account: what it tells everybody, and what is said of the rest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from command import Done, Place

# What a verb imports is imported before: the interpreter's library may lie where the other account may not look.
from snowshed.cli import destroy, doctor, events, logs, machines, ssh, stop, top  # noqa: F401
from snowshed.cli import main as cli
from snowshed.control.client import Control

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@pytest.fixture
def place() -> Iterator[Place]:
    """A builder as a service of the system has it: a directory to pass through, a socket for everybody."""
    with Place.made(stops=True) as made:
        made.start()
        for folder in (made.state, *made.state.parents[: len(made.state.relative_to(made.home.parent).parts)]):
            folder.chmod(0o711)
        (made.state / "control.sock").chmod(0o666)
        yield made


@contextmanager
def somebody_else() -> Iterator[None]:
    group = os.getegid()
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


@pytest.fixture
def asks(place: Place, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("HOME", str(place.home.parent / "nowhere"))

    def run(*words: str) -> Done:
        with somebody_else():
            status = cli.main([*words, "--state-dir", str(place.state)])
        return Done(status, *capfd.readouterr())

    return run


def test_everybody_hears_what_happened_while_it_runs(place: Place, asks: Any) -> None:
    for words in (("events", "--json", "--kind", "state"), ("events", "-n", "2")):
        assert asks(*words) == place.ok(*words)
    place.ok("stop")
    refused = asks("events")
    assert refused.status == 2
    assert "While it does not run, its events are for that one and for root alone." in refused.err
    assert f"sudo snowshed events --state-dir {place.state}" in refused.err


def test_what_happens_then_is_heard_after_the_past(place: Place) -> None:
    heard = []

    class Enough(Exception):
        pass

    def each(event: dict[str, Any]) -> None:
        heard.append(event["state"])
        if event["state"] == "running":
            place.ok("suspend")
        if event["state"] == "suspended":
            raise Enough

    with somebody_else():
        control = Control(place.state / "control.sock")
    with control, pytest.raises(Enough):
        control.request("history", each=each, lines=1, kinds=["state"], follow=True)
    assert heard == ["running", "suspending", "suspended"]


def test_the_rest_is_its_owners(place: Place, asks: Any) -> None:
    for words, says, hint in (
        (("logs",), "Its logs are for that one and for root alone.", "sudo snowshed logs --state-dir"),
        (("ssh",), "The key to its guest is for that one", "sudo snowshed ssh --state-dir"),
        (("machines",), "belongs to another account, and ", "Ask its owner."),
        (("stop",), "only root and administrators", "Use sudo."),
        (("destroy", "--yes"), "only root and administrators", "Use sudo."),
    ):
        done = asks(*words)
        assert done.status == 2, done.words
        first, second = done.err.splitlines()[-2:]
        assert says in first
        assert hint in second
    assert "held by the builder" in asks("doctor", "--only", "port").out
    place.state.chmod(0o700)
    watched = asks("top")
    assert "unknown" in watched.out
    assert "You may not talk to the builder" in watched.out
    assert watched.err == ""
    for words in (("stop",), ("destroy", "--yes"), ("machines",)):
        assert "belongs to another account, and " in asks(*words).err
    assert place.ok("status").out

"""The builder that the steps work on, and how a step says what it saw."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ..errors import SnowshedError
from ..process import Outcome, attempt

BUILDER = "selftest"
PATIENCE = 600.0
"""Seconds for one command: a first boot makes an image, and an emulated guest is slow."""


class Failed(Exception):
    """A step did not see what it should: the sentence says what it saw instead."""


class Skipped(Exception):
    """A step makes no sense here: the sentence says why."""


class Result(msgspec.Struct, frozen=True):
    """What became of a step. `outcome` is ``passed``, ``failed`` or ``skipped``; `detail` what was seen, or why not."""

    id: str
    title: str
    outcome: str
    detail: str
    seconds: float = 0.0


@dataclass(frozen=True)
class Step:
    """One row of the list. `run` returns what it saw; `title` says what is shown when it passes."""

    id: str
    title: str
    run: Callable[[Bench], str]
    platform: str = ""
    """Where it can be shown; empty: anywhere."""


class Bench:
    """One builder for all steps, started with `options` (``--driver vz`` …) in `state`, its configuration beside it."""

    def __init__(self, state: Path, options: tuple[str, ...] = ()) -> None:
        self.state = state
        self.options = options

    def snowshed(self, *words: str, ok: bool = True) -> Outcome:
        """Run `snowshed VERB …` for the builder. Raises `Failed` with what it said unless it succeeds or need not."""
        verb, *rest = words
        place = ("-b", BUILDER, "--state-dir", str(self.state))
        done = attempt([sys.executable, "-P", "-m", "snowshed.cli", verb, *place, *rest], timeout=PATIENCE)
        if ok and done.status != 0:
            raise Failed(f"`snowshed {' '.join(words)}` ended with {done.status}: {_last(done.err or done.out)}")
        return done

    def guest(self, command: str, *, ok: bool = True) -> str:
        """What a command prints in the guest."""
        return self.snowshed("ssh", "--", command, ok=ok).out.strip()

    def start(self, *more: str) -> float:
        """Start the builder, ready for builds; how many seconds that took."""
        before = time.monotonic()
        self.snowshed("start", *self.options, *more)
        return time.monotonic() - before

    def stop(self) -> None:
        self.snowshed("stop")

    def report(self) -> dict[str, Any]:
        """`snowshed status --json`, also of a builder that does not run."""
        done = self.snowshed("status", "--json", ok=False)
        try:
            found: dict[str, Any] = json.loads(done.out)
        except ValueError as error:
            raise Failed(f"status says no JSON: {_last(done.err or done.out)}") from error
        return found

    def running(self, *options: str) -> dict[str, Any]:
        """The report of the builder, started if need be."""
        found = self.report()
        if not found["running"]:
            self.start(*options)
            found = self.report()
        return found

    def banner(self, seconds: float = 120.0) -> tuple[bytes, float]:
        """The first words of the guest's sshd through the builder's port, and how long they took."""
        before = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.report()["port"]), timeout=seconds) as connection:
            connection.settimeout(seconds)
            return connection.recv(100), time.monotonic() - before

    def clean_up(self) -> None:
        """Stop and delete the builder, whatever state it is in."""
        self.snowshed("stop", "--force", ok=False)
        self.snowshed("destroy", "--yes", ok=False)


def perform(step: Step, bench: Bench, platform: str = sys.platform) -> Result:
    """Run `step`. Nothing that goes wrong in it leaves this function."""
    before = time.monotonic()
    try:
        if step.platform and step.platform != platform:
            raise Skipped("needs a Mac" if step.platform == "darwin" else f"needs {step.platform}")
        outcome, detail = "passed", step.run(bench)
    except Skipped as reason:
        outcome, detail = "skipped", str(reason)
    except (Failed, SnowshedError) as error:
        outcome, detail = "failed", str(error).splitlines()[0] if str(error) else type(error).__name__
    except Exception as error:
        outcome, detail = "failed", f"{type(error).__name__}: {error}"
    return Result(step.id, step.title, outcome, detail, round(time.monotonic() - before, 1))


def expect(condition: object, otherwise: str) -> None:
    """Raise `Failed` with `otherwise` unless `condition` holds."""
    if not condition:
        raise Failed(otherwise)


def eventually(condition: Callable[[], object], otherwise: str, seconds: float = 20.0) -> None:
    """Return once `condition` holds. No event tells a command line what happens in another process."""
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, otherwise)
        time.sleep(0.1)


def alive(pid: int) -> bool:
    """Whether a process is there, of our own user."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def free_port() -> int:
    """A port of the loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"

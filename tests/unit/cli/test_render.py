"""What people see, line by line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from snowshed.cli import render
from snowshed.cli.report import from_files
from snowshed.paths import BuilderPaths
from snowshed.units import GIB, MIB

RUNNING = {
    **from_files(BuilderPaths("arm", Path("/state/arm"))),
    "running": True,
    "state": "running",
    "system": "aarch64-linux",
    "cores": 4,
    "driver": "qemu",
    "accelerator": "tcg",
    "port": 31222,
    "connections": 2,
    "held": 1,
    "startedAt": 1000.0,
    "readyAt": 1004.4,
    "features": ["benchmark", "big-parallel"],
    "memory": {"configured": 8 * GIB, "resident": 700 * MIB, "guestFree": None},
    "disk": {"virtual": 100 * GIB, "allocated": 40 * MIB, "used": 30 * MIB},
    "idle": {"timeout": 600.0, "action": "stop", "wanted": "suspend", "reason": "a share", "remaining": 60.0},
    "notices": [],
}


def test_a_running_builder() -> None:
    assert render.status(RUNNING, now=1090.0) == "\n".join(
        [
            "arm is running",
            "  machine   aarch64-linux, 4 cores, qemu (tcg)",
            "  memory    8 GiB, 700 MiB taken from the host",
            "  disk      100 GiB, 40 MiB taken from the host, 30 MiB used in the guest",
            "  ssh       127.0.0.1:31222, 2 connections, 1 waiting",
            "  up        1 min 30 s, ready in 4.4 s",
            "  features  benchmark, big-parallel",
            "  idle      stop after 10 min 0 s unused, in 1 min 0 s (not suspend: a share)",
            "  state in  /state/arm",
        ]
    )


def test_one_core_is_one_core() -> None:
    assert "aarch64-linux, 1 core, qemu" in render.status({**RUNNING, "cores": 1}, now=1090.0)


def test_a_builder_that_failed_says_why_and_what_the_guest_said_last() -> None:
    failure = {"message": "It broke.", "hint": "Mend it.", "stage": "boot", "at": 1.0, "console": ["Kernel panic"]}
    text = render.status({**RUNNING, "running": False, "state": "failed", "failure": failure})
    assert text.splitlines()[-3:] == ["  ! It broke.", "    Mend it.", "    | Kernel panic"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert render.paint("a", "31", Terminal()) == "\033[31ma\033[0m"
    assert render.paint("a", "31", io.StringIO()) == "a"
    monkeypatch.setenv("NO_COLOR", "1")
    assert render.paint("a", "31", Terminal()) == "a"

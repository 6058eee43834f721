"""What builds said last, by the ends of logs that lie as a guest's Nix leaves them. The script runs here as it is."""

from __future__ import annotations

import bz2
import os
import subprocess
from pathlib import Path

import pytest

from snowshed.guest import last_words
from snowshed.guest.contract import contract
from snowshed.guest.last_words import LastWords

FULL = "cc1: error: x.o: No space left on device"
FORK = "make: fork: Resource temporarily unavailable"


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A folder with what a guest has: its disk, and its run directory."""
    for name in ("data/nix/var/log/nix/drvs", "run"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def log(guest: Path, name: str, *lines: str, packed: bool = True) -> Path:
    """The log of a build that has just ended."""
    file = guest / f"data/nix/var/log/nix/drvs/{len(name):02}/{'0' * 30}-{name}.drv{'.bz2' if packed else ''}"
    file.parent.mkdir(exist_ok=True)
    text = "".join(f"{line}\n" for line in lines).encode()
    file.write_bytes(bz2.compress(text) if packed else text)
    return file


def ask(guest: Path) -> LastWords:
    places = {contract().data_dir: guest / "data", contract().run_dir: guest / "run"}
    script = last_words.SCRIPT
    for place, here in places.items():
        script = script.replace(f"{place}/nix", f"{here}/nix").replace(f"={place}", f"={here}")
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0
    return last_words.parse(done.stdout)


def test_builds_are_named_by_what_they_said_at_the_end(guest: Path) -> None:
    log(guest, "hog-1.0", "building", FULL, "make: *** [all] Error 1")
    log(guest, "bomb", "building", FORK, packed=False)
    log(guest, "fine", "building", "done")
    log(guest, "pipe", "write error: Resource temporarily unavailable")
    assert sorted(ask(guest).failed) == [("bomb", "processes"), ("hog-1.0", "disk")]


def test_what_stands_further_up_was_not_the_end(guest: Path) -> None:
    log(guest, "tests", FULL, *["ok"] * last_words.LINES)
    assert ask(guest).failed == ()


def test_each_is_told_of_once_and_those_of_another_boot_never(guest: Path) -> None:
    os.utime(log(guest, "old", FULL), (1, 1))
    log(guest, "first", FULL)
    assert ask(guest).failed == (("first", "disk"),)
    assert ask(guest).failed == ()
    later = (guest / "run/logs-seen").stat().st_mtime + 1
    os.utime(log(guest, "second", FULL), (later, later))
    assert ask(guest).failed == (("second", "disk"),)


def test_a_guest_without_logs_says_the_rest(guest: Path) -> None:
    (guest / "data/nix/var/log/nix/drvs").rmdir()
    assert ask(guest).failed == ()
    assert last_words.parse("free 2 4096\nprocesses 2780\nprocesses max\n") == LastWords((), 8192, 2780)


@pytest.mark.parametrize("answer", ["", "free", "free x y", "log", "log nothing of ours", "free -1 4"])
def test_what_makes_no_sense_tells_nothing(answer: str) -> None:
    assert last_words.parse(answer) == LastWords((), None, 0)


def test_a_name_is_shown_without_what_a_terminal_obeys() -> None:
    answer = f"log ./00/{'0' * 30}-\x1b[31mred.drv.bz2 no space left on device"
    assert last_words.parse(answer).failed == (("??31mred", "disk"),)

"""What is done to a guest's data disk: the scripts, run as they are on this host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from snowshed.guest.disk import COLLECT, FORGET_WORKSHOP, WORKSHOP


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """As an image leaves it: packages, and a folder that its owner may not write."""
    folder = tmp_path / Path(WORKSHOP).name
    (folder / "cache").mkdir(parents=True)
    (folder / "cache/package.deb").write_text("x")
    (folder / "tree").mkdir()
    return folder


def forget(workshop: Path) -> None:
    script = f"{FORGET_WORKSHOP}\nforget_workshop {workshop}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_workshop_is_taken_away_with_what_an_interrupted_time_left(workshop: Path) -> None:
    (workshop.with_suffix(".old") / "cache").mkdir(parents=True)
    forget(workshop)
    assert list(workshop.parent.iterdir()) == []
    forget(workshop)
    assert list(workshop.parent.iterdir()) == []


def test_one_in_which_an_image_is_being_made_stays(workshop: Path) -> None:
    maker = subprocess.Popen(["sh", "-c", "read -r _; exit", "image-workshop"], stdin=subprocess.PIPE)
    (workshop / "lock").symlink_to(str(maker.pid))
    forget(workshop)
    assert (workshop / "cache/package.deb").exists()
    assert (workshop / "lock").readlink() == Path(str(maker.pid))
    maker.communicate(b"\n")
    forget(workshop)
    assert not workshop.exists()


def test_a_lock_that_another_process_has_the_number_of_counts_for_nothing(workshop: Path) -> None:
    (workshop / "lock").symlink_to(str(os.getppid()))
    forget(workshop)
    assert not workshop.exists()


def test_garbage_is_collected_with_it() -> None:
    assert COLLECT.index(f"forget_workshop {WORKSHOP}\n") < COLLECT.index("nix-store --gc")

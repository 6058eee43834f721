from __future__ import annotations

import asyncio
import errno
import json
import os
import threading
from pathlib import Path

import pytest

from snowshed import durable
from snowshed.errors import GuestError, UserError
from snowshed.paths import BuilderPaths
from snowshed.supervisor.suspension import Suspension


@pytest.fixture
def paths(tmp_path: Path) -> BuilderPaths:
    paths = BuilderPaths("default", tmp_path)
    paths.disk.write_bytes(b"disk")
    return paths


def suspend(paths: BuilderPaths) -> Suspension:
    suspension = Suspension(paths)
    suspension.begin().write_bytes(b"memory")
    asyncio.run(suspension.take(asyncio.sleep(0), in_order=True))
    suspension.commit("fingerprint", (paths.disk,))
    return suspension


def test_what_was_suspended_fits_its_machine(paths: BuilderPaths) -> None:
    suspend(paths)
    again = Suspension(paths)
    assert again.exists
    again.check("fingerprint")


def test_memory_that_was_saved_but_not_committed_does_not_exist(paths: BuilderPaths) -> None:
    suspension = Suspension(paths)
    suspension.begin().write_bytes(b"memory")
    assert not Suspension(paths).exists
    suspension.sweep()
    assert list(paths.state.iterdir()) == [paths.disk]


def test_consumed_memory_is_never_used_again(paths: BuilderPaths) -> None:
    suspension = suspend(paths)
    suspension.consume()
    assert not Suspension(paths).exists
    assert paths.suspend_consumed.read_bytes() == b"memory"
    suspension.sweep()
    assert list(paths.state.iterdir()) == [paths.disk]


def test_memory_that_somebody_took_away_is_said(paths: BuilderPaths) -> None:
    suspension = suspend(paths)
    paths.suspend_state.unlink()
    with pytest.raises(UserError, match=r"suspend\.state is gone"):
        suspension.check("fingerprint")


def change_disk(paths: BuilderPaths) -> None:
    paths.disk.write_bytes(b"other disk")


def truncate_memory(paths: BuilderPaths) -> None:
    paths.suspend_state.write_bytes(b"mem")


def corrupt_manifest(paths: BuilderPaths) -> None:
    paths.suspend_manifest.write_bytes(b"{")


def lose_manifest(paths: BuilderPaths) -> None:
    paths.suspend_manifest.unlink()


def have_been_saved_by_an_older_snowshed(paths: BuilderPaths) -> None:
    manifest = json.loads(paths.suspend_manifest.read_bytes())
    paths.suspend_manifest.write_bytes(json.dumps({**manifest, "format": 1}).encode())


def lose_disk(paths: BuilderPaths) -> None:
    paths.disk.unlink()


def replace_disk(paths: BuilderPaths) -> None:
    copy = paths.disk.with_name("copy")
    copy.write_bytes(paths.disk.read_bytes())
    copy.replace(paths.disk)


@pytest.mark.parametrize(
    "damage",
    [
        change_disk,
        truncate_memory,
        corrupt_manifest,
        lose_manifest,
        have_been_saved_by_an_older_snowshed,
        lose_disk,
        replace_disk,
    ],
)
def test_what_does_not_fit_any_more_is_refused_with_the_reason(paths: BuilderPaths, damage: object) -> None:
    suspension = suspend(paths)
    damage(paths)  # type: ignore[operator]
    with pytest.raises(UserError, match=r"does not fit any more: .+"):
        suspension.check("fingerprint")


def test_damage_is_noticed_that_leaves_the_length_alone(paths: BuilderPaths) -> None:
    suspension = suspend(paths)
    suspension.verify()
    paths.suspend_state.write_bytes(b"mEmory")
    suspension.check("fingerprint")
    with pytest.raises(UserError, match="damaged"):
        suspension.verify()


def test_another_machine_is_refused(paths: BuilderPaths) -> None:
    with pytest.raises(UserError, match="configuration"):
        suspend(paths).check("other")


def test_discard_leaves_nothing(paths: BuilderPaths) -> None:
    suspension = suspend(paths)
    suspension.discard()
    assert list(paths.state.iterdir()) == [paths.disk]
    assert not suspension.exists


@pytest.mark.parametrize("step", ["begin", "sync"])
def test_memory_that_does_not_reach_the_disk_is_told_in_a_sentence(
    step: str, paths: BuilderPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Event()

    def full(path: Path) -> None:
        tried.set()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    async def saving() -> None:
        if step == "begin":
            assert await asyncio.to_thread(tried.wait, 60)

    suspension = Suspension(paths)
    suspension.begin().write_bytes(b"memory")
    monkeypatch.setattr(durable, step, full)
    with pytest.raises(GuestError, match="could not be saved: No space left on device") as caught:
        asyncio.run(suspension.take(saving(), in_order=True))
    assert "Make room" in caught.value.hint


def test_what_the_saving_itself_says_of_its_failure_is_what_is_told(paths: BuilderPaths) -> None:
    async def saving() -> None:
        await asyncio.sleep(0)
        file.unlink()
        raise GuestError("QEMU ended.")

    suspension = Suspension(paths)
    file = suspension.begin()
    file.write_bytes(b"memory")
    with pytest.raises(GuestError, match=r"QEMU ended\."):
        asyncio.run(suspension.take(saving(), in_order=True))

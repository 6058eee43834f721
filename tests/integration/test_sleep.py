"""A builder that sleeps and wakes, through the real command and supervisor, with a stand-in for QEMU."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from clients import connect, greeted, hung_up, status_of
from command import Place, free_port, with_patience


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as made:
        yield made


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def on_demand(place: Place, port: int) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in the foreground that listens on `port` and boots nothing."""
    with place.spawn("run", "--on-demand", "--port", str(port), "--memory", "512", "--cores", "1") as running:
        with_patience(lambda: status_of(place, "supervisorPid"))
        yield running
        place.run("stop", "--force")


def until(place: Place, state: str) -> None:
    with_patience(lambda: status_of(place) == state)


def starts(place: Place) -> int:
    return len(place.qemu.journal("start"))


# --- on demand -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("on_demand")
def test_nothing_boots_until_somebody_comes_and_one_boot_serves_two_hundred(place: Place, port: int) -> None:
    place.qemu.fail("slow-boot=0.3")
    assert starts(place) == 0
    with ExitStack() as open_ones:
        clients = [open_ones.enter_context(connect(port)) for _ in range(200)]
        assert all(greeted(client) for client in clients)
        assert starts(place) == 1
        assert status_of(place, "connections") == 200
    with_patience(lambda: status_of(place, "connections") == 0)


@pytest.mark.usefixtures("on_demand")
def test_a_client_that_leaves_while_it_waits_takes_nothing_with_it(place: Place, port: int) -> None:
    place.qemu.fail("slow-boot=0.3")
    connect(port).close()
    with connect(port) as client:
        assert greeted(client)
    assert starts(place) == 1


@pytest.mark.usefixtures("on_demand")
def test_a_wake_that_fails_closes_every_client_says_why_and_the_next_connection_tries_again(
    place: Place, port: int
) -> None:
    place.qemu.fail("exits-at-start")
    clients = [connect(port) for _ in range(3)]
    assert all(hung_up(client) for client in clients)
    failure = status_of(place, "failure")
    assert "Cannot allocate memory" in failure["message"]
    assert "Cannot allocate memory" in (place.state / "events.jsonl").read_text()
    assert place.run("status").out.count("Cannot allocate memory") == 1
    place.qemu.fail()
    with connect(port) as client:
        assert greeted(client)
    assert status_of(place, "failure") is None


# --- idle ------------------------------------------------------------------------------------------------------------


def test_an_unused_builder_is_suspended_and_the_next_connection_brings_the_same_guest_back(place: Place) -> None:
    place.start("--idle-timeout", "0.3s")
    until(place, "suspended")
    assert place.qemu.journal("save")
    assert status_of(place, "pid") is None
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
    assert len(place.qemu.journal("restore")) == 1


def test_who_is_connected_keeps_the_guest_awake(place: Place) -> None:
    place.start("--idle-timeout", "2s")
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
        time.sleep(3)
        assert status_of(place) == "running"
        assert status_of(place, "idle")["remaining"] is None
    until(place, "suspended")


def test_a_build_that_lost_its_client_keeps_the_guest_awake(place: Place) -> None:
    place.qemu.fail("builds=3")
    place.start("--idle-timeout", "0.2s")
    with_patience(lambda: "build without a client" in (place.state / "supervisor.log").read_text())
    assert status_of(place) == "running"
    assert place.qemu.journal("save") == []


@pytest.mark.parametrize(("action", "state"), [("pause", "paused"), ("stop", "stopped"), ("suspend", "suspended")])
def test_the_idle_action_is_the_one_asked_for(place: Place, action: str, state: str) -> None:
    place.start("--idle-timeout", "0.2s", "--idle-action", action)
    until(place, state)
    assert status_of(place, "idle")["action"] == action
    with connect(status_of(place, "port")) as client:
        assert greeted(client)


# --- suspend, resume, pause -----------------------------------------------------------------------------------------


def test_the_clock_is_set_before_a_byte_is_forwarded(place: Place) -> None:
    place.start()
    place.ok("suspend")
    with connect(status_of(place, "port")) as client:
        client.sendall(b"SSH-2.0-somebody\r\n")
        assert greeted(client)
        with_patience(lambda: place.qemu.journal("words"))
    what = [entry["what"] for entry in place.qemu.journal()]
    after = what[what.index("restore") :]
    assert after.index("set-time") < after.index("words")


def test_suspend_while_something_is_connected_needs_force(place: Place) -> None:
    place.start()
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
        refused = place.run("suspend")
        assert refused.status == 2
        assert "in use" in refused.err
        assert "--force" in refused.err
        place.ok("suspend", "--force")
    assert status_of(place) == "suspended"


def test_a_suspend_that_finds_no_room_leaves_the_guest_running_and_says_so(place: Place) -> None:
    place.qemu.fail("save-fails")
    place.start()
    failed = place.run("suspend")
    assert failed.status != 0
    assert "No space left" in failed.err
    assert "runs on" in failed.err
    assert status_of(place) == "running"
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
    assert not list(place.state.glob("suspend.state*"))


@pytest.mark.parametrize("damage", ["truncate", "corrupt", "disk", "manifest"])
def test_what_does_not_fit_any_more_is_not_resumed_and_the_journal_says_why(place: Place, damage: str) -> None:
    place.start()
    place.ok("suspend")
    memory = place.state / "suspend.state"
    if damage == "truncate":
        memory.write_bytes(memory.read_bytes()[:10])
    elif damage == "corrupt":
        memory.write_bytes(memory.read_bytes()[:-1] + b"?")
    elif damage == "disk":
        with (place.state / "disk.img").open("r+b") as disk:
            disk.write(b"x")
    else:
        (place.state / "suspend.json").unlink()
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
    assert "does not fit any more" in (place.state / "supervisor.log").read_text()
    assert not list(place.state.glob("suspend*"))
    assert status_of(place, "stages"), "it was not booted"


def test_a_hypervisor_that_does_not_take_the_memory_is_followed_by_a_boot(place: Place) -> None:
    place.start()
    place.ok("suspend")
    place.qemu.fail("restore-fails")
    place.ok("resume")
    assert status_of(place) == "running"
    assert "boots anew" in (place.state / "supervisor.log").read_text()


def test_another_configuration_does_not_resume_the_old_machine(place: Place) -> None:
    place.start()
    place.ok("suspend")
    supervisor = status_of(place, "supervisorPid")
    os.kill(supervisor, signal.SIGTERM)
    with_patience(lambda: supervisor not in place.processes())
    assert (place.state / "suspend.state").exists()
    place.start("--memory", "768")
    assert place.qemu.journal("restore") == []
    assert "configuration" in (place.state / "supervisor.log").read_text()


def test_pause_and_wake(place: Place) -> None:
    place.start()
    place.ok("pause")
    assert status_of(place) == "paused"
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
    assert starts(place) == 1


def test_restart_is_another_machine_and_stop_forgets_a_suspended_one(place: Place) -> None:
    place.start()
    place.ok("suspend")
    place.ok("stop")
    assert not list(place.state.glob("suspend*"))
    place.start()
    assert place.qemu.journal("restore") == []


# --- the host's clock, the watchdog ---------------------------------------------------------------------------------


def test_a_host_whose_clock_was_set_sets_the_guests(place: Place) -> None:
    place.start()
    try:
        time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME))
    except PermissionError:
        pytest.skip("only root can set the clock, even to what it is")
    with_patience(lambda: place.qemu.journal("set-time"))
    assert abs(place.qemu.journal("set-time")[-1]["time"] - time.time()) < 60


def watchdog(place: Place, action: str) -> None:
    config = place.home / ".config/snowshed/default.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[watchdog]\ntimeout = "2s"\naction = "{action}"\n')


def test_a_guest_that_stops_answering_is_reported(place: Place) -> None:
    watchdog(place, "report")
    place.qemu.fail("stops-answering=0")
    place.start()
    until(place, "failed")
    assert "not responding" in status_of(place, "failure")["message"]
    assert status_of(place, "pid") is None


def test_a_guest_that_stops_answering_is_restarted_where_that_is_wanted(place: Place) -> None:
    watchdog(place, "restart")
    place.qemu.fail("stops-answering=0")
    place.start()
    place.qemu.fail()
    with_patience(lambda: starts(place) == 2)
    until(place, "running")


def test_a_guest_that_panics_before_nix_is_up_is_started_once_more(place: Place) -> None:
    place.qemu.fail("first-panics-at=sshd")
    place.start()
    assert starts(place) == 2
    assert status_of(place, "state") == "running"
    assert "It is started once more." in place.ok("events").out


def test_a_guest_that_panics_has_failed_and_spins_no_process(place: Place) -> None:
    place.qemu.fail("panics-after=0.2")
    place.start()
    until(place, "failed")
    assert "panic" in " ".join(status_of(place, "failure")["console"]).lower()
    assert status_of(place, "pid") is None
    assert not [words for words in place.processes().values() if "qemu-system" in words]

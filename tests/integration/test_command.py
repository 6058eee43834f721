"""The command line end to end: the real command, the real supervisor, a stand-in for QEMU."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from command import Place, free_port, interrupt, with_patience
from snowshed.cli.launch import Supervisor
from snowshed.errors import UserError
from snowshed.paths import BuilderPaths
from snowshed.supervisor.main import Order


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made() as made:
        yield made


@pytest.fixture
def running(place: Place) -> Iterator[Place]:
    """A place whose default builder runs; stopped afterwards, whatever the test did with it."""
    place.start()
    yield place
    done = place.run("stop", "--force")
    assert done.status == 0, done.words


def report(place: Place) -> dict[str, object]:
    found: dict[str, object] = json.loads(place.run("status", "--json").out)
    return found


def test_a_builder_from_its_start_to_its_end(place: Place) -> None:
    done = place.start()
    assert done.out == ""
    assert [line.split(":")[0] for line in done.err.splitlines()[:-3]] == ["boot", "disk", "sshd", "nix"]
    assert "The builder default (x86_64-linux) is ready in" in done.err

    status = place.ok("status")
    assert status.out.startswith("default is running\n")
    assert report(place)["running"] is True
    assert "default  running  x86_64-linux" in place.ok("list").out
    assert "The builder is running." in place.ok("logs").out
    assert "The builder is running." in place.ok("events").out
    kinds = {json.loads(line)["kind"] for line in place.ok("events", "--json").out.splitlines()}
    assert {"state", "stage"} <= kinds

    stopped = place.ok("stop")
    assert stopped.err.splitlines()[-1] == "The builder default is stopped."
    assert place.processes() == {}
    assert place.run("status").status == 3

    place.ok("destroy", "--yes")
    assert not place.state.exists()
    assert place.ok("list").out == ""


def test_what_nix_was_told_before_the_first_start_stays_true(place: Place) -> None:
    """Name, key and host key: all but the jobs, which follow the cores."""
    before = place.ok("machines")
    port = place.start().err.rsplit("127.0.0.1:", 1)[1].split(".\n")[0]
    during = place.ok("machines")
    assert "Include " in before.err
    assert f"  Port {port}\n" in (place.state / "ssh/config").read_text()
    place.ok("stop")
    after = place.ok("machines")
    fields = [done.out.strip().split(" ") for done in (before, during, after)]
    assert fields[0][0] == "ssh-ng://builder@snowshed-default"
    assert [line[:3] + line[4:] for line in fields] == [fields[0][:3] + fields[0][4:]] * 3
    assert fields[1][3] == fields[2][3] == "1"


def test_a_builder_that_sleeps_is_woken_by_a_start(running: Place) -> None:
    running.ok("suspend")
    assert report(running)["state"] == "suspended"
    assert running.run("status").status == 3
    done = running.ok("start", "--cores", "1")
    assert "It wakes as it was started" in done.err
    assert report(running)["state"] == "running"


def test_pause_and_resume(running: Place) -> None:
    running.ok("pause")
    assert report(running)["state"] == "paused"
    running.ok("resume")
    assert report(running)["state"] == "running"


def test_a_restart_keeps_what_the_last_start_was_given(place: Place) -> None:
    place.start("--network", "restricted")
    before = report(place)
    place.ok("restart", "--memory", "600")
    after = report(place)
    place.ok("stop")
    assert after["network"] == "restricted"
    assert after["port"] == before["port"]
    assert after["supervisorPid"] != before["supervisorPid"]
    memory = after["memory"]
    assert isinstance(memory, dict)
    assert memory["configured"] == 600 << 20


def test_a_start_without_waiting_returns_while_the_guest_boots(place: Place) -> None:
    place.qemu.fail("boot-hangs")
    done = place.start("--no-wait")
    assert "is starting" in done.err
    assert report(place)["state"] == "starting"
    place.ok("stop", "--force")


def test_run_is_the_supervisor_in_the_foreground_and_ends_with_ctrl_c(place: Place) -> None:
    process = place.spawn("run", "--port", str(free_port()), "--memory", "512", "--on-demand")
    with_patience(lambda: place.run("status", "--json").out.count('"state": "stopped"') and report(place)["version"])
    assert report(place)["supervisorPid"] == process.pid
    refused = place.run("suspend")
    assert (refused.status, refused.err.splitlines()[0]) == (3, "snowshed: Cannot suspend: the builder is not running.")
    done = interrupt(process)
    assert done.status == 0, done.words
    assert done.out == ""


def test_the_command_and_its_reader_know_each_other_by_nothing_but_the_pipe(place: Place) -> None:
    """`list --json` is a list of what `status --json` says."""
    place.start()
    listed = json.loads(place.ok("list", "--json").out)
    assert [entry["name"] for entry in listed] == ["default"]
    assert set(listed[0]) == set(report(place))
    place.ok("stop")


def test_a_builder_keeps_its_system_and_its_port(place: Place) -> None:
    """Its store is for the one, and Nix knows the other."""
    place.start("-b", "arm", "--system", "aarch64-linux")
    arm = json.loads(place.run("status", "--json", "-b", "arm").out)
    place.ok("stop", "-b", "arm")
    place.ok("start", "-b", "arm", "--memory", "512")
    again = json.loads(place.run("status", "--json", "-b", "arm").out)
    assert (again["system"], again["port"]) == ("aarch64-linux", arm["port"])
    place.ok("destroy", "-b", "arm", "--yes")


def test_the_guests_console_on_standard_error(place: Place) -> None:
    assert "snowshed-stage: nix" in place.start("--verbose").err
    place.ok("stop")


def test_destroy_stops_what_runs_and_keeps_the_configuration(place: Place) -> None:
    config = place.home / ".config/snowshed/default.toml"
    config.parent.mkdir(parents=True)
    config.write_text("cores = 1\n")
    place.start()
    place.ok("destroy", "--yes")
    assert place.processes() == {}
    assert not place.state.exists()
    assert config.read_text() == "cores = 1\n"


def test_destroy_asks_and_does_nothing_where_nobody_can_answer(place: Place) -> None:
    place.ok("machines")
    done = place.run("destroy")
    assert done.status == 2
    assert "Say it with --yes." in done.err
    assert (place.state / "ssh/id_ed25519").exists()


def test_destroy_leaves_a_directory_alone_that_is_no_builder(place: Place, tmp_path: Path) -> None:
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter-1.tex").write_text("It")
    done = place.run("destroy", "--yes", "--state-dir", str(precious))
    assert done.status == 2
    assert "does not look like the state directory of a builder" in done.err
    assert (precious / "chapter-1.tex").read_text() == "It"


def test_two_builders_side_by_side(place: Place) -> None:
    place.start()
    place.start("-b", "arm", "--system", "aarch64-linux")
    rows = [line.split()[:3] for line in place.ok("list").out.splitlines()[1:]]
    assert rows == [["arm", "running", "aarch64-linux"], ["default", "running", "x86_64-linux"]]
    place.ok("-b", "arm", "stop")
    assert report(place)["running"] is True
    place.ok("stop")


def test_a_state_directory_with_a_path_too_long_for_a_socket(place: Place, tmp_path: Path) -> None:
    state = tmp_path / ("long-" * 30) / "state"
    state.parent.mkdir()
    place.start("--state-dir", str(state))
    assert "default is running" in place.ok("status", "--state-dir", str(state)).out
    place.ok("stop", "--state-dir", str(state))
    assert not BuilderPaths("default", state).runtime.exists()


def test_a_supervisor_that_hangs_is_named_and_can_be_ended(place: Place) -> None:
    place.start()
    pid = report(place)["supervisorPid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    done = place.run("stop")
    assert done.status == 1
    assert f"(process {pid}) did not answer" in done.err
    place.ok("stop", "--force")
    with_patience(lambda: place.processes() == {})


def test_of_two_starts_at_the_same_time_the_later_leaves_the_other_alone(running: Place) -> None:
    """Both have seen that nobody runs; one is too late when its supervisor looks."""
    paths = BuilderPaths("default", running.state)
    before = report(running)["supervisorPid"]
    order = msgspec.json.decode(paths.last_config.read_bytes(), type=Order)
    late = Supervisor(paths)
    late.start(order.config, order.image)
    with pytest.raises(UserError, match="is running already"):
        late.await_ready()
    late.take_back()
    assert (report(running)["state"], report(running)["supervisorPid"]) == ("running", before)


def test_a_client_that_leaves_does_not_take_the_start_with_it(place: Place) -> None:
    """The wake belongs to the supervisor: `snowshed resume`, interrupted, has only stopped watching."""
    place.start()
    place.ok("suspend")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(place.state / "control.sock"))
        client.sendall(b'{"request": "start"}\n')
        client.recv(1 << 16)
    with_patience(lambda: report(place)["state"] == "running")
    place.ok("stop")

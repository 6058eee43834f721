"""kill -9 of anything, in every state; SIGTERM in every state: `status` tells the truth, and the next start works."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest

from clients import connect, greeted, status_of
from command import Place, free_port, with_patience

STATES = ("starting", "running", "paused", "suspending", "suspended", "resuming", "stopping")
STRACE = shutil.which("strace")


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made(stops=True) as made:
        yield made


def bring_into(place: Place, state: str, seconds: int = 60) -> None:
    """The default builder, in `state`, and staying there for some `seconds`."""
    if state == "starting":
        place.qemu.fail("boot-hangs=sshd")
        place.start("--no-wait")
        with_patience(lambda: "disk" in [stage["stage"] for stage in status_of(place, "stages")])
    else:
        slow = {"suspending": f"slow-save={seconds}", "stopping": f"slow-shutdown={seconds}"}
        place.qemu.fail(slow.get(state, ""))
        place.start()
    if state == "paused":
        place.ok("pause")
    elif state in ("suspended", "resuming"):
        place.ok("suspend")
    if state == "resuming":
        place.qemu.fail("hangs-at-start")
    verb = {"suspending": "suspend", "resuming": "resume", "stopping": "stop"}.get(state)
    if verb:
        place.spawn(verb).stdout.close()  # type: ignore[union-attr]
    with_patience(lambda: status_of(place) == state)


def qemus(place: Place) -> list[int]:
    return [pid for pid, words in place.processes().items() if "qemu-system" in words]


def gone(place: Place, *pids: int) -> bool:
    return not set(pids) & place.processes().keys()


def test_every_state_is_here() -> None:
    from snowshed.model.lifecycle import State

    assert set(STATES) == set(State) - {"stopped", "failed", "pausing"}, "pausing is too short to be met"


@pytest.mark.parametrize("state", STATES)
def test_a_killed_supervisor_takes_its_vm_along_and_the_next_start_works(place: Place, state: str) -> None:
    bring_into(place, state)
    supervisor, vms = status_of(place, "supervisorPid"), qemus(place)
    os.kill(supervisor, signal.SIGKILL)
    with_patience(lambda: gone(place, supervisor, *vms))
    told = place.run("status")
    assert told.status == 3
    assert "running" not in told.out.splitlines()[0].replace("not running", "")
    place.qemu.fail()
    place.start()
    assert status_of(place) == "running"
    with connect(status_of(place, "port")) as client:
        assert greeted(client)
    assert len(qemus(place)) == 1


@pytest.mark.parametrize("state", ["starting", "running", "paused", "suspending", "stopping"])
def test_a_killed_hypervisor_is_noticed_and_the_next_connection_has_another(place: Place, state: str) -> None:
    bring_into(place, state)
    port = status_of(place, "port")
    (vm,) = qemus(place)
    os.kill(vm, signal.SIGKILL)
    if state == "stopping":
        with_patience(lambda: gone(place, *place.processes()))
        return
    with_patience(lambda: status_of(place) == "failed")
    assert "ended" in status_of(place, "failure")["message"]
    place.qemu.fail()
    with connect(port) as client:
        assert greeted(client)
    assert len(qemus(place)) == 1


@pytest.mark.parametrize("state", STATES)
def test_sigterm_ends_everything_and_shuts_a_running_guest_down(place: Place, state: str) -> None:
    """A suspend at work is finished first; a resume at work is taken back, its memory unused."""
    bring_into(place, state, seconds=3)
    os.kill(status_of(place, "supervisorPid"), signal.SIGTERM)
    with_patience(lambda: gone(place, *place.processes()))
    asked = [entry["what"] for entry in place.qemu.journal() if entry["what"] in ("shutdown", "powerdown")]
    sleeps = state in ("suspending", "suspended", "resuming")
    assert bool(asked) == (not sleeps)
    assert (place.state / "suspend.state").exists() == sleeps


def test_a_supervisor_that_was_told_to_end_while_suspended_resumes_at_the_next_start(place: Place) -> None:
    bring_into(place, "suspended")
    supervisor = status_of(place, "supervisorPid")
    os.kill(supervisor, signal.SIGTERM)
    with_patience(lambda: gone(place, supervisor))
    assert status_of(place) == "suspended"
    port = str(status_of(place, "port"))
    place.ok("start", "--port", port, "--memory", "512", "--cores", "1")
    assert len(place.qemu.journal("restore")) == 1


def test_a_supervisor_whose_socket_was_deleted_is_named_as_such_and_stopped(place: Place) -> None:
    place.start()
    (place.state / "control.sock").unlink()
    for words in (["status"], ["doctor"], ["start"], ["ssh", "true"], ["suspend"]):
        said = place.run(*words)
        assert said.status != 0
        assert "its control socket is gone" in said.out + said.err, words
        assert "`snowshed stop` ends it" in said.out + said.err, words
        assert "supervisor: not running" not in said.out
    stopped = place.ok("stop")
    assert "a signal tells the supervisor" in stopped.err
    assert [entry["what"] for entry in place.qemu.journal() if entry["what"] in ("shutdown", "powerdown")]
    assert place.processes() == {}


def test_one_that_is_stuck_besides_is_destroyed(place: Place) -> None:
    place.start()
    supervisor = status_of(place, "supervisorPid")
    (place.state / "control.sock").unlink()
    os.kill(supervisor, signal.SIGSTOP)
    assert f"process {supervisor}" in place.ok("destroy", "--yes").err
    assert not place.state.exists()
    with_patience(lambda: place.processes() == {})


def test_two_supervisors_for_one_builder_are_one_too_many(place: Place) -> None:
    place.start()
    second = place.run("run", "--port", str(free_port()), "--memory", "512", "--cores", "1")
    assert second.status == 2
    assert "already" in second.err
    assert len(qemus(place)) == 1


# --- a power cut between any two writes -----------------------------------------------------------------------------

WRITES = "rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync"
"""System calls after which the files of a builder differ in a way that a power cut keeps."""


def cut_at(place: Place, number: int) -> bool:
    """Live through boot, suspend, resume, suspend; die at the `number`-th of `WRITES`. False if it was not reached."""
    port = str(free_port())
    inject = f"--inject={WRITES}:signal=KILL:when={number}"
    argv = [str(STRACE), "-f", "-qq", "-o", "/dev/null", f"--trace={WRITES}", inject]
    run = place.argv("run", "--on-demand", "--port", port, "--memory", "512", "--cores", "1")
    with subprocess.Popen([*argv, *run], env=place.environment, stderr=subprocess.DEVNULL) as supervisor:
        with_patience(lambda: supervisor.poll() is not None or status_of(place, "supervisorPid"))
        for verb in ("resume", "suspend", "resume", "suspend"):
            if supervisor.poll() is None:
                place.run(verb)
        survived = supervisor.poll() is None
        place.run("stop", "--force")
        supervisor.kill()
    with_patience(lambda: gone(place, *place.processes()))
    return not survived


def memories_used(place: Place) -> list[int]:
    """Which memory each guest went on from that did go on: loading alone changes nothing."""
    journal = place.qemu.journal()
    went_on = {entry["pid"] for entry in journal if entry["what"] == "cont"}
    return [entry["saves"] for entry in journal if entry["what"] == "restore" and entry["pid"] in went_on]


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_a_power_cut_between_any_two_writes_costs_nothing_but_a_boot() -> None:
    """After each, the builder starts; and no memory is ever used a second time."""
    number, step = 1, 3
    while True:
        with Place.made() as place:
            reached = cut_at(place, number)
            place.qemu.fail()
            place.start()
            assert status_of(place) == "running", f"after a cut at write {number}"
            used = memories_used(place)
            assert len(used) == len(set(used)), f"memory was used twice after a cut at write {number}"
            assert not list(place.state.glob("*.new")) + list(place.state.glob("*.consumed"))
            place.ok("stop")
        if not reached:
            break
        number += step
    assert number > 10, "too few writes were met for this to mean anything"

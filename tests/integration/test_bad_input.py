"""What a person, a crash or a full machine can do wrong: a clear sentence, an exit status, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from specs import INITRD, KERNELS

from command import Done, Place, free_port, interrupt, with_patience
from snowshed.config import Host
from snowshed.model.machine import Arch
from snowshed.units import MIB

SMALL = ("--memory", "512", "--cores", "1")


@pytest.fixture
def place() -> Iterator[Place]:
    with Place.made() as made:
        yield made


def refused(done: Done, says: str, *, status: int = 2) -> None:
    """`done` ended with `status`, said so in a sentence and a hint, and showed no traceback."""
    assert done.status == status, done.words
    first, *hints = done.err.splitlines()[-2:]
    assert done.err.count("Traceback") == 0
    assert says in first, done.words
    assert first.startswith("snowshed: ")
    assert hints
    assert hints[0].startswith("  ")


def nothing_began(place: Place) -> None:
    assert place.qemu.journal() == []
    assert place.processes() == {}
    assert not place.state.exists()


# --- the machine that is asked for -----------------------------------------------------------------------------------


@pytest.fixture
def boot(tmp_path: Path) -> dict[str, Path]:
    """A kernel, an initrd and a system that could be booted directly."""
    files = {"kernel": tmp_path / "bzImage", "initrd": tmp_path / "initrd", "system": tmp_path / "system"}
    files["kernel"].write_bytes(KERNELS[Arch.X86_64])
    files["initrd"].write_bytes(INITRD)
    files["system"].mkdir()
    (files["system"] / "init").write_text("#!/bin/sh\n")
    return files


def direct(boot: dict[str, Path]) -> list[str]:
    return ["start", *SMALL, *(word for name, path in boot.items() for word in (f"--{name}", str(path)))]


def test_kernel_and_initrd_swapped(place: Place, boot: dict[str, Path]) -> None:
    boot["kernel"], boot["initrd"] = boot["initrd"], boot["kernel"]
    refused(place.run(*direct(boot)), "Kernel and initrd are swapped.")
    nothing_began(place)


@pytest.mark.parametrize("missing", ["kernel", "initrd"])
def test_kernel_or_initrd_missing(missing: str, place: Place, boot: dict[str, Path]) -> None:
    boot[missing].unlink()
    refused(place.run(*direct(boot)), f"The {missing} {boot[missing]} cannot be read: No such file")
    nothing_began(place)


def test_a_kernel_that_is_none(place: Place, boot: dict[str, Path]) -> None:
    boot["kernel"].write_text("#!/bin/sh\n")
    refused(place.run(*direct(boot)), "is not one: it is neither kernel nor initrd.")
    nothing_began(place)


def test_a_kernel_alone(place: Place, boot: dict[str, Path]) -> None:
    refused(place.run("start", "--kernel", str(boot["kernel"])), "--initrd and --system are missing")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--cores", "0"], "cores on the command line: '0' is not a number of processor cores."),
        (["--cores", str(Host.this().cores + 1)], f"is more than the {Host.this().cores} of this machine."),
        (["--memory", "511"], "memory on the command line: 511 MiB is too little"),
        (["--memory", "100K"], "memory on the command line: 100 KiB is too little"),
        (["--memory", str(Host.this().memory // MIB + 1)], "of this machine."),
        (["--disk-size", "abc"], "disk_size on the command line: 'abc' is not a size."),
        (["--disk-size", "-1G"], "disk_size on the command line: '-1G' is not a size."),
        (["--disk-size", "0G"], "it must be more than zero."),
        (["--disk-size", "100X"], "'100X' is not a size."),
        (["--disk-size", "9999999999T"], "is more than ext4 can hold."),
        (["--port", "0"], "'0' is not a TCP port."),
        (["--port", "70000"], "'70000' is not a TCP port."),
        (["--network", "bridge"], "'bridge' is not one of nat, restricted, none."),
        (["--accel", "whpx"], "'whpx' is not one of"),
        (["--idle-timeout", "-1"], "'-1' is not a duration."),
        (["--idle-action", "sleep"], "'sleep' is not one of"),
        (["--system", "riscv64-linux"], "'riscv64-linux' is not a system that a builder can have."),
        (["--image", "nothing"], "There is no image 'nothing'."),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_machine_that_cannot_be(words: list[str], says: str, place: Place) -> None:
    refused(place.run("start", *words), says)
    nothing_began(place)


def test_a_driver_that_there_is_not(place: Place) -> None:
    refused(place.run("start", *SMALL, "--driver", "bhyve", "--port", str(free_port())), "'bhyve'")
    assert place.processes() == {}


@pytest.mark.parametrize("size", ["100G", "1t", "512M", "1048576K", "1073741824", "6GiB"])
def test_sizes_that_a_disk_may_have(size: str, place: Place) -> None:
    place.start("--disk-size", size)
    place.ok("destroy", "--yes")


def test_a_typing_mistake_in_the_configuration(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "one.toml"
    file.write_text("core = 2\n")
    done = place.run("start", "--config", str(file))
    refused(done, f"There is no option core (in {file}, line 1).")
    assert "Did you mean `cores`?" in done.err
    nothing_began(place)


def test_a_disk_does_not_shrink(place: Place) -> None:
    place.start("--disk-size", "2G")
    place.ok("stop")
    refused(place.run("start", *SMALL, "--disk-size", "1G"), "cannot shrink to 1 GiB")
    assert (place.state / "disk.img").stat().st_size == 2 << 30
    place.start()
    assert (place.state / "disk.img").stat().st_size == 2 << 30
    place.ok("stop")
    place.start("--disk-size", "3G")
    assert (place.state / "disk.img").stat().st_size == 3 << 30
    refused(place.run("restart", "--disk-size", "1G"), "cannot shrink to 1 GiB")
    place.ok("status")  # a restart that cannot be does not stop anything
    place.ok("stop")


# --- the host --------------------------------------------------------------------------------------------------------


def test_a_port_in_use_and_by_whom(place: Place) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = place.run("start", *SMALL, "--port", str(port))
    refused(done, f"Port {port} on 127.0.0.1 cannot be used")
    assert f"(process {os.getpid()})" in done.err
    assert place.processes() == {}


def test_a_state_directory_that_cannot_be_written(place: Place) -> None:
    """/sys takes no directories, not even from root."""
    refused(place.run("start", *SMALL, "--state-dir", "/sys/snowshed"), "/sys/snowshed cannot be written")
    assert place.processes() == {}


def test_a_state_directory_with_a_file_in_the_way(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(place.run("start", *SMALL, "--state-dir", str(tmp_path / "file")), "a file is in the way")


def test_an_architecture_without_an_emulator(place: Place, tmp_path: Path) -> None:
    """A PATH with all that is needed but for qemu-system-aarch64."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("ssh-keygen", "setpriv", "tail"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "qemu-system-x86_64").symlink_to(place.qemu.folder / "qemu-system-x86_64")
    done = place.run("start", *SMALL, "--port", str(free_port()), "--system", "aarch64-linux", PATH=str(tools))
    refused(done, "qemu-system-aarch64 is not installed.")
    assert place.processes() == {}


def test_a_host_that_has_not_the_memory_after_all(place: Place) -> None:
    place.qemu.fail("exits-at-start")
    done = place.run("start", *SMALL, "--port", str(free_port()))
    refused(done, "Cannot allocate memory", status=1)
    assert place.processes() == {}


# --- the builder's own state -----------------------------------------------------------------------------------------


def test_a_second_start(place: Place) -> None:
    place.start()
    pid = json.loads(place.run("status", "--json").out)["supervisorPid"]
    refused(place.run("start", *SMALL), "The builder default is running already: port")
    assert json.loads(place.run("status", "--json").out)["supervisorPid"] == pid
    place.ok("stop")


def test_a_second_supervisor(place: Place) -> None:
    place.start()
    refused(place.run("run", *SMALL, "--port", str(free_port())), "is running already")
    place.ok("stop")


def test_a_data_disk_that_is_no_raw_image(place: Place) -> None:
    place.state.mkdir(parents=True)
    (place.state / "disk.img").write_bytes(b"QFI\xfb")
    os.truncate(place.state / "disk.img", 1 << 30)
    done = place.run("start", *SMALL, "--port", str(free_port()))
    refused(done, "is not a raw image: it is qcow2.")
    assert (place.state / "disk.img").read_bytes().rstrip(b"\0") == b"QFI\xfb"
    assert place.processes() == {}


@pytest.mark.parametrize(("path", "says"), [("/", "all of this host"), ("/not/there", "does not exist")])
def test_a_directory_that_cannot_be_shared(path: str, says: str, place: Place) -> None:
    file = place.home / ".config/snowshed/default.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'[shares.it]\npath = "{path}"\n')
    refused(place.run("start", *SMALL, "--port", str(free_port())), says)
    assert place.processes() == {}


def test_ssh_of_a_builder_that_does_not_run(place: Place) -> None:
    refused(place.run("ssh", "true"), "The builder default is not running.", status=3)


@pytest.mark.parametrize("verb", ["suspend", "pause", "resume", "gc"])
def test_verbs_that_need_a_running_builder(verb: str, place: Place) -> None:
    refused(place.run(verb), "The builder default is not running.", status=3)


def test_a_stop_of_what_does_not_run(place: Place) -> None:
    assert place.ok("stop").err == "The builder default is not running.\n"


def test_logs_of_a_builder_that_never_ran(place: Place) -> None:
    refused(place.run("logs"), "has no log yet")
    refused(place.run("events"), "Nothing has happened to the builder default yet.")


def test_what_a_crash_leaves_behind_does_not_matter(place: Place) -> None:
    """The supervisor and its VM are killed: their socket, pid file and locks stay, held by nobody."""
    place.start()
    found = json.loads(place.run("status", "--json").out)
    os.kill(found["supervisorPid"], signal.SIGKILL)
    with_patience(lambda: place.processes() == {})
    left = {path.name for path in place.state.iterdir()}
    assert {"control.sock", "vm.pid", "supervisor.lock", "vm.lock"} <= left
    after = json.loads(place.run("status", "--json").out)
    assert after["state"] == "stopped"
    assert "It was cut off while it was running" in after["notices"][0]
    assert place.ok("stop").err == "The builder default is not running.\n"
    refused(place.run("ssh"), "is not running", status=3)
    place.start()
    place.ok("stop")
    assert json.loads(place.run("status", "--json").out)["notices"] == []


def test_a_damaged_memory_of_the_last_start_is_no_obstacle(place: Place) -> None:
    place.start()
    place.ok("stop")
    for name in ("config.json", "options.json", "events.jsonl"):
        (place.state / name).write_bytes(b"\xff{")
    assert place.run("status").status == 3
    assert place.ok("events").out == ""
    place.start()
    place.ok("stop")


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def taken_back(done: Done, place: Place) -> None:
    assert done.status == 130, done.words
    assert done.err.splitlines()[-1] == "snowshed: interrupted."
    assert "Traceback" not in done.err
    assert place.processes() == {}
    assert not (place.state / "control.sock").exists()


@pytest.mark.parametrize("stage", ["boot", "disk", "sshd", "nix"])
def test_ctrl_c_at_every_stage_of_a_boot(stage: str, place: Place) -> None:
    place.qemu.fail(f"boot-hangs={stage}")
    process = place.spawn("start", *SMALL, "--port", str(free_port()))
    with_patience(lambda: place.qemu.journal("start"))
    taken_back(interrupt(process), place)
    place.qemu.fail()
    place.start()
    place.ok("stop")


def test_ctrl_c_while_the_supervisor_comes_up(place: Place) -> None:
    """The moment after it was started, long before it listens."""
    process = place.spawn("start", *SMALL, "--port", str(free_port()))
    with_patience(lambda: (place.state / "supervisor.log").exists())
    taken_back(interrupt(process), place)


def test_ctrl_c_twice_is_no_more_than_once(place: Place) -> None:
    place.qemu.fail("boot-hangs=nix", "slow-shutdown=1")
    process = place.spawn("start", *SMALL, "--port", str(free_port()))
    with_patience(lambda: place.qemu.journal("start"))
    os.killpg(process.pid, signal.SIGINT)
    taken_back(interrupt(process), place)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["terminated", "terminal-gone"])
def test_a_start_that_is_ended_is_taken_back_as_well(number: signal.Signals, place: Place) -> None:
    place.qemu.fail("boot-hangs=sshd")
    process = place.spawn("start", *SMALL, "--port", str(free_port()))
    with_patience(lambda: place.qemu.journal("start"))
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    taken_back(Done(process.returncode, out, err), place)


def test_a_boot_that_fails_is_taken_back_too(place: Place) -> None:
    place.qemu.fail("dies-after=0.05", "slow-boot=5")
    done = place.run("start", *SMALL, "--port", str(free_port()))
    assert done.status == 1, done.words
    assert "Traceback" not in done.err
    assert place.processes() == {}

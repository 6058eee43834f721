"""The steps that run on any host: what a builder does from its first start to its end, on the driver at hand."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress

from .bench import Bench, Failed, Skipped, Step, alive, eventually, expect

NAME = "cache.nixos.org"
LOOK_UP = f"getent hosts {NAME} || echo none"
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


def boots(bench: Bench) -> str:
    seconds = bench.start()
    found = bench.report()
    expect(found["running"], f"it is {found['state']}")
    stages = ", ".join(f"{stage['stage']} {stage['seconds']:.1f} s" for stage in found["stages"])
    reason = f" ({found['driverReason']})" if found.get("driverReason") else ""
    return f"{found['driver']}{reason}, {found['accelerator']}: {seconds:.1f} s; {stages}"


def has_ssh(bench: Bench) -> str:
    bench.running()
    machine = bench.guest("uname -srm")
    noted = bench.state / "guest-ip"
    way = f"by its address {noted.read_text().strip()}" if noted.exists() else "without an address of the guest's"
    return f"{machine}, reached {way}"


def has_console(bench: Bench) -> str:
    bench.running()
    text = (bench.state / "console.log").read_text(errors="replace")
    expect("snowshed-stage: boot" in text, f"the console has {len(text)} characters and no stage")
    return f"{len(text.splitlines())} lines"


def has_network(bench: Bench) -> str:
    bench.running()
    address = bench.guest("ip -4 -o addr show dev eth0")
    expect("inet " in address, f"eth0 has no address: {address or 'nothing'}")
    ours = address.split("inet ")[1].split()[0]
    if not _host_finds_names():
        return f"{ours}; names not tried: this host finds none itself"
    expect(bench.guest(LOOK_UP) != "none", f"names are not found from {ours}")
    return ours


def has_clock(bench: Bench) -> str:
    bench.running()
    off = float(bench.guest("date +%s")) - time.time()
    expect(abs(off) < 3, f"the guest's clock is {off:.0f} s off")
    return f"within {abs(off):.1f} s"


def has_disks(bench: Bench) -> str:
    bench.running()
    size = bench.guest("df -Ph /data | tail -n 1")
    bench.guest("dd if=/dev/zero of=/tmp/x bs=1M count=8 2>/dev/null; rm /tmp/x; sync")
    return " ".join(size.split()[1:4])


def builds(bench: Bench) -> str:
    found = bench.running()
    expression = (
        f'derivation {{ name = "selftest-{int(time.time())}"; system = "{found["system"]}"; builder = "/bin/sh"; '
        'args = [ "-c" "echo built > $out" ]; }'
    )
    path = bench.guest(f"nix-build --no-out-link -E '{expression}'").splitlines()[-1]
    expect(path.startswith("/nix/store/"), f"nix-build said {path}")
    return path


def pauses(bench: Bench) -> str:
    bench.running()
    bench.snowshed("pause")
    state = bench.report()["state"]
    expect(state == "paused", f"it is {state}")
    banner, seconds = bench.banner()
    expect(banner.startswith(b"SSH-"), f"after the pause it said {banner!r}")
    return f"SSH answered {seconds:.2f} s after the connection that woke it"


def suspends(bench: Bench) -> str:
    found = bench.running()
    if found["suspendBlocker"]:
        raise Skipped(f"not possible here: {found['suspendBlocker']}")
    boot, vm = bench.guest(BOOT_ID), found["pid"]
    before = time.monotonic()
    bench.snowshed("suspend")
    took = time.monotonic() - before
    state = bench.report()["state"]
    expect(state == "suspended", f"it is {state}")
    expect(not alive(vm), "its process is still there")
    banner, seconds = bench.banner()
    expect(banner.startswith(b"SSH-"), f"after the wake it said {banner!r}")
    expect(bench.guest(BOOT_ID) == boot, "it has booted anew: the saved memory was not used (see `snowshed events`)")
    off = float(bench.guest("date +%s")) - time.time()
    expect(abs(off) < 3, f"its clock is {off:.0f} s off after the wake")
    return f"asleep after {took:.1f} s, SSH {seconds:.2f} s after the connection that woke it"


def shares(bench: Bench) -> str:
    """A read-only share is read-only, whatever root in the guest does; a writable one is not."""
    for name in ("fixed", "open"):
        folder = bench.state.parent / name
        folder.mkdir(exist_ok=True)
        (folder / "hello").write_text("from the host\n")
    file = bench.state.parent / "shares.toml"
    parts = [f'[shares.{name}]\npath = "{bench.state.parent / name}"' for name in ("fixed", "open")]
    file.write_text("\n".join([parts[0], "read_only = true", parts[1], "read_only = false", ""]))
    bench.snowshed("stop", ok=False)
    try:
        bench.start("--config", str(file))
        expect("from the host" in bench.guest("cat /mnt/fixed/hello"), "the share is not mounted")
        bench.guest("echo x > /mnt/fixed/new", ok=False)
        expect(not (bench.state.parent / "fixed/new").exists(), "the guest has written into a read-only share")
        blocker = bench.report()["suspendBlocker"]
    finally:
        bench.snowshed("stop", ok=False)
    return f"mounted, read-only kept; suspend: {blocker or 'possible with shares'}"


def is_restricted(bench: Bench) -> str:
    if not _host_finds_names():
        raise Skipped("this host finds no names itself")
    bench.snowshed("stop", ok=False)
    try:
        bench.start("--network", "restricted")
        answer = bench.guest(LOOK_UP)
        expect(answer == "none", f"the guest reaches the world: {answer}")
    finally:
        bench.snowshed("stop", ok=False)
    return "SSH works, and the guest reaches nothing"


def stops(bench: Bench) -> str:
    vm = bench.running()["pid"]
    before = time.monotonic()
    bench.stop()
    took = time.monotonic() - before
    expect(not alive(vm), "its process is still there")
    said = (bench.state / "console.log").read_text(errors="replace")
    expect("snowshed: stopped" in said, "the guest did not shut itself down")
    return f"{took:.1f} s"


def dies_with_its_supervisor(bench: Bench) -> str:
    found = bench.running()
    os.kill(found["supervisorPid"], signal.SIGKILL)
    if found["driver"] != "vfkit":  # which lives on: the next start ends it
        eventually(lambda: not alive(found["pid"]), "the VM lives on without its supervisor")
    seconds = bench.start()
    expect(not alive(found["pid"]) or bench.report()["pid"] == found["pid"], "the old VM is still there")
    return f"started again in {seconds:.1f} s; {_disk_state(bench)}"


def survives_its_vm(bench: Bench) -> str:
    found = bench.running()
    os.kill(found["pid"], signal.SIGKILL)
    eventually(lambda: not bench.report()["running"], "status still says that it runs")
    banner, seconds = bench.banner()
    expect(banner.startswith(b"SSH-"), f"after the crash it said {banner!r}")
    return f"the next connection started it in {seconds:.1f} s; {_disk_state(bench)}"


def _host_finds_names() -> bool:
    with suppress(OSError):
        return bool(socket.getaddrinfo(NAME, 443))
    return False


def _disk_state(bench: Bench) -> str:
    mounted = bench.guest("grep ' /data ' /proc/mounts || echo none")
    if " rw" not in mounted:
        raise Failed(f"the data disk is not writable: {mounted}")
    return "the data disk is well"


STEPS = (
    Step("boot", "A guest boots until Nix answers", boots),
    Step("ssh", "Its SSH is reached", has_ssh),
    Step("console", "Its console is written down", has_console),
    Step("network", "It has an address and finds names", has_network),
    Step("clock", "Its clock is right", has_clock),
    Step("disks", "Its disks are there and writable", has_disks),
    Step("build", "Nix builds in it", builds),
    Step("pause", "It pauses, and a connection wakes it", pauses),
    Step("suspend", "It sleeps on disk, and a connection wakes it", suspends),
    Step("vm-killed", "A killed VM is started by the next connection", survives_its_vm),
    Step("supervisor-killed", "A killed supervisor leaves nothing in the way", dies_with_its_supervisor),
    Step("stop", "It shuts down by itself", stops),
    Step("share", "Directories are shared, read-only ones so", shares),
    Step("restricted", "A restricted guest reaches nothing", is_restricted),
)
"""In this order: each starts the builder if it has to."""

"""The steps that only a Mac can take: signing, Virtualization.framework, launchd, leases, Time Machine."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..network import arp, leases
from ..network.nat import arp_table, lease_table
from ..process import attempt
from ..service.launchd import Job, Layout, launcher, render, unload_command
from .bench import BUILDER, Bench, Skipped, Step, expect, free_port

MAC = "darwin"


def is_signed(bench: Bench) -> str:
    done = attempt([sys.executable, "-P", "-m", "snowshed.drivers.vz.signing"], timeout=180)
    expect(done.status == 0, done.err.strip() or "it failed")
    path = done.out.strip()
    shown = attempt(["/usr/bin/codesign", "-d", "--entitlements", "-", "--xml", path])
    expect("com.apple.security.virtualization" in shown.out, "the copy carries no entitlement")
    who = attempt([path, "-P", "-c", "import sys, objc; print(sys.executable, objc.__version__)"], timeout=60)
    expect(who.out.startswith(path), f"it starts another interpreter: {who.out or who.err}")
    return f"{path}, PyObjC {who.out.split()[-1]}"


def needs_no_address(bench: Bench) -> str:
    """SSH over vsock: nothing was looked up."""
    bench.running()
    bench.guest("true")
    expect(not (bench.state / "guest-ip").exists(), "SSH went over the NAT address, so vsock did not work")
    return "no lease was read and no address dialled"


def has_a_lease(bench: Bench) -> str:
    """Our parsers find the guest in macOS's own tables."""
    bench.running()
    mac = (bench.state / "mac").read_text().strip()
    found = leases.find_address(lease_table(), mac=mac)
    seen = arp.find_address(arp_table(), mac=mac)
    inside = bench.guest("ip -4 -o addr show dev eth0")
    expect(found, f"no lease for {mac} in /var/db/dhcpd_leases; ARP says {seen}; the guest says {inside}")
    expect(f"inet {found}/" in inside, f"the lease says {found}, the guest {inside}")
    return f"{found} by lease, {seen or 'nothing'} by ARP"


def has_rosetta(bench: Bench) -> str:
    bench.snowshed("stop", ok=False)
    try:
        bench.start("--rosetta")
        there = bench.guest("ls /proc/sys/fs/binfmt_misc /run/rosetta /mnt/rosetta 2>/dev/null | tr '\\n' ' '")
        expect("rosetta" in there, f"nothing of Rosetta in the guest: {there}")
        blocker = bench.report()["suspendBlocker"]
    finally:
        bench.snowshed("stop", ok=False)
    return f"{there}; suspend: {blocker or 'possible with Rosetta'}"


def is_left_out_of_backups(bench: Bench) -> str:
    bench.running()
    said = attempt(["/usr/bin/tmutil", "isexcluded", str(bench.state / "disk.img")]).out
    expect("[Excluded]" in said, f"tmutil says {said.strip()}")
    return "disk.img is excluded"


def is_started_by_launchd(bench: Bench) -> str:
    """A job of the user's own, on demand: launchd holds the socket, and the first connection starts the builder."""
    bench.snowshed("stop", ok=False)
    port = free_port()
    with _loaded(bench, port):
        before = time.monotonic()
        with socket.create_connection(("127.0.0.1", port), timeout=300) as connection:
            connection.settimeout(300)
            banner = connection.recv(100)
        took = time.monotonic() - before
        expect(banner.startswith(b"SSH-"), f"launchd's socket said {banner!r}; see {bench.state}/launchd.log")
        bench.snowshed("stop")
    return f"SSH {took:.1f} s after the first connection"


@contextmanager
def _loaded(bench: Bench, port: int) -> Iterator[None]:
    layout, uid = Layout(Path.home()), os.getuid()
    folder = bench.state.parent
    script = folder / "snowshed"
    script.write_text(launcher())
    script.chmod(0o755)
    place = ("-b", BUILDER, "--state-dir", str(bench.state), *bench.options, "--port", str(port))
    job = Job(
        builder=BUILDER,
        program=(sys.executable, "-P", "-m", "snowshed.cli", "run", "--on-demand", *place),
        launcher=script,
        port=port,
        state=folder,
        log=folder / "launchd.log",
    )
    file = folder / f"{job.label}.plist"
    file.write_bytes(render(job))
    checked = attempt(["/usr/bin/plutil", "-lint", str(file)])
    expect(checked.status == 0, f"plutil refuses the property list: {checked.out.strip()}")
    domain = layout.domain(uid)
    loaded = attempt(["/bin/launchctl", "bootstrap", domain, str(file)])
    if loaded.status != 0 and "Could not find domain" in loaded.err:
        raise Skipped("nobody is logged in at the screen, so there is no such domain")
    expect(loaded.status == 0, f"launchctl bootstrap: {loaded.err.strip()}")
    try:
        yield
    finally:
        attempt(unload_command(job, layout, uid), timeout=60)


FIRST = (Step("signed", "The signed interpreter is made and works", is_signed, MAC),)

THEN = (
    Step("vsock", "SSH goes over vsock", needs_no_address, MAC),
    Step("lease", "The guest is found in the leases", has_a_lease, MAC),
    Step("backup", "Time Machine leaves the disk out", is_left_out_of_backups, MAC),
    Step("rosetta", "Rosetta is in the guest", has_rosetta, MAC),
    Step("launchd", "A job of launchd's starts it at the first connection", is_started_by_launchd, MAC),
)

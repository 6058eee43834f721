"""Checks that only a Linux host needs."""

from __future__ import annotations

from ..network.subnets import overlapping, parse_addresses
from .check import Check, Verdict, fine, note, wrong
from .look import Look

VIRTIOFSD = ("/usr/libexec/virtiofsd", "/usr/lib/virtiofsd", "/usr/lib/qemu/virtiofsd", "virtiofsd")
SWITCHES = (
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ("user.max_user_namespaces", "0", "10000"),
)
"""Of Debian, Ubuntu and every Linux: the value that forbids user namespaces, and one that allows them."""
FEW_INSTANCES = 128
QEMU_NETWORK = "10.0.2.0/24"


def user_namespaces(look: Look) -> Verdict:
    """Shares are made read-only in a user namespace when we are not root."""
    if look.case.is_root:
        return fine("not needed by root")
    if look.run("unshare", "--user", "--map-root-user", "true").status == 0:
        return fine("allowed")
    for name, bad, good in SWITCHES:
        if (look.read(f"/proc/sys/{name.replace('.', '/')}") or "").strip() == bad:
            return wrong(f"the kernel refuses them ({name} is {bad})", f"`sudo sysctl -w {name}={good}`.")
    return wrong("they cannot be made here", "A container may forbid them; run snowshed outside of it, or as root.")


def virtiofsd(look: Look) -> Verdict:
    config = look.case.config
    wanted = config is not None and (bool(config.shares) or config.shares_store)
    for program in VIRTIOFSD:
        output = look.run(program, "--version")
        if output.status != 127:
            words = (output.out or output.err).split()
            return fine(next((word for word in words if word[:1].isdigit()), "there"))
    return wrong("it is not installed, and directories are to be shared") if wanted else note("none; nothing is shared")


def inotify(look: Look) -> Verdict:
    """What follows logs and watches files takes an instance each; desktops use up a low limit quickly."""
    text = (look.read("/proc/sys/fs/inotify/max_user_instances") or "").strip()
    if not text.isdigit():
        return note("this kernel does not say")
    if int(text) < FEW_INSTANCES:
        return wrong(f"a user may have {text} instances")
    return fine(f"{text} instances")


def cgroup(look: Look) -> Verdict:
    """With cgroups a guest that takes too much memory is ended alone, not some other program of the host."""
    controllers = look.read("/sys/fs/cgroup/cgroup.controllers")
    if controllers is None:
        return note("no cgroup v2: nothing but the guest's own size limits what it takes of the host")
    if "memory" not in controllers.split():
        return note("the memory controller is off: nothing but the guest's own size limits what it takes of the host")
    return fine("a service can be limited (MemoryMax=)")


def overlap(look: Look) -> Verdict:
    """The guest sees the host and the world from 10.0.2.0/24, and reaches no real network of those addresses."""
    addresses = parse_addresses(look.run("ip", "-o", "-4", "address").out)
    clashes = overlapping(addresses, QEMU_NETWORK)
    if clashes:
        return wrong(f"{', '.join(clashes)} of this host is on 10.0.2.0/24 too: the guest cannot reach that network")
    return fine("none of the host's networks is the guest's")


CHECKS = (
    Check("userns", "user namespaces", user_namespaces, platform="linux"),
    Check("virtiofsd", "virtiofsd", virtiofsd, "Install it (Debian 13: `apt install virtiofsd`).", platform="linux"),
    Check(
        "inotify",
        "inotify limits",
        inotify,
        "`sudo sysctl -w fs.inotify.max_user_instances=512`, and a file in /etc/sysctl.d to keep it.",
        platform="linux",
    ),
    Check("cgroup", "memory limits of the host", cgroup, platform="linux"),
    Check("overlap", "networks", overlap, "Use the driver's vsock, or renumber that network.", platform="linux"),
)

"""Checks of the host that every platform has: its programs, and what space, memory and ports it has for a builder."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path
from typing import Any

from .. import paths
from ..control.client import Control
from ..errors import SnowshedError
from ..network import ports
from ..state import held
from ..units import GIB, MIB, format_size
from .check import Check, Level, Verdict, fine, note, wrong
from .look import Case, Look

LITTLE_SPACE = 10 * GIB
TOO_LITTLE_SPACE = 1 * GIB
ENOUGH_FILES = 1024
"""A connection takes two descriptors, and Nix opens one for every build and copy."""


def state_directory(look: Look) -> Verdict:
    """Where the builder's state lies: not where things vanish, or where other programs change them."""
    state = look.case.state
    where = look.fact("state directory", lambda: _mount_of(Path(state)))
    if where["type"] in ("tmpfs", "ramfs", "devtmpfs"):
        return wrong(f"{state} is in memory ({where['type']}): everything in it is gone after a restart")
    if state.startswith(("/tmp/", "/private/tmp/", "/var/tmp/")):
        return wrong(f"{state} is a temporary place, which systems tidy up: macOS after three days")
    if where["type"].startswith(("nfs", "smb", "cifs", "afp", "webdav", "fuse.sshfs")):
        return wrong(f"{state} is on a network ({where['type']}): locks and disk images are not safe there")
    for part, who in (("Mobile Documents", "iCloud"), ("Dropbox", "Dropbox"), ("OneDrive", "OneDrive")):
        if part in state:
            return wrong(f"{state} is copied to {who}, which would copy the whole disk at every build")
    if where["owner"] not in (None, look.case.uid) and not look.case.is_root:
        return wrong(f"{state} belongs to user {where['owner']}, not to you", "Look at a builder as its owner.")
    return fine(f"{state} ({where['type'] or 'kind of file system unknown'})")


def _mount_of(path: Path) -> dict[str, Any]:
    owner = path.stat().st_uid if path.exists() else None
    try:
        rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return {"type": _type_on_mac(path), "owner": owner}
    real = _existing(path).resolve()
    best, kind = Path("/"), ""
    for _, place, type_, *_ in rows:
        mount = Path(place.replace("\\040", " "))
        if real.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    return {"type": kind, "owner": owner}


def _type_on_mac(path: Path) -> str:
    from ..process import attempt

    text = attempt(["/usr/bin/stat", "-f", "%T", str(_existing(path))]).out.strip()
    return text if text and text not in ("/", "@", "*") else "apfs"


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def space(look: Look) -> Verdict:
    """What the host's disk has left for a builder's disk that grows, and for its memory when it is suspended."""
    config = look.case.config
    free = look.fact("free space", lambda: _free(Path(look.case.state)))
    needs = LITTLE_SPACE if config is None else max(LITTLE_SPACE, config.memory)
    if free < TOO_LITTLE_SPACE:
        return wrong(f"{format_size(free)} are free: builds stop, and wait, when there is nothing left")
    if free < needs:
        says = f"{format_size(free)} are free; its disk grows, and a suspended builder needs as much as it has memory"
        return wrong(says, level=Level.WARNING)
    return fine(f"{format_size(free)} free")


def _free(path: Path) -> int:
    found = os.statvfs(_existing(path))
    return found.f_bavail * found.f_frsize


def memory(look: Look) -> Verdict:
    config = look.case.config
    if config is None:
        return note("what the builder wants is not known")
    total, available = look.fact("memory", _memory)
    wanted = f"the builder may take {format_size(config.memory)} of {format_size(total)}"
    if config.memory > total * 3 // 4:
        return wrong(f"{wanted}, which leaves little for this machine", 'Give it less: `memory = "4GiB"`.')
    if available is not None and available < config.memory:
        return note(f"{wanted}; just now {format_size(available)} are available")
    return fine(wanted)


def _memory() -> tuple[int, int | None]:
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    if sys.platform == "linux":
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return total, int(line.split()[1]) * 1024
    return total, None


def files(look: Look) -> Verdict:
    soft, hard = look.fact("open files", lambda: list(resource.getrlimit(resource.RLIMIT_NOFILE)))
    if 0 <= hard < ENOUGH_FILES or 0 <= soft < 256:
        return wrong(f"a process may open {soft} files, at most {hard}; every connection takes two")
    return fine(f"{soft} at once, at most {'any number' if hard < 0 or hard > 1 << 40 else hard}")


def port(look: Look) -> Verdict:
    """Whether the builder's port is its own."""
    config = look.case.config
    if config is None:
        return note("which port is wanted is not known")
    found = look.fact("port", lambda: _port(look.case, config.port))
    if found["ours"]:
        return fine(f"{config.port}, held by the builder")
    if found["free"]:
        return fine(f"{config.port} is free")
    owner = found["owner"] or "another program listens there"
    if any(owner.startswith(name) for name in ("systemd", "launchd", "init")):
        return fine(f"{config.port}, held by {owner.split()[0]} until a connection comes")
    return wrong(
        f"{config.port} on 127.0.0.1 is taken: {owner}", "Choose another: `port = 31223`, or end that program."
    )


def _port(case: Case, number: int) -> dict[str, Any]:
    builder = paths.BuilderPaths(case.builder, Path(case.state))
    ours = held(builder.supervisor_lock) or _answers(builder.control)
    return {"ours": ours, "free": ports.is_free(number), "owner": ports.port_owner(number)}


def _answers(control: Path) -> bool:
    """Whether a supervisor is there: the lock of a builder of the system is not everybody's to look at."""
    try:
        Control(control).__exit__(None, None, None)
    except SnowshedError:
        return False
    return True


def openssh(look: Look) -> Verdict:
    output = look.run("ssh", "-V")
    if output.status == 127:
        return wrong("ssh is not installed", "Install OpenSSH's client (Debian: `apt install openssh-client`).")
    return fine((output.err or output.out).split(",")[0].strip())


def other_builders(look: Look) -> Verdict:
    """Ports and memory that several builders of this user want at once."""
    found = look.fact("builders", lambda: _builders(look.case))
    clashes = [f"{one} and {two}" for i, (one, p, _) in enumerate(found) for two, q, _ in found[i + 1 :] if p == q]
    if clashes:
        return wrong(
            f"the same port is wanted by {', '.join(clashes)}", "Give each its own `port` in its configuration."
        )
    total, _ = look.fact("memory", _memory)
    wanted = sum(size for _, _, size in found)
    if len(found) > 1 and wanted > total:
        return wrong(
            f"{len(found)} builders may take {format_size(wanted)} together, and there are {format_size(total)}"
        )
    return fine(f"{len(found)} of yours" if len(found) != 1 else "this one alone")


def _builders(case: Case) -> list[tuple[str, int, int]]:
    from ..config import Host, load
    from ..config_file import builders_in
    from ..state import builders

    names = {case.builder, *builders(paths.state_root()), *builders_in(paths.config_root())}
    found = []
    for name in sorted(names):
        try:
            config = case.config if name == case.builder else load(paths.BuilderPaths(name).config, {}, Host.this())
        except SnowshedError:
            continue
        if config is not None:
            found.append((name, config.port, config.memory // MIB * MIB))
    return found


CHECKS = (
    Check("openssh", "OpenSSH", openssh, fatal=True),
    Check(
        "state",
        "state directory",
        state_directory,
        "Choose another place: --state-dir, or XDG_DATA_HOME; on a system, /var/lib.",
    ),
    Check(
        "space",
        "disk space",
        space,
        "Free some: `snowshed gc` gives back what builds no longer need, `snowshed image rm` old images.",
        fatal=True,
    ),
    Check("memory", "memory", memory),
    Check("files", "open files", files, "Raise it: `ulimit -n 4096`, or LimitNOFILE= of the service."),
    Check("port", "port", port, fatal=True),
    Check("builders", "other builders", other_builders),
)

"""Checks of the builder itself, stage by stage, from its supervisor to the Nix daemon in its guest.

The first stage that fails is the one to mend: those behind it are not looked at. A builder that sleeps is left asleep:
looking through its port would wake it.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from ..control.client import Control
from ..errors import NotRunning, SnowshedError
from ..paths import BuilderPaths
from ..process import attempt, exchange
from ..ssh.config import alias
from ..state import held, unreachable
from ..units import MIB, format_duration, format_size
from .check import Check, Verdict, fine, note, wrong
from .look import Case, Look

LITTLE_DISK = 0.05
"""Share of the guest's disk below which its garbage collection is all that keeps builds going."""
LITTLE_MEMORY = 256 * MIB
SKEW = 2.0
"""Seconds that make, git and certificates begin to notice."""

HELLO, ANSWER = 0x6E697863, 0x6478696F
"""What client and daemon of Nix say first, as 64-bit little-endian numbers (nix: src/libstore/worker-protocol.hh)."""

LOOK_AROUND = (
    "echo time $(date +%s); df -Pk /data | tail -n 1 | sed 's/^/disk /';"
    " grep -E '^Mem(Total|Available):' /proc/meminfo;"
    " echo route $(ip route show default 2>/dev/null || true); echo kernel $(uname -r);"
    " echo nix $(nix-daemon --version 2>/dev/null)"
)
"""What the guest tells about itself, in one go."""


def supervisor(look: Look) -> Verdict:
    report = look.fact("report", lambda: _report(look.case))
    if "error" in report:
        return wrong(report["error"].rstrip("."), report["hint"])
    if not report["supervisorPid"]:
        if report["notices"]:
            says = f"not running. {' '.join(report['notices'])}".rstrip(".")
            return note(says, f"`snowshed start{look.case.option}` starts it.", blocks=True)
        return wrong("not running", f"`snowshed start{look.case.option}` starts it.")
    return fine(f"process {report['supervisorPid']}, snowshed {report['version']}")


def state(look: Look) -> Verdict:
    report = look.fact("report", lambda: _report(look.case))
    if not report["supervisorPid"]:
        return note("stopped", blocks=True)
    if failure := report.get("failure"):
        last = f" Its last words: {failure['console'][-1]}" if failure["console"] else ""
        return wrong(f"{report['state']}: {failure['message'].rstrip('.')}{last}", failure["hint"])
    shortages = {shortage["text"] for shortage in report.get("shortages", ())}  # those have checks of their own
    if notices := [notice for notice in report["notices"] if notice not in shortages]:
        return wrong(" ".join(notices))
    if not report["running"]:
        hint = f"A connection wakes it; `snowshed resume{look.case.option}` does, and then the guest can be examined."
        return note(f"{report['state']}, and left so", hint, blocks=True)
    return fine(str(report["state"]))


def _report(case: Case) -> dict[str, Any]:
    paths = BuilderPaths(case.builder, Path(case.state))
    try:
        with Control(paths.control) as control:
            return control.report()
    except NotRunning:
        if held(paths.supervisor_lock):
            return _failed(unreachable(paths.name))
        never = not paths.state.exists()
        return {"supervisorPid": None, "running": False, "notices": ["It was never started."] if never else []}
    except SnowshedError as error:
        return _failed(error)


def _failed(error: SnowshedError) -> dict[str, Any]:
    return {"error": error.message, "hint": error.hint, "running": False}


def answers(look: Look) -> Verdict:
    """Something accepts on the port, and says what an SSH server says."""
    found = look.fact("banner", lambda: _banner(_port(look)))
    if found["error"]:
        return wrong(f"port {_port(look)} of 127.0.0.1: {found['error']}")
    if not found["banner"].startswith("SSH-2.0"):
        return wrong(f"port {_port(look)} answers with {found['banner'][:60]!r}, which is no SSH")
    return fine(f"{found['banner']} after {found['seconds']:.2f} s")


def _port(look: Look) -> int:
    return int(look.fact("report", lambda: _report(look.case)).get("port") or 0)


def _banner(port: int) -> dict[str, Any]:
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
            data = client.recv(256).decode(errors="replace").strip()
    except OSError as error:
        return {"error": str(error), "banner": "", "seconds": 0.0}
    return {
        "error": "" if data else "the connection ended without a word",
        "banner": data,
        "seconds": round(time.monotonic() - began, 3),
    }


class Login(msgspec.Struct, frozen=True):
    """How ssh ended and what it said, and the host's time before and after."""

    status: int
    out: str
    err: str
    before: float
    after: float


def _login(look: Look) -> Login:
    """The guest, asked about itself, through our own part of ssh's configuration."""
    return msgspec.convert(look.fact("login", lambda: msgspec.to_builtins(_log_in(look.case))), Login)


def _log_in(case: Case) -> Login:
    before = time.time()
    argv = ["ssh", "-F", f"{case.state}/ssh/config", alias(case.builder), LOOK_AROUND]
    output = attempt(argv, timeout=90)
    return Login(output.status, output.out, output.err, before, time.time())


def identity(look: Look) -> Verdict:
    """The guest shows the key that was pinned before its first boot."""
    error = _login(look).err
    if "Host key verification failed" in error or "IDENTIFICATION HAS CHANGED" in error:
        return wrong("the guest shows another host key than the pinned one: something else answers on its port")
    return fine("the pinned host key")


def login(look: Look) -> Verdict:
    output = _login(look)
    if "Permission denied" in output.err:
        return wrong("the guest does not accept the builder's key")
    if output.status == 255:
        return wrong(f"ssh says: {output.err.strip().splitlines()[-1] if output.err.strip() else 'nothing'}")
    if output.status == 124:
        return wrong("the guest did not answer a command within 90 s")
    return fine(f"as builder, Linux {_said(look).get('kernel', '?')}")


def nix_daemon(look: Look) -> Verdict:
    """The guest's Nix daemon greets, as it would greet the host's Nix."""
    found = look.fact("handshake", lambda: _handshake(look.case))
    if not found["answered"]:
        return wrong(f"no Nix daemon answers in the guest: {found['error'] or 'it said nothing'}")
    version = f", {_said(look)['nix']}" if _said(look).get("nix") else ""
    return fine(f"protocol 1.{found['protocol'] & 0xFF}{version}")


def _handshake(case: Case) -> dict[str, Any]:
    argv = ["ssh", "-F", f"{case.state}/ssh/config", alias(case.builder), "nix-daemon --stdio"]
    data, errors = exchange(argv, struct.pack("<Q", HELLO), 16, timeout=60)
    if len(data) < 16 or struct.unpack_from("<Q", data)[0] != ANSWER:
        return {"answered": False, "protocol": 0, "error": errors.strip()[-200:]}
    return {"answered": True, "protocol": struct.unpack_from("<Q", data, 8)[0], "error": ""}


def _said(look: Look) -> dict[str, str]:
    """What the guest told about itself, by the first word of each line."""
    lines = (line.partition(" ") for line in _login(look).out.splitlines())
    return {name.rstrip(":"): rest.strip() for name, _, rest in lines}


def clock(look: Look) -> Verdict:
    """The guest's time lies between the host's before and after it was asked."""
    text = _said(look).get("time", "")
    if not text.isdigit():
        return note("the guest does not say")
    there, asked = int(text), _login(look)
    off = max(asked.before - 1 - there, there - asked.after)
    if off > SKEW:
        return wrong(f"the guest's clock is {format_duration(off)} {'behind' if there < asked.after else 'ahead'}")
    return fine("the host's time")


def disk(look: Look) -> Verdict:
    words = _said(look).get("disk", "").split()
    if len(words) < 4 or not words[1].isdigit():
        return note("the guest does not say")
    total, free = int(words[1]) * 1024, int(words[3]) * 1024
    says = f"{format_size(free)} of {format_size(total)} free"
    return wrong(says) if free < total * LITTLE_DISK else fine(says)


def memory(look: Look) -> Verdict:
    said = _said(look)
    if "MemAvailable" not in said or "MemTotal" not in said:
        return note("the guest does not say")
    total, free = (int(said[name].split()[0]) * 1024 for name in ("MemTotal", "MemAvailable"))
    says = f"{format_size(free)} of {format_size(total)} available"
    return wrong(says) if free < LITTLE_MEMORY else fine(says)


def _ran_out(of: str) -> Callable[[Look], Verdict]:
    """Whether builds ran out of ``memory``, ``disk`` or ``processes``, by what the supervisor knows."""

    def check(look: Look) -> Verdict:
        report = look.fact("report", lambda: _report(look.case))
        shortages = [shortage for shortage in report.get("shortages", ()) if shortage.get("of", "memory") == of]
        recent = [shortage["text"] for shortage in shortages if shortage["text"] in report["notices"]]
        return wrong(" ".join(recent).rstrip(".")) if recent else fine("no build ran out of it")

    return check


def limit(look: Look) -> Verdict:
    """The cgroup that the supervisor and its hypervisor are in, or one above it, says how much both may take."""
    report = look.fact("report", lambda: _report(look.case))
    lines = (look.read(f"/proc/{report['supervisorPid']}/cgroup") or "").splitlines()
    group = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), "")
    folders = [folder for folder in (Path(group), *Path(group).parents) if folder.parts]
    said = [(look.read(Path("/sys/fs/cgroup") / folder / "memory.max") or "").strip() for folder in folders]
    limits = [int(text) for text in said if text.isdigit()]
    if limits:
        return fine(f"at most {format_size(min(limits))}")
    return note(
        "none but the guest's own size; a host that runs out of memory ends the guest first",
        "A service has one: `snowshed service install`.",
    )


def way_out(look: Look) -> Verdict:
    config = look.case.config
    if config is not None and config.network != "nat":
        return fine(f"closed, as configured ({config.network})")
    if "route" not in _said(look):
        return note("the guest does not say")
    words = _said(look)["route"].split()
    if "via" not in words:
        return wrong("the guest has no way out: it got no address, or no gateway; builds that fetch will fail")
    return fine(f"by {words[words.index('via') + 1]}")


CHECKS = (
    Check("supervisor", "supervisor", supervisor, fatal=True),
    Check("state-of", "state", state, "`snowshed logs --console` has the guest's last words.", True, "supervisor"),
    Check("answers", "SSH on its port", answers, "`snowshed logs` says why.", True, "state-of"),
    Check(
        "identity",
        "host key",
        identity,
        "Find who has the port (see “port” above); then `snowshed restart`.",
        True,
        "answers",
    ),
    Check(
        "login",
        "login",
        login,
        "`snowshed restart` tells the guest its keys anew.",
        True,
        "identity",
    ),
    Check("nix-daemon", "Nix in the guest", nix_daemon, "`snowshed logs --console`.", True, "login"),
    Check("clock", "clock", clock, "`snowshed suspend` and `resume` set it.", after="login"),
    Check(
        "guest-disk",
        "disk of the guest",
        disk,
        "`snowshed gc`, or more: `snowshed restart --disk-size 200G`.",
        after="login",
    ),
    Check("guest-memory", "memory of the guest", memory, "`snowshed restart --memory 12GiB`.", after="login"),
    Check("limit", "limit of its memory", limit, after="supervisor", platform="linux"),
    Check(
        "out-of-memory",
        "memory of builds",
        _ran_out("memory"),
        "More memory: `snowshed restart --memory 12GiB`; or fewer builds at once: `nix.max_jobs = 1`.",
        after="supervisor",
    ),
    Check(
        "out-of-disk",
        "disk of builds",
        _ran_out("disk"),
        "Make room, `snowshed gc`; or the disk larger, `snowshed restart --disk-size 200G`.",
        after="supervisor",
    ),
    Check(
        "out-of-processes",
        "processes of builds",
        _ran_out("processes"),
        "If it is no mistake of the build's: more memory allows more, `snowshed restart --memory 12GiB`.",
        after="supervisor",
    ),
    Check(
        "way-out",
        "network of the guest",
        way_out,
        "On a Mac see “application firewall” and “DHCP server” above. Builds that fetch nothing are not affected.",
        after="login",
    ),
)

"""What the end of a QEMU, or its refusal to start, means. Pure.

The reasons are those of the QMP event ``SHUTDOWN`` (``ShutdownCause`` in QEMU's ``qapi/run-state.json``).
"""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass

from ...errors import GuestError
from ..base import Exit

PANIC_MARK = b"Kernel panic - not syncing"
"""How Linux begins the line that says why it gives up (``kernel/panic.c``)."""


@dataclass
class Story:
    """What is known of a VM's end, as it becomes known."""

    shutdown: str = ""
    """the reason in the last ``SHUTDOWN`` event"""
    panic: str = ""
    """the guest's own words, or that it said it had panicked"""
    pulled: bool = False
    """we killed it"""


def ending(status: int, story: Story, last_words: str) -> Exit:
    """How a QEMU ended whose exit status was `status` (negative: the signal) and whose last output is `last_words`."""
    if story.pulled:
        return Exit(clean=False, detail="its plug was pulled")
    if story.panic and story.shutdown != "guest-shutdown":
        return Exit(clean=False, detail=f"the guest's kernel panicked: {story.panic}", panicked=True)
    if status < 0:
        return Exit(clean=False, detail=f"QEMU was ended by {_signal(-status)}{_said(last_words)}")
    match story.shutdown:
        case "guest-shutdown":
            return Exit(clean=True, detail="the guest shut itself down")
        case "host-qmp-quit" | "host-signal":
            return Exit(clean=True, detail="QEMU was asked to quit")
        case "guest-reset":
            return Exit(clean=False, detail="the guest restarted itself, which ends it here")
        case "guest-panic":
            return Exit(clean=False, detail="the guest's kernel panicked", panicked=True)
    return Exit(clean=False, detail=f"QEMU ended with status {status}{_said(last_words)}")


class PanicWatch:
    """Finds the line in the guest's console that says why its kernel gave up."""

    def __init__(self) -> None:
        self._rest = b""
        self.found = ""

    def feed(self, data: bytes) -> bool:
        """More of the console; whether the panic became known just now. Output may be cut anywhere."""
        if self.found:
            return False
        self._rest += data
        start = self._rest.find(PANIC_MARK)
        if start < 0:
            self._rest = self._rest[-len(PANIC_MARK) :]
            return False
        line, end, _ = self._rest[start:].partition(b"\n")
        if not end and len(line) < 500:
            self._rest = self._rest[start:]
            return False
        self.found = line[len(PANIC_MARK) :].decode(errors="replace").strip(" :\r") or "it did not say why"
        return True


_KNOWN: tuple[tuple[str, str, str], ...] = (
    (
        r'Failed to get "(?:write|consistent read)" lock',
        "A disk image of the builder is in use by another program",
        "Find it with `fuser`, or end it: two virtual machines on one disk destroy it.",
    ),
    (
        r"(?:failed to initialize kvm|Could not access KVM kernel module).*",
        "KVM does not work here",
        "Use `--accel tcg`, or have access to /dev/kvm (on most systems: become a member of the group kvm).",
    ),
    (
        r"invalid accelerator (\w+)",
        "This QEMU was built without that accelerator",
        "Use `--accel tcg`, or install a QEMU that has it.",
    ),
    (
        r"cannot set up guest memory|[Cc]annot allocate memory",
        "The host has not enough memory for the guest",
        "Give the builder less with `--memory`, or end something that needs much.",
    ),
    (
        r"Could not set up host forwarding rule",
        "QEMU could not open a port on the host's loopback for the guest's SSH",
        "Look at what forbids listening on 127.0.0.1: a firewall, a sandbox, or no free port.",
    ),
    (
        r"load of migration failed",
        "The saved memory does not fit this QEMU, or is damaged",
        "The builder boots anew instead.",
    ),
    (
        r"seccomp|sandboxing",
        "This QEMU was built without its sandbox",
        "Install the QEMU of your distribution, which has it.",
    ),
    (
        r"Property '[^']*' not found|unsupported machine type|is not a valid device model name|invalid option",
        "This QEMU is too old, or was built without something that a builder needs",
        "Use QEMU 7.0 or newer.",
    ),
    (r"No space left on device", "The host's disk is full", "Make room and start again."),
)


def refusal(what: str, last_words: str, cause: str = "") -> GuestError:
    """The error for `what` that QEMU did not do, from its last output and what we saw of it ourselves."""
    words = said(last_words)
    for pattern, meaning, hint in _KNOWN:
        if re.search(pattern, last_words):
            return GuestError(f"{what}. {meaning}: {words}", hint)
    return GuestError(f"{what}: {words or cause or 'QEMU said nothing'}", "`snowshed logs` has all that it said.")


def said(last_words: str) -> str:
    """The last lines of a program's output as one, without the program's name before each."""
    lines = [re.sub(r"^\S*qemu-system-\S+: ", "", line.strip()) for line in last_words.splitlines()]
    return " / ".join([line for line in lines if line][-4:])


def _said(last_words: str) -> str:
    return f": {said(last_words)}" if said(last_words) else ""


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""The framework's errors as sentences for people, each with what to do. Pure.

Codes are those of ``VZErrorCode`` in Apple's headers; other domains occur too. The framework's own words are kept:
they name the device or the file.
"""

from __future__ import annotations

import errno

from ...errors import GuestError, SnowshedError, UserError
from .messages import Failed

VZ = "VZErrorDomain"
POSIX = "NSPOSIXErrorDomain"
PYTHON = "python"
"""Our own: an exception in the helper."""

ENTITLEMENT = "com.apple.security.virtualization"
SIGN = "`snowshed doctor --fix` makes the signed interpreter anew."

_REFUSED = (errno.ECONNRESET, errno.ECONNREFUSED, 54, 61)
"""A vsock connection that nobody wanted: the numbers of macOS, and those of the host that a test runs on."""

_VZ: dict[int, tuple[str, str]] = {
    1: ("Virtualization.framework failed", "Try again; if it stays so, restart the Mac and see Console.app."),
    2: ("macOS refuses this machine's configuration", "Change what it names; `snowshed config show` has all of it."),
    3: ("The VM is in no state for that", "See `snowshed status`, and try again."),
    4: ("The VM is in no state for that", "See `snowshed status`, and try again."),
    5: ("macOS cannot use a disk image", "A raw image whose size is a multiple of 512 bytes is needed."),
    6: ("macOS runs no further VM beside those that run now", "Stop another one first."),
    7: ("The VM's network failed", "`snowshed doctor` looks at the host's network."),
    8: ("The host's disk is full", "Free some space, and try again."),
    9: ("macOS cancelled it", "Try again."),
    10: ("This Mac cannot do that", "`snowshed doctor` says what it can do."),
    11: ("The VM's memory could not be saved", "If it stays so, set idle.action to stop."),
    12: ("The saved memory is not accepted any more", "The builder boots anew instead."),
}


def explain(failed: Failed) -> SnowshedError:
    """The error that `failed` is for people. The user's where the user can mend it, else the hypervisor's."""
    said = _words(failed)
    if ENTITLEMENT in said or "entitlement" in said.lower():
        return UserError("macOS does not let the helper's interpreter use virtualisation.", SIGN)
    if failed.domain == VZ and failed.code in _VZ:
        sentence, hint = _VZ[failed.code]
        return GuestError(f"{sentence} ({failed.doing}): {said}.", hint)
    if failed.domain == POSIX and failed.code in (errno.ENOSPC, 28):
        return GuestError(f"The host's disk is full ({failed.doing}).", "Free some space, and try again.")
    if failed.domain == PYTHON:
        return GuestError(
            f"The vz helper failed ({failed.doing}): {said}.", "Please report this, with `snowshed logs`."
        )
    return GuestError(f"{failed.doing} failed: {said} ({failed.domain} {failed.code}).", "See `snowshed logs`.")


def is_refusal(failed: Failed) -> bool:
    """Whether `failed` says that nothing in the guest listens on the port."""
    return failed.domain == POSIX and failed.code in _REFUSED


def _words(failed: Failed) -> str:
    parts = [part.strip().rstrip(".") for part in (failed.text, failed.reason) if part.strip()]
    return ": ".join(dict.fromkeys(parts)) or "no reason given"

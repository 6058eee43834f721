"""What executes the guest: decided by proof, not by the presence of a device file."""

from __future__ import annotations

from ...model.machine import Accelerator, Arch


def choose(wanted: Accelerator, guest: Arch, host: Arch | None, platform: str) -> tuple[Accelerator, str]:
    """The accelerator for a `guest` on this host, and why in one sentence."""
    if wanted is not Accelerator.AUTO:
        return wanted, "configured"
    return Accelerator.TCG, "nothing else has been proven to work yet"

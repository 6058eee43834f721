"""The guest's network under krunkit, which has none of its own: vmnet-helper, at the other end of a socket pair.

Up to macOS 15 it needs root to open its interface, and gives that up at once; its installer adds a sudo rule for it
(vmnet-helper, README and ``docs/integration.md``).
"""

from __future__ import annotations

from ...process import find
from ..mac import BREW

FOLDERS = ("/opt/vmnet-helper/bin", *BREW)
WITHOUT_ROOT = (26, 0)
"""The first macOS that gives the interface to anybody."""
INSTALL = "Install vmnet-helper (its README says how), or set network to none, or use the driver vz."


def program() -> str:
    """The path of vmnet-helper. Raises `UserError` where there is none."""
    return find("vmnet-helper", INSTALL, folders=FOLDERS)


def arguments(helper: str, descriptor: int, *, macos: tuple[int, ...], root: bool) -> list[str]:
    """The command line that serves the socket `descriptor`; through sudo where root is needed and we are not."""
    words = [helper, "--fd", str(descriptor)]
    if root or macos >= WITHOUT_ROOT:
        return words
    return ["/usr/bin/sudo", "--non-interactive", "--close-from", str(descriptor + 1), *words]

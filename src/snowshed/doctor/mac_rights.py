"""Checks of what a Mac allows: background items, Local Network, entitlements, Rosetta, management.

Forms of output: objective-see's DumpBTM and nix-darwin issue 1422 for ``sfltool dumpbtm``, profiles(1), codesign(1).
"""

from __future__ import annotations

import errno
import re
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from .check import Check, Fix, Level, Verdict, fine, note, wrong
from .look import Case, Look

SETTINGS = "System Settings > General > Login Items & Extensions > Allow in the Background"
OURS = ("org.snowshed", "snowshed", "org.nixos", "systems.determinate")
"""What identifiers of background items contain that builds depend on."""

ROSETTA_KERNEL = (6, 13)
ROSETTA_KNOWS_FROM = (26, 0)
"""Linux 6.13 gives programs an auxiliary vector of type 29, which Rosetta does not know before macOS 26:
apple/container issue 1142, podman-machine-os pull request 98."""

_RECORD = re.compile(r"^\s*#\d+:\s*$", re.MULTILINE)
_FIELD = re.compile(r"^\s*(Name|Identifier|Disposition|Executable Path|URL):\s*(.*?)\s*$", re.MULTILINE)


def background_items(text: str) -> list[dict[str, str]]:
    """The items in the output of ``sfltool dumpbtm``, each by the names of its fields."""
    return [item for part in _RECORD.split(text) if (item := _first_fields(part))]


def _first_fields(part: str) -> dict[str, str]:
    """A field that occurs twice belongs to something embedded further down."""
    found: dict[str, str] = {}
    for name, value in _FIELD.findall(part):
        found.setdefault(name, value)
    return found if "Identifier" in found else {}


def background(look: Look) -> Verdict:
    """Jobs that the user, or an update of macOS, has forbidden to run in the background never start."""
    if not look.case.is_root:
        return note("only root may ask macOS", "`sudo snowshed doctor` asks.")
    output = look.run("/usr/bin/sfltool", "dumpbtm", patience=30)
    if output.status != 0:
        return note("macOS does not say")
    items = [item for item in background_items(output.out) if _is_ours(item)]
    refused = [item for item in items if "disallowed" in item.get("Disposition", "")]
    if refused:
        names = ", ".join(sorted({_called(item) for item in refused}))
        return wrong(f"macOS may not start: {names}")
    return fine(f"{len(items)} items of snowshed and Nix, all allowed" if items else "none of snowshed or Nix yet")


def _is_ours(item: dict[str, str]) -> bool:
    return any(word in item["Identifier"] or word in item.get("URL", "") for word in OURS)


def _called(item: dict[str, str]) -> str:
    """The identifier without its leading kind, and the name under which System Settings shows the item."""
    shown = Path(item.get("Executable Path") or item.get("Name", "")).name
    identifier = item["Identifier"].split(".", 1)[-1] if item["Identifier"][:1].isdigit() else item["Identifier"]
    return f"{identifier} (shown as “{shown}”)" if shown and shown not in identifier else identifier


def local_network(look: Look) -> Verdict:
    """From macOS 15 on, a program that is not root's needs permission to talk to machines on a local network."""
    if look.case.is_root:
        return fine("root needs no permission")
    found = look.fact("local network", lambda: _dial(look.case))
    if not found["address"]:
        return fine("not needed: the guest is reached without a network address")
    if found["error"] == "EHOSTUNREACH" and found["answers_arp"]:
        return wrong(f"macOS keeps this program from {found['address']}, which is there")
    if found["error"]:
        return note(f"{found['address']}: {found['error']}")
    return fine(f"{found['address']} can be reached")


def _dial(case: Case) -> dict[str, Any]:
    """Try the address at which the guest was last found. The ARP table knows it even where we may not talk to it."""
    from ..network.nat import arp_table

    found: dict[str, Any] = {"address": "", "error": "", "answers_arp": False}
    with suppress(OSError):
        found["address"] = (Path(case.state) / "guest-ip").read_text().strip()
    if found["address"]:
        try:
            socket.create_connection((found["address"], 22), timeout=3).close()
        except OSError as error:
            found["error"] = errno.errorcode.get(error.errno or 0, type(error).__name__)
        found["answers_arp"] = f"({found['address']}) at " in arp_table()
    return found


SIGN_ANEW = Fix("make the signed interpreter", ((sys.executable, "-P", "-m", "snowshed.drivers.vz.signing", "--anew"),))


def interpreter(look: Look) -> Verdict:
    """The program that calls Virtualization.framework needs an entitlement, which an ad-hoc signature can give."""
    where = look.fact("vz interpreter", _interpreter)
    if where is None:
        return fine("not needed by this driver")
    if not where:
        return Verdict(False, "none yet; the first start makes one", level=Level.NOTE, fix=SIGN_ANEW)
    output = look.run("/usr/bin/codesign", "-d", "--entitlements", "-", "--xml", where)
    if output.status != 0:
        said = output.err.strip().splitlines()[-1] if output.err.strip() else ""
        return wrong(f"{where} is not signed: {said}", fix=SIGN_ANEW)
    if "com.apple.security.virtualization" not in output.out:
        return wrong(f"{where} has no com.apple.security.virtualization entitlement", fix=SIGN_ANEW)
    verified = look.run("/usr/bin/codesign", "--verify", where)
    if verified.status != 0:
        return wrong(f"the signature of {where} is broken: an update changed the file", fix=SIGN_ANEW)
    return fine(where)


def _interpreter() -> str | None:
    """The signed copy of the interpreter; empty where there is none yet, None where no driver of ours needs one."""
    from importlib.util import find_spec

    from ..drivers.vz import signing

    if find_spec("Virtualization") is None:
        return None
    found = signing.find()
    return str(found) if found else ""


def rosetta(look: Look) -> Verdict:
    """Rosetta is there, and knows the kernel of the guest."""
    config = look.case.config
    if config is None or not config.rosetta:
        return fine("not wanted")
    if look.facts("/Library/Apple/usr/libexec/oah/RosettaLinux/rosetta") is None:
        return wrong("it is wanted and not installed", "`softwareupdate --install-rosetta --agree-to-license`.")
    macos = _numbers(look.run("/usr/bin/sw_vers", "-productVersion").out)
    kernel = _numbers(look.fact("kernel of the image", lambda: _kernel(look.case)))
    if kernel >= ROSETTA_KERNEL and macos < ROSETTA_KNOWS_FROM:
        return wrong(
            f"Rosetta of macOS {_dotted(macos)} runs nothing under Linux {_dotted(kernel)} "
            "(“unhandled auxillary vector type 29”)"
        )
    if macos >= (28,):
        return wrong("this macOS has no Rosetta for Linux any more", "Use `nix.emulate` with qemu-user instead.")
    return fine("installed")


def _kernel(case: Case) -> str:
    from ..images import store

    image = store.newest(case.config.arch, current=False) if case.config is not None else None
    return image.manifest.boot.kernel_version if image is not None else ""


def _numbers(text: str) -> tuple[int, ...]:
    match = re.match(r"\s*(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else ()


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def management(look: Look) -> Verdict:
    """An organisation that manages the Mac may forbid what a user cannot turn on again."""
    output = look.run("/usr/bin/profiles", "status", "-type", "enrollment").out
    if re.search(r"MDM enrollment:\s*Yes", output):
        return note("this Mac is managed (MDM): its firewall and background items may not be yours to change")
    return fine("not managed")


def macos(look: Look) -> Verdict:
    version = look.run("/usr/bin/sw_vers", "-productVersion").out.strip()
    if _numbers(version) < (13, 0):
        return wrong(f"macOS {version} is older than 13, the first with all that a builder needs")
    return fine(f"macOS {version}")


CHECKS = (
    Check("macos", "version of macOS", macos, "Update macOS, or use the driver qemu.", platform="darwin"),
    Check("background", "background items", background, f"{SETTINGS}: turn them on.", platform="darwin"),
    Check(
        "local-network",
        "Local Network permission",
        local_network,
        "System Settings > Privacy & Security > Local Network: turn on the program in which snowshed runs (Terminal, "
        "python); a system service (`sudo snowshed service install`) needs none.",
        platform="darwin",
    ),
    Check(
        "interpreter",
        "signed interpreter",
        interpreter,
        "Remove that file; the next start makes a new one.",
        fatal=True,
        platform="darwin",
    ),
    Check(
        "rosetta",
        "Rosetta",
        rosetta,
        'Update macOS to 26, boot an image with Linux 6.12, or use qemu-user: `nix.emulate = ["x86_64-linux"]`.',
        platform="darwin",
    ),
    Check("management", "management", management, platform="darwin"),
)

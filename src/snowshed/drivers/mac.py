"""What the three macOS drivers have in common: the facts of a Mac, and what none of them can do there.

The rules are values: facts go in, sentences come out, so that each is tested on Linux.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec

from ..errors import SnowshedError, UserError
from ..model.machine import Accelerator, Arch, LinuxBoot, MachineSpec, Network, arch_of_machine
from ..network.nat import NatAddress
from ..process import run
from ..units import MIB
from .base import Launch

ROSETTA_FOR_LINUX = Path("/Library/Apple/usr/libexec/oah/RosettaLinux/rosetta")
INSTALL_ROSETTA = "Install it with `softwareupdate --install-rosetta --agree-to-license`, or leave --rosetta out."
BREW = ("/opt/homebrew/bin", "/usr/local/bin")
"""Where Homebrew puts programs on Apple silicon and on Intel: not on the PATH of a launchd job."""
NESTED_FROM = (15, 0)
"""``VZGenericPlatformConfiguration.nestedVirtualizationSupported``: macOS 15, and an M3 or later."""
NESTED_CHIP = 3


@dataclass(frozen=True)
class Mac:
    """A host as its drivers see it. `version` is that of macOS, () anywhere else; `chip` is the N of an Apple M<N>,
    0 for an Intel Mac; `build` is the operating system's exact build, to which saved memory is bound.
    """

    version: tuple[int, ...] = ()
    arch: Arch | None = None
    chip: int = 0
    build: str = ""
    rosetta: bool = False
    """Rosetta's Linux half is installed."""

    @property
    def nested(self) -> bool:
        """Whether this Mac can run VMs inside VMs."""
        return self.version >= NESTED_FROM and self.chip >= NESTED_CHIP


def version_of(text: str) -> tuple[int, ...]:
    """The numbers that `text` begins with: ``14.2.1`` is (14, 2, 1)."""
    match = re.match(r"\d{1,9}(?:\.\d{1,9})*", text, re.ASCII)
    return tuple(int(part) for part in match[0].split(".")) if match else ()


def chip_of(brand: str) -> int:
    """The N of ``Apple M<N> Pro``, 0 for anything else."""
    match = re.match(r"Apple M(\d{1,3})\b", brand, re.ASCII)
    return int(match[1]) if match else 0


@cache
def this_mac() -> Mac:
    """The facts of this host; of one that is no Mac only the architecture."""
    arch = arch_of_machine(platform.machine())
    version = version_of(platform.mac_ver()[0])
    if not version:
        return Mac(arch=arch)
    return Mac(
        version=version,
        arch=arch,
        chip=chip_of(_sysctl("machdep.cpu.brand_string")),
        build=_sysctl("kern.osversion"),
        rosetta=ROSETTA_FOR_LINUX.exists(),
    )


def _sysctl(name: str) -> str:
    try:
        return run(["sysctl", "-n", name]).strip()
    except (SnowshedError, OSError):
        return ""


def may_write(folder: Path) -> bool:
    """Whether we, and so a guest of ours, may write in `folder`."""
    return os.geteuid() == 0 or os.access(folder, os.W_OK)


def fingerprint(driver: str, version: str, mac: Mac, spec: MachineSpec) -> str:
    """A text that names driver, version, operating system and the whole of `spec`."""
    digest = hashlib.sha256(msgspec.json.encode(spec, enc_hook=str)).hexdigest()
    return f"{driver} {version} on {mac.build or 'unknown'}: {digest}"


def nat_address(spec: MachineSpec, launch: Launch) -> NatAddress | None:
    """The guest's address on the host's NAT network, noted in ``guest-ip``; None where the guest is on no network."""
    if spec.network is not Network.NAT:
        return None
    return NatAddress(spec.mac, spec.name, launch.state / "guest-ip" if launch.state else None)


def problems(spec: MachineSpec, mac: Mac, *, driver: str, least: tuple[int, int]) -> list[SnowshedError]:
    """What stands against `spec` on `mac` with any driver over Virtualization.framework or Hypervisor.framework.

    `least` is the first macOS that `driver` runs on.
    """
    if not mac.version:
        return [UserError(f"The driver {driver} runs on macOS only.", "Use the driver qemu on this host.")]
    found: list[SnowshedError] = []
    if mac.version < least:
        found.append(
            UserError(
                f"The driver {driver} needs macOS {least[0]}; this is {'.'.join(map(str, mac.version))}.",
                "Update macOS, or use the driver qemu.",
            )
        )
    if mac.arch is not spec.arch:
        found.append(
            UserError(
                f"The driver {driver} runs guests of the host's own architecture only, and {spec.arch} is another.",
                "Use the driver qemu for it, or a guest of this Mac's architecture with Rosetta or qemu-user in it.",
            )
        )
    if spec.accelerator not in (Accelerator.AUTO, Accelerator.HVF):
        found.append(
            UserError(f"The driver {driver} has no accelerator {spec.accelerator}.", "Leave --accel out, or use qemu.")
        )
    if spec.memory % MIB:
        found.append(UserError(f"{spec.memory} bytes of memory are not whole MiB.", "Give --memory in whole MiB."))
    return [*found, *_nested_problems(spec, mac), *_rosetta_problems(spec, mac), *_kernel_problems(spec)]


def _nested_problems(spec: MachineSpec, mac: Mac) -> list[SnowshedError]:
    if not spec.nested or mac.nested:
        return []
    why = "needs macOS 15" if mac.version < NESTED_FROM else "needs an M3 or later"
    return [UserError(f"Nested virtualisation {why}; this Mac cannot do it.", "Turn nested_virtualization off.")]


def _rosetta_problems(spec: MachineSpec, mac: Mac) -> list[SnowshedError]:
    if not spec.rosetta:
        return []
    if mac.arch is Arch.X86_64:
        return [UserError("Rosetta is for Macs with Apple silicon; this is an Intel Mac.", "It runs x86_64 without.")]
    if mac.version < (13, 0):
        return [UserError("Rosetta in Linux guests needs macOS 13.", "Update macOS, or turn rosetta off.")]
    if not mac.rosetta:
        return [UserError("Rosetta is not installed on this Mac.", INSTALL_ROSETTA)]
    return []


ARM64_MAGIC = (0x38, b"ARMd")
"""Documentation/arch/arm64/booting: the header of an uncompressed ``Image``."""
X86_MAGIC = (0x202, b"HdrS")
"""Documentation/arch/x86/boot: the header of a ``bzImage``."""
COMPRESSED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ": "xz", b"(\xb5/\xfd": "zstd", b"\x04\x22M\x18": "lz4", b"BZh": "bzip2"}
_HEADER = 0x210


def _kernel_problems(spec: MachineSpec) -> list[SnowshedError]:
    if not isinstance(spec.boot, LinuxBoot):
        return []
    try:
        with spec.boot.kernel.open("rb") as file:
            header = file.read(_HEADER)
    except OSError as error:
        return [UserError(f"The kernel {spec.boot.kernel} cannot be read: {error.strerror}.", "Check --kernel.")]
    problem = kernel_problem(header, spec.arch)
    return [UserError(f"{spec.boot.kernel} {problem}.", _KERNEL_HINT)] if problem else []


_KERNEL_HINT = (
    "Apple's boot loader takes an uncompressed arm64 `Image`, or an x86 `bzImage`; "
    "with anything else the guest hangs without a word."
)


def kernel_problem(header: bytes, arch: Arch) -> str:
    """What is wrong with a kernel that begins with `header`, for Apple's Linux boot loader; empty if nothing is."""
    found = next((name for magic, name in COMPRESSED.items() if header.startswith(magic)), None)
    if found is not None:
        return f"is a kernel compressed with {found}"
    if header.startswith(b"MZ") and header[4:8] == b"zimg":
        return "is a kernel that unpacks itself (EFI zboot)"
    looks = {
        guest: header[at : at + len(magic)] == magic
        for guest, (at, magic) in ((Arch.AARCH64, ARM64_MAGIC), (Arch.X86_64, X86_MAGIC))
    }
    if looks[arch]:
        return ""
    other = next((guest for guest, matches in looks.items() if matches), None)
    return f"is a kernel for {other}, and the guest is {arch}" if other else f"is not a kernel for {arch}"

"""What executes the guest: decided by proof, not by the presence of a device file."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import UserError
from ...model.machine import Accelerator, Arch, arch_of_machine

KVM = Path("/dev/kvm")


@dataclass(frozen=True)
class Host:
    """What matters of the host: its architecture (None for one no guest exists for), `sys.platform`, what is in the
    way of opening ``/dev/kvm`` (empty: nothing), and the processor's flags as Linux names them."""

    arch: Arch | None
    platform: str
    kvm: str = ""
    flags: frozenset[str] = frozenset()


def look() -> Host:
    """The host we are on. Opens ``/dev/kvm``, and closes it again."""
    arch = arch_of_machine(platform.machine())
    if sys.platform != "linux":
        return Host(arch, sys.platform)
    return Host(arch, sys.platform, _opens(KVM), cpu_flags(_read(Path("/proc/cpuinfo"))))


def choose(
    wanted: Accelerator, guest: Arch, host: Host, prove: Callable[[Accelerator], str]
) -> tuple[Accelerator, str]:
    """The accelerator for a `guest` on `host`, and why it is that one, in one sentence without a full stop.

    Raises `UserError` where what is wanted cannot be on this host.
    """
    if wanted is not Accelerator.AUTO:
        _refuse_impossible(wanted, guest, host)
        return wanted, "configured"
    if guest is not host.arch:
        return Accelerator.TCG, f"{guest} is not this host's own architecture"
    if host.platform == "darwin":
        hardware, obstacle = Accelerator.HVF, ""
    elif host.platform == "linux":
        hardware, obstacle = Accelerator.KVM, _kvm_obstacle(host)
    else:
        return Accelerator.TCG, f"there is nothing else on {host.platform}"
    if obstacle:
        return Accelerator.TCG, obstacle
    failure = prove(hardware)
    if failure:
        return Accelerator.TCG, f"a test guest does not run under {hardware}: {failure}"
    return hardware, f"a test guest runs under {hardware}"


def cpu_flags(cpuinfo: str) -> frozenset[str]:
    """The processor's flags in ``/proc/cpuinfo`` (proc(5)); none on architectures that do not list them so."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            return frozenset(value.split())
    return frozenset()


def processor() -> str:
    """A text that changes with the host's processor, as far as a guest that uses it directly can see."""
    return identity(_read(Path("/proc/cpuinfo"))) or f"{platform.machine()} {platform.processor()}"


_IDENTIFYING = {"vendor_id", "cpu family", "model", "model name", "stepping", "flags", "vmx flags"}
_IDENTIFYING |= {"Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision"}


def identity(cpuinfo: str) -> str:
    """What `cpuinfo` says of the first processor itself, without its clock and its place among the others."""
    first = cpuinfo.partition("\n\n")[0]
    return "\n".join(line for line in first.splitlines() if line.partition(":")[0].strip() in _IDENTIFYING)


def _kvm_obstacle(host: Host) -> str:
    if host.kvm:
        return f"KVM cannot be used: {host.kvm}"
    if host.arch is Arch.X86_64 and not host.flags & {"vmx", "svm"}:
        return "the processor has neither vmx nor svm, without which KVM runs nothing, although /dev/kvm opens"
    return ""


def _refuse_impossible(wanted: Accelerator, guest: Arch, host: Host) -> None:
    if wanted is Accelerator.TCG:
        return
    hint = "Use `--accel auto`, or `--accel tcg` to emulate."
    if {Accelerator.KVM: "linux", Accelerator.HVF: "darwin"}[wanted] != host.platform:
        raise UserError(f"There is no {wanted} on {host.platform}.", hint)
    if guest is not host.arch:
        raise UserError(f"{wanted} runs guests of the host's own architecture only, and {guest} is another.", hint)


def _opens(device: Path) -> str:
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{device}: {error.strerror}"
    return ""


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text()
    return ""

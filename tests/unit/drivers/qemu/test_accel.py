"""Which accelerator is chosen, and the reason that people read."""

from __future__ import annotations

import pytest

from snowshed.drivers.qemu.accel import Host, choose, cpu_flags
from snowshed.errors import UserError
from snowshed.model.machine import Accelerator, Arch

INTEL = Host(Arch.X86_64, "linux", flags=frozenset({"fpu", "vmx"}))
AMD = Host(Arch.X86_64, "linux", flags=frozenset({"fpu", "svm"}))
GUEST = Host(Arch.X86_64, "linux", flags=frozenset({"fpu", "hypervisor"}))
CLOSED = Host(Arch.X86_64, "linux", kvm="/dev/kvm: Permission denied", flags=frozenset({"vmx"}))
ARM = Host(Arch.AARCH64, "linux")
MAC = Host(Arch.AARCH64, "darwin")
BSD = Host(Arch.X86_64, "freebsd14")


def proven(_: Accelerator) -> str:
    return ""


def never_asked(accelerator: Accelerator) -> str:
    raise AssertionError(f"nothing was to be proven, least of all {accelerator}")


@pytest.mark.parametrize(
    ("host", "guest", "accelerator"),
    [
        (INTEL, Arch.X86_64, Accelerator.KVM),
        (AMD, Arch.X86_64, Accelerator.KVM),
        (ARM, Arch.AARCH64, Accelerator.KVM),
        (MAC, Arch.AARCH64, Accelerator.HVF),
    ],
)
def test_hardware_is_used_where_a_guest_ran_on_it(host: Host, guest: Arch, accelerator: Accelerator) -> None:
    asked: list[Accelerator] = []

    def prove(candidate: Accelerator) -> str:
        asked.append(candidate)
        return ""

    assert choose(Accelerator.AUTO, guest, host, prove) == (accelerator, f"a test guest runs under {accelerator}")
    assert asked == [accelerator]


@pytest.mark.parametrize(
    ("host", "guest", "reason"),
    [
        (GUEST, Arch.X86_64, "neither vmx nor svm"),
        (CLOSED, Arch.X86_64, "Permission denied"),
        (INTEL, Arch.AARCH64, "aarch64 is not this host's own architecture"),
        (MAC, Arch.X86_64, "x86_64 is not this host's own architecture"),
        (BSD, Arch.X86_64, "nothing else on freebsd14"),
    ],
)
def test_what_cannot_work_is_not_even_tried(host: Host, guest: Arch, reason: str) -> None:
    accelerator, why = choose(Accelerator.AUTO, guest, host, never_asked)
    assert accelerator is Accelerator.TCG
    assert reason in why


@pytest.mark.parametrize(("host", "guest"), [(INTEL, Arch.X86_64), (MAC, Arch.AARCH64)])
def test_without_proof_the_guest_is_emulated_and_the_reason_is_the_failure(host: Host, guest: Arch) -> None:
    accelerator, why = choose(Accelerator.AUTO, guest, host, lambda _: "it did not end in 5 s")
    assert accelerator is Accelerator.TCG
    assert why.endswith("it did not end in 5 s")


def test_what_is_configured_is_used_without_proof() -> None:
    assert choose(Accelerator.KVM, Arch.X86_64, GUEST, never_asked) == (Accelerator.KVM, "configured")
    assert choose(Accelerator.TCG, Arch.X86_64, INTEL, never_asked) == (Accelerator.TCG, "configured")


@pytest.mark.parametrize(
    ("wanted", "guest", "host"),
    [
        (Accelerator.KVM, Arch.AARCH64, INTEL),
        (Accelerator.HVF, Arch.X86_64, INTEL),
        (Accelerator.KVM, Arch.AARCH64, MAC),
    ],
)
def test_what_cannot_be_on_this_host_is_refused(wanted: Accelerator, guest: Arch, host: Host) -> None:
    with pytest.raises(UserError) as caught:
        choose(wanted, guest, host, proven)
    assert "--accel auto" in caught.value.hint


def test_flags_are_read_from_the_first_processor() -> None:
    text = "processor\t: 0\nflags\t\t: fpu vmx sse\nvmx flags\t: vnmi\n\nprocessor\t: 1\nflags\t\t: other\n"
    assert cpu_flags(text) == {"fpu", "vmx", "sse"}
    assert cpu_flags("processor: 0\nFeatures: fp asimd\n") == frozenset()

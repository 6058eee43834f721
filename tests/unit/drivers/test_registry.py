"""Which driver ``auto`` means, and the reason that `status` shows."""

from __future__ import annotations

import pytest

from snowshed.drivers.registry import Surroundings, choose, load
from snowshed.errors import UserError
from snowshed.model.machine import Arch

ARM, INTEL = Arch.AARCH64, Arch.X86_64


def mac(version: tuple[int, ...], *installed: str, arch: Arch = ARM) -> Surroundings:
    return Surroundings("darwin", version, arch, frozenset(installed))


@pytest.mark.parametrize(
    ("host", "guest", "driver", "reason"),
    [
        (Surroundings("linux"), None, "qemu", ""),
        (Surroundings("linux"), ARM, "qemu", ""),
        (mac((15, 1), "pyobjc", "vfkit"), ARM, "vz", "vz, because macOS 15.1 has Virtualization.framework"),
        (mac((13, 0), "pyobjc"), None, "vz", "vz, because macOS 13.0 has Virtualization.framework"),
        (mac((26, 0), "pyobjc", arch=INTEL), INTEL, "vz", "vz, because macOS 26.0 has Virtualization.framework"),
        (mac((12, 7), "pyobjc", "vfkit"), ARM, "qemu", "qemu, because vz and vfkit need macOS 13 and this is 12.7"),
        (mac((15, 1), "pyobjc", "vfkit"), INTEL, "qemu", "qemu, because nothing else runs x86_64 guests on this Mac"),
    ],
)
def test_the_best_driver_of_each_host(host: Surroundings, guest: Arch | None, driver: str, reason: str) -> None:
    assert choose("auto", guest, host) == (driver, reason)


def test_without_pyobjc_vfkit_and_without_that_qemu() -> None:
    name, reason = choose("auto", ARM, mac((15, 1), "vfkit"))
    assert name == "vfkit"
    assert "snowshed[macos]" in reason
    name, reason = choose("auto", ARM, mac((15, 1)))
    assert name == "qemu"
    assert "snowshed[macos]" in reason


def test_a_configured_driver_is_taken_at_its_word() -> None:
    assert choose("krunkit", ARM, Surroundings("linux")) == ("krunkit", "")


def test_this_host_has_a_choice() -> None:
    assert choose("auto")[0] in ("qemu", "vz", "vfkit")


@pytest.mark.parametrize("name", ["qemu", "vz", "vfkit", "krunkit"])
def test_every_driver_loads_on_every_host(name: str) -> None:
    assert load(name).name == name


def test_an_unknown_driver_is_the_users_error() -> None:
    with pytest.raises(UserError, match="no driver called 'vmware'") as caught:
        load("vmware")
    assert "krunkit, qemu, vfkit, vz" in caught.value.hint

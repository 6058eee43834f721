"""What is read off QEMU, the host and its processes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from snowshed.drivers.qemu import binary, memory
from snowshed.drivers.qemu.stall import enough_space
from snowshed.drivers.qemu.usernet import forwarded_port
from snowshed.drivers.qemu.vsock import claim
from snowshed.errors import GuestError, UserError
from snowshed.model.machine import Arch, Disk

USERNET = """Hub -1 (net):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[ESTABLISHED]   19       127.0.0.1 33333       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD]  12       127.0.0.1 35033       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD]  13       127.0.0.1 35034       10.0.2.15  8080     0     0\r
  UDP[228 sec]       20       10.0.2.15 51000        10.0.2.3    53     0     0\r
"""


def test_the_forwarded_port_is_the_one_that_leads_to_the_guests() -> None:
    assert (forwarded_port(USERNET, 22), forwarded_port(USERNET, 8080)) == (35033, 35034)
    with pytest.raises(GuestError, match="8081"):
        forwarded_port(USERNET, 8081)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright", (7, 2, 22)),
        ("QEMU emulator version 10.1.0\n", (10, 1, 0)),
        ("QEMU emulator version 9.2\n", (9, 2, 0)),
    ],
)
def test_a_version_is_read(text: str, version: tuple[int, int, int]) -> None:
    assert binary.parse_version(text) == version


def test_something_else_by_that_name_is_refused() -> None:
    with pytest.raises(UserError, match="not a QEMU"):
        binary.parse_version("hello\n")


def test_a_missing_qemu_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("snowshed.process.shutil.which", lambda *_, **__: None)
    with pytest.raises(UserError, match="qemu-system-aarch64 is not installed"):
        binary.program(Arch.AARCH64)
    assert "qemu-system-arm" in binary.install_hint(Arch.AARCH64, "linux")
    assert "qemu-system-x86" in binary.install_hint(Arch.X86_64, "linux")
    assert "brew" in binary.install_hint(Arch.X86_64, "darwin")


def test_resident_memory_is_what_the_kernel_says() -> None:
    assert memory.parse_status("Name:\tx\nVmPeak:\t  99 kB\nVmRSS:\t    1536 kB\n") == 1536 * 1024
    assert memory.parse_status("Name:\tzombie\n") is None
    ours = memory.resident(os.getpid())
    assert ours is not None
    assert ours > 5_000_000
    assert memory.resident(2**22 + 1) is None


def test_space_is_enough_only_if_it_is_on_every_disk(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.touch()
    assert enough_space([Disk(image, "data")], enough=1)
    assert not enough_space([Disk(image, "data")], enough=1 << 62)


def test_there_is_no_vsock_where_its_device_is_not_one(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert claim(tmp_path / "missing") is None
    (tmp_path / "file").touch()
    assert claim(tmp_path / "file") is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from snowshed.errors import GuestError
from snowshed.images import initrd
from snowshed.images.initrd import FILE, PROGRAM, Entry

DEPENDENCIES = initrd.parse_dependencies(
    "kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz\n"
    "kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz\n"
    "kernel/net/core/failover.ko.xz:\n"
    "kernel/drivers/virtio/virtio-rng.ko:\n"
)


def test_the_archive_is_what_the_kernel_documents() -> None:
    data = initrd.archive([Entry("init", PROGRAM, b"hello")])
    head, name = data[:110], data[110:115]
    assert (head[:6], name) == (b"070701", b"init\0")
    assert int(head[14:22], 16) == 0o100755
    assert int(head[54:62], 16) == 5
    assert int(head[94:102], 16) == len("init") + 1
    assert len(data) % 4 == 0
    assert b"TRAILER!!!\0" in data


def test_equal_contents_give_equal_archives() -> None:
    entries = [Entry("a", FILE, b"1"), Entry("b", FILE, b"2")]
    assert initrd.archive(entries) == initrd.archive(list(entries))
    assert initrd.archive(entries) != initrd.archive(reversed(entries))


def test_modules_come_after_what_they_need() -> None:
    assert initrd.closure(["virtio_net"], DEPENDENCIES, ()) == ("failover", "net_failover", "virtio_net")


def test_what_the_kernel_has_built_in_is_not_loaded() -> None:
    order = initrd.closure(["virtio_pci", "virtio_net"], DEPENDENCIES, ["virtio_pci", "failover"])
    assert order == ("net_failover", "virtio_net")


def test_dashes_and_underscores_are_one_name() -> None:
    assert initrd.closure(["virtio_rng"], DEPENDENCIES, ()) == ("virtio_rng",)


def test_a_module_that_nobody_has_is_an_error() -> None:
    with pytest.raises(GuestError, match="no module erofs"):
        initrd.closure(["erofs"], DEPENDENCIES, ())


def test_compressed_modules_are_unpacked(tmp_path: Path) -> None:
    (tmp_path / "a.ko.xz").write_bytes(lzma.compress(b"module"))
    (tmp_path / "b.ko").write_bytes(b"module")
    assert initrd.read_module(tmp_path / "a.ko.xz") == initrd.read_module(tmp_path / "b.ko") == b"module"


def test_a_signature_is_left_out(tmp_path: Path) -> None:
    mark = b"~Module signature appended~\n"
    signed = b"module" + b"s" * 300 + bytes(8) + (300).to_bytes(4, "big") + mark
    (tmp_path / "a.ko").write_bytes(signed)
    assert initrd.read_module(tmp_path / "a.ko") == b"module"
    assert initrd.unsigned(b"module") == b"module"
    assert initrd.unsigned(mark + b"module") == mark + b"module"


def test_the_initrd_lists_its_modules_in_the_order_of_loading() -> None:
    entries = initrd.entries(
        b"#!",
        b"busybox",
        "6.1",
        {"failover": b"1", "virtio_net": b"2"},
        {"failover": (), "virtio_net": ("failover",)},
        ["usr/sbin/sshd", "usr/lib/libc.so.6"],
    )
    found = {entry.name: entry.data for entry in entries}
    assert found["modules"] == b"failover virtio_net\n"
    assert found["ahead"] == b"usr/sbin/sshd usr/lib/libc.so.6\n"
    assert found["lib/modules/6.1/modules.dep"] == b"failover.ko:\nvirtio_net.ko: failover.ko\n"
    assert found["lib/modules/6.1/virtio_net.ko"] == b"2"

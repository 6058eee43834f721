"""krunkit's command line, whole, and that of the network helper beside it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from fakes.machines import MAC_ADDRESS, efi_spec, spec

from snowshed.drivers.krunkit import vmnet
from snowshed.drivers.krunkit.argv import arguments, problems
from snowshed.drivers.vfkit.argv import Places
from snowshed.model.machine import Disk, MachineSpec, Share
from snowshed.units import GIB

PLACES = Places(Path("/run/s"))


def said(machine: MachineSpec, version: tuple[int, ...] = (1, 2, 1)) -> list[str]:
    return [problem.message for problem in problems(machine, version=version, writable=lambda _: True)]


def test_an_efi_image_whole(tmp_path: Path) -> None:
    assert arguments("/bin/krunkit", efi_spec(tmp_path, nested=True), PLACES, card=7) == [
        "/bin/krunkit",
        *["--cpus", "2", "--memory", "512"],
        *["--device", f"virtio-blk,path={tmp_path}/disk.img,format=raw"],
        *["--device", f"virtio-blk,path={tmp_path}/seed.img,format=raw"],
        *["--device", f"virtio-net,type=unixgram,fd=7,mac={MAC_ADDRESS}"],
        *["--device", "virtio-vsock,port=22,socketURL=/run/s/vsock-22.sock,connect"],
        *["--device", "virtio-vsock,port=1024,socketURL=/run/s/vsock-1024.sock,connect"],
        *["--device", "virtio-serial,logFilePath=/run/s/serial.log"],
        *["--device", "virtio-rng"],
        *["--restful-uri", "unix:///run/s/rest.sock"],
        "--nested",
    ]


def test_the_seed_never_comes_first(tmp_path: Path) -> None:
    """The first disk is the one that boots."""
    machine = efi_spec(tmp_path)
    turned = msgspec.structs.replace(machine, disks=machine.disks[::-1])
    assert arguments("k", turned, PLACES, card=None) == arguments("k", machine, PLACES, card=None)


def test_nothing_stands_against_an_efi_image(tmp_path: Path) -> None:
    assert said(efi_spec(tmp_path)) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"rosetta": True}, "krunkit has no Rosetta."),
        ({"memory": 61 * GIB}, "krunkit gives a VM at most 60 GiB."),
        ({"shares": (Share("s", Path("/a=b"), False),)}, "krunkit cannot be given a path with = in it: /a=b."),
        ({"shares": (Share("s", Path("/a,b"), False),)}, "krunkit cannot be given a path with a comma in it: /a,b."),
        (
            {"shares": (Share("s", Path("/a"), True),)},
            "krunkit cannot share /a read-only: the guest could write there.",
        ),
        ({"disks": (Disk(Path("/r"), "root", True),)}, "krunkit cannot keep /r from being written."),
    ],
)
def test_each_obstacle_has_its_sentence(tmp_path: Path, changes: dict[str, object], sentence: str) -> None:
    assert said(efi_spec(tmp_path, **changes)) == [sentence]


def test_a_kernel_is_not_booted(tmp_path: Path) -> None:
    assert "krunkit boots EFI images only." in said(spec(tmp_path))


def test_an_old_krunkit_leads_no_vsock_inwards(tmp_path: Path) -> None:
    assert said(efi_spec(tmp_path), (1, 1, 1)) == ["krunkit 1.1.1 is too old: 1.2.0 is needed."]


def test_the_network_helper_asks_for_root_only_where_macos_wants_it() -> None:
    helper = "/opt/vmnet-helper/bin/vmnet-helper"
    plain = [helper, "--fd", "7"]
    assert vmnet.arguments(helper, 7, macos=(26, 0), root=False) == plain
    assert vmnet.arguments(helper, 7, macos=(15, 4), root=True) == plain
    assert vmnet.arguments(helper, 7, macos=(15, 4), root=False) == [
        *["/usr/bin/sudo", "--non-interactive", "--close-from", "8"],
        *plain,
    ]

"""vfkit's command line, whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from snowshed.drivers.vfkit.argv import Found, Places, arguments, problems, socket_problems, version_in
from snowshed.model.machine import Disk, EfiBoot, LinuxBoot, MachineSpec, Network, Share
from snowshed.units import GIB

PLACES = Places(Path("/run/s"))
MAC = "02:da:72:56:00:01"


def machine(**changes: object) -> MachineSpec:
    values: dict[str, object] = {
        "name": "default",
        "arch": "aarch64",
        "cores": 4,
        "memory": 6 * GIB,
        "boot": LinuxBoot(Path("/i/kernel"), Path("/i/initrd"), 'quiet opts=a,b "x"'),
        "disks": (
            Disk(Path("/i/root.img"), "root", True),
            Disk(Path("/s/disk.img"), "data"),
            Disk(Path("/s/seed.img"), "seed", True),
        ),
        "mac": MAC,
        "machine_id": "x",
        **changes,
    }
    return MachineSpec(**values)  # type: ignore[arg-type]


def devices(words: list[str]) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == "--device"]


def test_a_direct_boot_whole() -> None:
    assert arguments("/bin/vfkit", machine(), PLACES, Found(version=(0, 6, 4))) == [
        "/bin/vfkit",
        *["--cpus", "4", "--memory", "6144"],
        *["--kernel", "/i/kernel", "--initrd", "/i/initrd", "--kernel-cmdline", 'quiet opts=a,b "x" console=hvc0'],
        *["--device", "virtio-blk,path=/i/root.img,deviceId=root,readonly"],
        *["--device", "virtio-blk,path=/s/disk.img,deviceId=data"],
        *["--device", "virtio-blk,path=/s/seed.img,deviceId=seed,readonly"],
        *["--device", f"virtio-net,nat,mac={MAC}"],
        *["--device", "virtio-vsock,port=22,socketURL=/run/s/vsock-22.sock,connect"],
        *["--device", "virtio-vsock,port=1024,socketURL=/run/s/vsock-1024.sock,connect"],
        *["--device", "virtio-serial,logFilePath=/run/s/serial.log"],
        *["--device", "virtio-rng", "--device", "virtio-balloon"],
        *["--restful-uri", "unix:///run/s/rest.sock"],
    ]


def test_a_variable_store_is_made_once_and_never_again() -> None:
    """vfkit overwrites an existing one when it is told to make it."""
    efi = machine(boot=EfiBoot(Path("/s/vars.fd")))
    new, old = (arguments("vfkit", efi, PLACES, Found(variables=exists)) for exists in (False, True))
    assert new[5:7] == ["--bootloader", "efi,variable-store=/s/vars.fd,create"]
    assert old[5:7] == ["--bootloader", "efi,variable-store=/s/vars.fd"]


def test_shares_rosetta_and_nested() -> None:
    words = arguments(
        "vfkit",
        machine(shares=(Share("src", Path("/Users/a/src"), False),), rosetta=True, nested=True),
        PLACES,
        Found(),
    )
    assert "virtio-fs,sharedDir=/Users/a/src,mountTag=src" in devices(words)
    assert "rosetta,mountTag=rosetta" in devices(words)
    assert words[-1] == "--nested", "a boolean takes no separate word"


@pytest.mark.parametrize(
    ("network", "card", "expected"),
    [
        (Network.NAT, None, [f"virtio-net,nat,mac={MAC}"]),
        (Network.RESTRICTED, 9, [f"virtio-net,fd=9,mac={MAC}"]),
        (Network.NONE, None, []),
    ],
)
def test_the_network_card(network: Network, card: int | None, expected: list[str]) -> None:
    words = arguments("vfkit", machine(network=network), PLACES, Found(card=card))
    assert [device for device in devices(words) if device.startswith("virtio-net")] == expected


def test_an_old_vfkit_is_not_asked_for_what_it_lacks() -> None:
    assert "virtio-balloon" not in devices(arguments("vfkit", machine(), PLACES, Found(version=(0, 6, 0))))
    assert "virtio-balloon" in devices(arguments("vfkit", machine(), PLACES, Found(version=(0, 6, 1))))


def test_a_path_in_the_rest_address_is_percent_encoded() -> None:
    words = arguments("vfkit", machine(), Places(Path("/run/a b")), Found())
    assert words[-1] == "unix:///run/a%20b/rest.sock"


def said(spec: MachineSpec, version: tuple[int, ...] = (0, 6, 4), writable: bool = True) -> list[str]:
    return [problem.message for problem in problems(spec, version=version, writable=lambda _: writable)]


def test_nothing_stands_against_a_plain_machine() -> None:
    assert said(machine()) == []
    assert said(machine(), version=()) == []


@pytest.mark.parametrize(
    ("changes", "version", "sentence"),
    [
        ({}, (0, 5, 1), "vfkit 0.5.1 is too old: 0.6.0 is needed."),
        ({"nested": True}, (0, 6, 1), "vfkit 0.6.1 has no nested virtualisation: 0.6.2 does."),
        ({"disks": (Disk(Path("/a,b"), "data"),)}, (0, 6, 4), "vfkit cannot be given a path with a comma in it: /a,b."),
        ({"boot": EfiBoot(Path("/v,1"))}, (0, 6, 4), "vfkit cannot be given a path with a comma in it: /v,1."),
        (
            {"shares": (Share("s", Path("/a"), True),)},
            (0, 6, 4),
            "vfkit cannot share /a read-only: the guest could write there.",
        ),
    ],
)
def test_each_obstacle_has_its_sentence(changes: dict[str, object], version: tuple[int, ...], sentence: str) -> None:
    assert said(machine(**changes), version) == [sentence]


def test_a_comma_in_the_kernels_path_is_no_obstacle() -> None:
    assert said(machine(boot=LinuxBoot(Path("/a,b"), Path("/c,d"), ""))) == []


def test_the_hosts_store_may_be_shared_by_who_cannot_write_in_it() -> None:
    store = machine(shares=(Share("nix-store", Path("/nix/store"), True),))
    assert said(store, writable=False) == []
    assert said(store, writable=True) == ["vfkit cannot share /nix/store read-only: the guest could write there."]


@pytest.mark.parametrize("folder", ["/run/" + "x" * 90, "/run/with space", "/run/a,b", "/run/ä"])
def test_sockets_that_could_not_be_made_are_refused(folder: str) -> None:
    found = socket_problems(Places(Path(folder)), program="vfkit")
    assert [problem.message for problem in found] == [f"vfkit cannot have a socket at {folder}/rest.sock."]


def test_plain_sockets_are_fine_to_the_last_byte() -> None:
    longest = "/" + "x" * (103 - len("/" + "/vsock-1024.sock"))
    assert socket_problems(Places(Path(longest)), program="vfkit") == []
    assert socket_problems(Places(Path(longest + "x")), program="vfkit") != []


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("vfkit version: v0.6.4\n", (0, 6, 4)),
        ("vfkit version: 0.6.1", (0, 6, 1)),
        ("vfkit version: v0.6.4-12-gb2bc27e", (0, 6, 4)),
        ("vfkit version: (devel)", ()),
        ("", ()),
    ],
)
def test_the_version_is_read(text: str, version: tuple[int, ...]) -> None:
    assert version_in(text) == version

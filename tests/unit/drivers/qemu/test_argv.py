"""The command line of a QEMU, compared as a whole and by what it must and must not say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from specs import linux_spec

from snowshed.drivers.qemu.argv import Engine, Firmware, Wiring, arguments, kernel_command_line
from snowshed.model.machine import Accelerator, Arch, Disk, EfiBoot, LinuxBoot, MachineSpec, Network, Share

WIRING = Wiring(monitor=3, console=4, agent=5)


def engine(accelerator: Accelerator = Accelerator.TCG, **more: Any) -> Engine:
    return Engine("/bin/qemu", (7, 2, 0), accelerator, **more)


def pairs(argv: list[str]) -> list[tuple[str, str]]:
    """Each option with what follows it."""
    return [(word, argv[index + 1]) for index, word in enumerate(argv[:-1]) if word.startswith("-")]


def values(argv: list[str], option: str) -> list[str]:
    return [value for name, value in pairs(argv) if name == option]


def value(argv: list[str], option: str, containing: str = "") -> str:
    found = [text for text in values(argv, option) if containing in text]
    assert len(found) == 1, f"{option} …{containing}…: {found}"
    return found[0]


def test_the_whole_command_line_of_an_emulated_x86_guest() -> None:
    spec = MachineSpec(
        name="default",
        arch=Arch.X86_64,
        cores=2,
        memory=2 << 30,
        boot=LinuxBoot(Path("/i/kernel"), Path("/i/initrd"), "quiet root=LABEL=x"),
        disks=(Disk(Path("/i/root"), "root", read_only=True), Disk(Path("/s/a,b/disk.img"), "data")),
        mac="52:54:00:00:00:01",
        machine_id="0123456789abcdef0123456789abcdef",
    )
    drives = {
        "root": '{"driver": "raw", "node-name": "root", "file": {"driver": "file", "filename": "/i/root", '
        '"read-only": true, "discard": "ignore", "cache": {"direct": false, "no-flush": false}}, '
        '"read-only": true, "discard": "ignore", "cache": {"direct": false, "no-flush": false}}',
        "data": '{"driver": "raw", "node-name": "data", "file": {"driver": "file", "filename": "/s/a,b/disk.img", '
        '"read-only": false, "discard": "unmap", "cache": {"direct": false, "no-flush": false}}, '
        '"read-only": false, "discard": "unmap", "cache": {"direct": false, "no-flush": false}}',
    }
    assert arguments(spec, engine(), WIRING) == [
        "/bin/qemu",
        *["-name", "default", "-uuid", "01234567-89ab-cdef-0123-456789abcdef"],
        *["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-action", "panic=shutdown"],
        *["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"],
        *["-machine", "q35,vmport=off,smm=off,sata=off,smbus=off,dump-guest-core=off,memory-backend=ram"],
        *["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2"],
        *["-object", "memory-backend-ram,id=ram,size=2048M", "-m", "2048M"],
        *["-kernel", "/i/kernel", "-initrd", "/i/initrd", "-append"],
        "quiet root=LABEL=x console=ttyS0 panic=-1 mitigations=off norandmaps tsc=reliable no_timer_check",
        *["-chardev", "socket,id=monitor,fd=3", "-mon", "chardev=monitor,mode=control"],
        *["-chardev", "socket,id=console,fd=4", "-serial", "chardev:console"],
        *["-device", "virtio-serial-pci,id=channels,disable-legacy=on,max_ports=2", "-chardev", "socket,id=agent,fd=5"],
        *["-device", "virtserialport,bus=channels.0,chardev=agent,name=org.qemu.guest_agent.0"],
        *["-blockdev", drives["root"]],
        *["-device", "virtio-blk-pci,id=disk-root,drive=root,serial=root,disable-legacy=on"],
        *["-blockdev", drives["data"], "-device"],
        "virtio-blk-pci,id=disk-data,drive=data,serial=data,disable-legacy=on,werror=stop,rerror=stop",
        *["-netdev", "user,id=net,ipv6=off,restrict=off,hostfwd=tcp:127.0.0.1:0-10.0.2.15:22"],
        *["-device", "virtio-net-pci,netdev=net,mac=52:54:00:00:00:01,romfile=,disable-legacy=on"],
        *["-object", "rng-builtin,id=rng", "-device", "virtio-rng-pci,rng=rng,disable-legacy=on"],
        *["-device", "virtio-balloon-pci,id=balloon,free-page-reporting=on,deflate-on-oom=on,disable-legacy=on"],
        *["-device", "pvpanic-pci"],
    ]


@pytest.mark.parametrize(
    ("arch", "accelerator", "version", "cpu", "machine"),
    [
        (Arch.X86_64, Accelerator.TCG, (7, 2, 0), "max", "q35"),
        (Arch.X86_64, Accelerator.KVM, (7, 2, 0), "host", "q35"),
        (Arch.AARCH64, Accelerator.TCG, (7, 2, 0), "max,pauth-impdef=on", "virt,gic-version=max"),
        (Arch.AARCH64, Accelerator.KVM, (7, 2, 0), "host", "virt,gic-version=max"),
        (Arch.AARCH64, Accelerator.HVF, (7, 2, 0), "host", "virt,dump"),
        (Arch.AARCH64, Accelerator.HVF, (9, 0, 0), "host", "virt,gic-version=3"),
    ],
)
def test_machine_and_processor_follow_architecture_and_accelerator(
    tmp_path: Path, arch: Arch, accelerator: Accelerator, version: tuple[int, int, int], cpu: str, machine: str
) -> None:
    argv = arguments(linux_spec(tmp_path, arch=arch), Engine("qemu", version, accelerator), WIRING)
    assert value(argv, "-cpu") == cpu
    assert value(argv, "-machine").startswith(machine)
    assert value(argv, "-accel").split(",")[0] == accelerator


@pytest.mark.parametrize("arch", list(Arch))
@pytest.mark.parametrize("accelerator", [Accelerator.TCG, Accelerator.KVM])
def test_what_only_emulation_may_leave_out_is_left_out_only_there(
    tmp_path: Path, arch: Arch, accelerator: Accelerator
) -> None:
    spec = linux_spec(tmp_path, arch=arch)
    assert isinstance(spec.boot, LinuxBoot)
    words = kernel_command_line(spec, spec.boot, engine(accelerator)).split()
    assert ("mitigations=off" in words) == (accelerator is Accelerator.TCG)
    assert ("tsc=reliable" in words) == (accelerator is Accelerator.TCG and arch is Arch.X86_64)
    assert ("arm64.nopauth" in words) == (accelerator is Accelerator.TCG and arch is Arch.AARCH64)
    assert "panic=-1" in words


def test_the_console_that_the_kernel_is_told_is_the_one_that_qemu_has(tmp_path: Path) -> None:
    for arch, console in ((Arch.X86_64, "ttyS0"), (Arch.AARCH64, "ttyAMA0")):
        argv = arguments(linux_spec(tmp_path, arch=arch), engine(), WIRING)
        assert f"console={console}" in value(argv, "-append").split()
        assert value(argv, "-serial") == "chardev:console"


@pytest.mark.parametrize(("network", "restrict"), [("nat", "off"), ("restricted", "on"), ("none", "on")])
def test_the_network_setting_restricts_the_network_and_keeps_ssh(tmp_path: Path, network: str, restrict: str) -> None:
    argv = arguments(linux_spec(tmp_path, network=Network(network)), engine(), WIRING)
    assert f"restrict={restrict}," in value(argv, "-netdev")
    assert "hostfwd=tcp:127.0.0.1:0-" in value(argv, "-netdev")


@pytest.mark.parametrize(("network", "cards"), [("nat", 1), ("restricted", 1), ("none", 0)])
def test_with_vsock_a_guest_without_network_has_no_card(tmp_path: Path, network: str, cards: int) -> None:
    wiring = Wiring(3, 4, 5, vsock=(9, 77777))
    argv = arguments(linux_spec(tmp_path, network=Network(network)), engine(), wiring)
    assert value(argv, "-device", "vsock") == "vhost-vsock-pci,vhostfd=9,guest-cid=77777,disable-legacy=on"
    assert len(values(argv, "-netdev")) == cards
    assert len([device for device in values(argv, "-device") if device.startswith("virtio-net")]) == cards


def test_no_disk_ignores_flushes_and_writable_ones_stop_the_machine_on_errors(tmp_path: Path) -> None:
    argv = arguments(linux_spec(tmp_path), engine(), WIRING)
    nodes = {node["node-name"]: node for node in map(json.loads, values(argv, "-blockdev"))}
    assert {name: node["read-only"] for name, node in nodes.items()} == {"root": True, "data": False}
    for node in nodes.values():
        assert (node["cache"]["no-flush"], node["file"]["cache"]["no-flush"]) == (False, False)
    assert "werror=stop,rerror=stop" in value(argv, "-device", "serial=data")
    assert "error" not in value(argv, "-device", "serial=root")


def test_memory_is_shared_only_with_a_share(tmp_path: Path) -> None:
    shares = (Share("nix-store", tmp_path), Share("work", tmp_path, read_only=False))
    private = arguments(linux_spec(tmp_path), engine(), WIRING)
    shared = arguments(
        linux_spec(tmp_path, shares=shares), engine(), Wiring(3, 4, 5, shares={"nix-store": 6, "work": 7}, ram=8)
    )
    assert value(private, "-object", "id=ram") == "memory-backend-ram,id=ram,size=512M"
    assert (
        value(shared, "-object", "id=ram") == "memory-backend-file,id=ram,share=on,mem-path=/proc/self/fd/8,size=512M"
    )
    assert values(private, "-device") == values(shared, "-device")[: len(values(private, "-device"))]
    assert values(shared, "-device")[-4:] == [
        "pcie-root-port,id=port1,chassis=1",
        "vhost-user-fs-pci,id=share-1,bus=port1,chardev=share1,tag=nix-store",
        "pcie-root-port,id=port2,chassis=2",
        "vhost-user-fs-pci,id=share-2,bus=port2,chardev=share2,tag=work",
    ]


def test_a_machine_that_loads_its_memory_waits_for_it_paused_and_is_otherwise_the_same(tmp_path: Path) -> None:
    spec = linux_spec(tmp_path)
    assert arguments(spec, engine(), WIRING, incoming=True) == [
        *arguments(spec, engine(), WIRING),
        *["-S", "-incoming", "defer"],
    ]


def test_the_sandbox_exists_on_linux_alone(tmp_path: Path) -> None:
    spec = linux_spec(tmp_path)
    assert "-sandbox" in arguments(spec, engine(), WIRING)
    assert "-sandbox" not in arguments(spec, engine(platform="darwin"), WIRING)


def test_efi_boots_from_flash_that_keeps_its_variables(tmp_path: Path) -> None:
    spec = linux_spec(tmp_path, boot=EfiBoot(tmp_path / "variables"))
    argv = arguments(spec, engine(firmware=Firmware(Path("/fw/code"), Path("/fw/vars"))), WIRING)
    assert "-kernel" not in argv
    nodes = {node["node-name"]: node for node in map(json.loads, values(argv, "-blockdev"))}
    assert nodes["efi-code"]["file"]["filename"] == "/fw/code"
    assert nodes["efi-variables"]["file"]["filename"] == str(tmp_path / "variables")
    assert (nodes["efi-code"]["read-only"], nodes["efi-variables"]["read-only"]) == (True, False)
    assert "pflash0=efi-code,pflash1=efi-variables" in values(argv, "-machine")


@pytest.mark.parametrize(("serials", "booted"), [(("data", "root"), "root"), (("data", "seed"), "data")])
def test_firmware_boots_the_root_disk_or_else_the_first(tmp_path: Path, serials: tuple[str, ...], booted: str) -> None:
    disks = tuple(Disk(tmp_path / serial, serial) for serial in serials)
    spec = linux_spec(tmp_path, boot=EfiBoot(tmp_path / "variables"), disks=disks)
    argv = arguments(spec, engine(firmware=Firmware(Path("/fw/code"), Path("/fw/vars"))), WIRING)
    assert f"serial={booted}," in value(argv, "-device", "bootindex=0")

"""Which devices a machine gets on which Mac, decided and assembled."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from fakes.machines import INTEL, M1, M3, MAC_ADDRESS, efi_spec, spec
from fakes.vz.standin import StandIn

from snowshed.drivers.mac import Mac
from snowshed.drivers.vz.assemble import Assembled, Inherited, assemble
from snowshed.drivers.vz.configuration import Configuration, Rosetta, configuration, save_blocker
from snowshed.drivers.vz.framework import FrameworkError
from snowshed.model.machine import Arch, Disk, Network, Share
from snowshed.network.card import card_pair
from snowshed.units import MIB

M1_13 = Mac((13, 0), Arch.AARCH64, 1)


def test_a_plain_machine_whole(tmp_path: Path) -> None:
    machine = spec(tmp_path)
    assert configuration(machine, M3, exists=lambda _: False) == Configuration(
        cores=2,
        memory=512 * MIB,
        disks=machine.disks,
        shares=(),
        mac=MAC_ADDRESS,
        card="nat",
        kernel=tmp_path / "kernel",
        initrd=tmp_path / "initrd",
        command_line="quiet init=/init console=hvc0",
    )


def test_an_efi_machine_makes_its_variables_once(tmp_path: Path) -> None:
    machine = efi_spec(tmp_path)
    new, old = (configuration(machine, M3, exists=lambda _: there) for there in (False, True))  # noqa: B023
    assert (new.variables, new.new_variables, new.kernel) == (tmp_path / "variables.fd", True, None)
    assert old.new_variables is False


@pytest.mark.parametrize(
    ("mac", "rosetta"), [(M1, Rosetta("rosetta", True)), (M1_13, Rosetta("rosetta", False)), (INTEL, None)]
)
def test_rosettas_cache_came_with_macos_14(tmp_path: Path, mac: Mac, rosetta: Rosetta | None) -> None:
    assert configuration(spec(tmp_path, rosetta=True), mac, exists=bool).rosetta == rosetta


@pytest.mark.parametrize(
    ("network", "card"), [(Network.NAT, "nat"), (Network.RESTRICTED, "dead-end"), (Network.NONE, "")]
)
def test_the_network_card(tmp_path: Path, network: Network, card: str) -> None:
    assert configuration(spec(tmp_path, network=network), M1, exists=bool).card == card


def test_what_forbids_saving_is_named(tmp_path: Path) -> None:
    plain = spec(tmp_path)
    assert save_blocker(plain, M1) == ""
    assert save_blocker(plain, INTEL) == "Intel Macs cannot save VMs"
    assert save_blocker(plain, M1_13) == "saving VMs came with macOS 14"
    assert save_blocker(spec(tmp_path, shares=(Share("src", tmp_path),)), M1) == "the shared directory src"
    assert save_blocker(spec(tmp_path, rosetta=True), M1) == "the Rosetta share"


class Bench:
    """A stand-in and what was assembled in it."""

    def __init__(self, macos: str = "15.0", *, chip: int = 1, faults: tuple[str, ...] = ()) -> None:
        self.standin = StandIn(macos, chip=chip, faults=faults)
        self.framework = self.standin.framework()

    def assemble(self, wanted: Configuration, identifier: bytes | None = None) -> Assembled:
        guest, host = card_pair()
        with guest, host, Path(os.devnull).open("wb") as console:
            return assemble(self.framework, wanted, Inherited(console.fileno(), guest.fileno()), identifier)

    def devices(self, kind: str) -> list[dict[str, object]]:
        return [device.values for device in self.standin.configuration.values[kind]]


def test_everything_that_was_wanted_is_set(tmp_path: Path) -> None:
    machine = spec(
        tmp_path, shares=(Share("src", tmp_path, False), Share("nix-store", tmp_path, True)), rosetta=True, nested=True
    )
    bench = Bench(chip=3)
    bench.assemble(configuration(machine, M3, exists=bool))
    values = bench.standin.configuration.values
    assert (values["CPUCount"], values["memorySize"]) == (2, 512 * MIB)
    assert values["platform"].values["nested"] is True
    boot = values["bootLoader"].values
    assert (boot["kernelURL"].path(), boot["initialRamdiskURL"].path(), boot["commandLine"]) == (
        f"{tmp_path}/kernel",
        f"{tmp_path}/initrd",
        "quiet init=/init console=hvc0",
    )
    disks = [(device["identifier"], device["attachment"].values) for device in bench.devices("storageDevices")]  # type: ignore[attr-defined]
    cached, fsync = 2, 2
    assert disks == [
        (serial, {"path": f"{tmp_path}/{name}", "read_only": fixed, "caching": cached, "synchronization": fsync})
        for serial, name, fixed in (("root", "root.img", True), ("data", "disk.img", False), ("seed", "seed.img", True))
    ]
    shares = [(device["tag"], type(device["share"]).__name__) for device in bench.devices("directorySharingDevices")]
    assert shares == [
        ("src", "VZSingleDirectoryShare"),
        ("nix-store", "VZSingleDirectoryShare"),
        ("rosetta", "VZLinuxRosettaDirectoryShare"),
    ]
    folders = [device["share"].values["directory"].values for device in bench.devices("directorySharingDevices")[:2]]  # type: ignore[attr-defined]
    assert [folder["readOnly"] for folder in folders] == [False, True]
    (card,) = bench.devices("networkDevices")
    assert card["MACAddress"].values["string"] == MAC_ADDRESS  # type: ignore[attr-defined]
    assert [
        len(values[kind]) for kind in ("serialPorts", "socketDevices", "memoryBalloonDevices", "entropyDevices")
    ] == [1] * 4


def test_the_machines_identity_is_kept(tmp_path: Path) -> None:
    wanted = configuration(spec(tmp_path), M1, exists=bool)
    first = Bench().assemble(wanted)
    assert Bench().assemble(wanted, first.identifier).identifier == first.identifier
    assert Bench().assemble(wanted).identifier != first.identifier
    broken = Bench().assemble(wanted, b"half a line")
    assert broken.notes == ["The machine's identifier could not be read and was made anew."]


@pytest.mark.parametrize(
    ("macos", "suspend", "entropy", "blocker"),
    [
        ("13.0", False, 1, "saving VMs came with macOS 14"),
        ("14.5", True, 0, ""),
        ("15.0", True, 1, ""),
    ],
)
def test_saving_is_made_possible_where_it_is(
    tmp_path: Path, macos: str, suspend: bool, entropy: int, blocker: str
) -> None:
    """macOS 14 saves no machine with an entropy device: then it goes without."""
    bench = Bench(macos)
    mac = Mac(tuple(int(part) for part in macos.split(".")), Arch.AARCH64, 1)
    assembled = bench.assemble(configuration(spec(tmp_path), mac, exists=bool))
    assert (assembled.suspend, assembled.blocker) == (suspend, blocker)
    assert len(bench.devices("entropyDevices")) == entropy
    assert len(assembled.notes) == (1 if entropy == 0 else 0)


def test_a_share_forbids_saving_and_costs_no_entropy(tmp_path: Path) -> None:
    bench = Bench("14.5")
    assembled = bench.assemble(configuration(spec(tmp_path, shares=(Share("src", tmp_path),)), M1, exists=bool))
    assert (assembled.suspend, assembled.blocker) == (False, "Unsupported directory sharing device.")
    assert len(bench.devices("entropyDevices")) == 1


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"cores": 9}, "The CPU count is out of bounds."),
        ({"memory": MIB}, "The memory size is out of bounds."),
        ({"mac": "not a card"}, "not a card is not a hardware address"),
        ({"shares": (Share("x" * 36, Path("/tmp")),)}, "The tag is empty or too long."),
        (
            {"shares": (Share("x", Path("/tmp")), Share("x", Path("/tmp")))},
            "Two directory sharing devices have the same tag.",
        ),
        ({"disks": (Disk(Path("/nowhere/disk.img"), "data"),)}, "The file disk.img does not exist."),
    ],
)
def test_what_the_framework_refuses_is_its_error(tmp_path: Path, changes: dict[str, object], text: str) -> None:
    with pytest.raises(FrameworkError) as caught:
        Bench().assemble(configuration(spec(tmp_path, **changes), M1, exists=bool))
    assert caught.value.text == text


def test_rosetta_that_is_missing_is_the_frameworks_error(tmp_path: Path) -> None:
    with pytest.raises(FrameworkError, match="Rosetta is not installed"):
        Bench(faults=("rosetta-missing",)).assemble(configuration(spec(tmp_path, rosetta=True), M1, exists=bool))


def test_descriptors_are_given_away_as_copies(tmp_path: Path) -> None:
    """The caller closes its own, and the VM's live as long as what was assembled."""

    async def run() -> None:
        bench = Bench()
        reading, writing = os.pipe()
        assembled = assemble(bench.framework, configuration(spec(tmp_path), M1, exists=bool), Inherited(writing))
        os.close(writing)
        os.write(assembled.keep[0].descriptor, b"x")
        assert os.read(reading, 1) == b"x"
        assembled.keep.clear()
        assert os.read(reading, 1) == b"", "nobody else holds it open"
        os.close(reading)

    asyncio.run(run())

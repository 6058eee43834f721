"""From a `Configuration` to the framework's own objects. Nothing is decided here but what only the framework knows."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

from .configuration import Configuration
from .framework import Framework, FrameworkError, made


@dataclass
class Assembled:
    """A valid configuration. `keep` has what the framework does not keep alive itself; `identifier` is the machine's.

    `suspend`: the framework will save this machine; else `blocker` has its reason. `notes` are for people.
    """

    configuration: Any
    identifier: bytes
    suspend: bool = False
    blocker: str = ""
    notes: list[str] = field(default_factory=list)
    keep: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Inherited:
    """Descriptors of the process that become the VM's: duplicates are given away, these stay the caller's."""

    console: int
    card: int | None = None


def assemble(
    framework: Framework, wanted: Configuration, inherited: Inherited, identifier: bytes | None = None
) -> Assembled:
    """The machine that is `wanted`, validated. Raises `FrameworkError`."""
    vz = framework.virtualization
    machine = vz.VZVirtualMachineConfiguration.new()
    assembled = Assembled(machine, b"")
    machine.setCPUCount_(wanted.cores)
    machine.setMemorySize_(wanted.memory)
    machine.setPlatform_(_platform(framework, wanted, identifier, assembled))
    machine.setBootLoader_(_boot_loader(framework, wanted))
    machine.setStorageDevices_([_disk(framework, disk) for disk in wanted.disks])
    machine.setNetworkDevices_(_cards(framework, wanted, inherited, assembled))
    machine.setDirectorySharingDevices_(_shares(framework, wanted))
    machine.setSerialPorts_([_console(framework, inherited, assembled)])
    machine.setSocketDevices_([vz.VZVirtioSocketDeviceConfiguration.new()])
    machine.setMemoryBalloonDevices_([vz.VZVirtioTraditionalMemoryBalloonDeviceConfiguration.new()])
    machine.setEntropyDevices_([vz.VZVirtioEntropyDeviceConfiguration.new()] if wanted.entropy else [])
    made(machine.validateWithError_(None))
    if wanted.unsavable:
        assembled.blocker = wanted.unsavable
    else:
        _find_out_whether_it_can_be_saved(framework, assembled)
    return assembled


def _platform(framework: Framework, wanted: Configuration, identifier: bytes | None, assembled: Assembled) -> Any:
    """The generic platform under the machine's own identifier: memory saved under another is refused."""
    vz = framework.virtualization
    platform = vz.VZGenericPlatformConfiguration.new()
    known = None
    if identifier is not None:
        known = vz.VZGenericMachineIdentifier.alloc().initWithDataRepresentation_(identifier)
        if known is None:
            assembled.notes.append("The machine's identifier could not be read and was made anew.")
    if known is None:
        known = vz.VZGenericMachineIdentifier.new()
    platform.setMachineIdentifier_(known)
    assembled.identifier = bytes(known.dataRepresentation())
    if wanted.nested:
        platform.setNestedVirtualizationEnabled_(True)
    return platform


def _boot_loader(framework: Framework, wanted: Configuration) -> Any:
    vz = framework.virtualization
    if wanted.variables is None:
        linux = vz.VZLinuxBootLoader.alloc().initWithKernelURL_(framework.url(wanted.kernel))
        linux.setInitialRamdiskURL_(framework.url(wanted.initrd))
        linux.setCommandLine_(wanted.command_line)
        return linux
    allocated, url = vz.VZEFIVariableStore.alloc(), framework.url(wanted.variables)
    if wanted.new_variables:
        store = made(allocated.initCreatingVariableStoreAtURL_options_error_(url, 0, None))
    else:
        store = allocated.initWithURL_(url)
    efi = vz.VZEFIBootLoader.new()
    efi.setVariableStore_(store)
    return efi


def _disk(framework: Framework, disk: Any) -> Any:
    """Cached, and a guest's flush is an fsync: with the default of automatic caching Linux file systems were
    corrupted on Apple silicon (UTM issue 4840)."""
    vz = framework.virtualization
    attachment = made(
        vz.VZDiskImageStorageDeviceAttachment.alloc().initWithURL_readOnly_cachingMode_synchronizationMode_error_(
            framework.url(disk.path),
            disk.read_only,
            vz.VZDiskImageCachingModeCached,
            vz.VZDiskImageSynchronizationModeFsync,
            None,
        )
    )
    device = vz.VZVirtioBlockDeviceConfiguration.alloc().initWithAttachment_(attachment)
    device.setBlockDeviceIdentifier_(disk.serial)
    return device


def _cards(framework: Framework, wanted: Configuration, inherited: Inherited, assembled: Assembled) -> list[Any]:
    vz = framework.virtualization
    if not wanted.card:
        return []
    address = vz.VZMACAddress.alloc().initWithString_(wanted.mac)
    if address is None:
        raise FrameworkError("VZErrorDomain", 2, f"{wanted.mac} is not a hardware address")
    if wanted.card == "nat":
        attachment = vz.VZNATNetworkDeviceAttachment.new()
    else:
        handle = _handle(framework, inherited.card, assembled)
        attachment = vz.VZFileHandleNetworkDeviceAttachment.alloc().initWithFileHandle_(handle)
    card = vz.VZVirtioNetworkDeviceConfiguration.new()
    card.setAttachment_(attachment)
    card.setMACAddress_(address)
    return [card]


def _shares(framework: Framework, wanted: Configuration) -> list[Any]:
    vz = framework.virtualization
    devices = []
    for share in wanted.shares:
        folder = vz.VZSharedDirectory.alloc().initWithURL_readOnly_(framework.url(share.path), share.read_only)
        devices.append(_share(framework, share.tag, vz.VZSingleDirectoryShare.alloc().initWithDirectory_(folder)))
    if wanted.rosetta is not None:
        rosetta = made(vz.VZLinuxRosettaDirectoryShare.alloc().initWithError_(None))
        if wanted.rosetta.cached:
            rosetta.setOptions_(vz.VZLinuxRosettaUnixSocketCachingOptions.new())
        devices.append(_share(framework, wanted.rosetta.tag, rosetta))
    return devices


def _share(framework: Framework, tag: str, share: Any) -> Any:
    kind = framework.virtualization.VZVirtioFileSystemDeviceConfiguration
    made(kind.validateTag_error_(tag, None))
    device = kind.alloc().initWithTag_(tag)
    device.setShare_(share)
    return device


def _console(framework: Framework, inherited: Inherited, assembled: Assembled) -> Any:
    """A console that is only ever read: nothing is typed into a builder."""
    vz = framework.virtualization
    handle = _handle(framework, inherited.console, assembled)
    attachment = vz.VZFileHandleSerialPortAttachment.alloc().initWithFileHandleForReading_fileHandleForWriting_(
        None, handle
    )
    port = vz.VZVirtioConsoleDeviceSerialPortConfiguration.new()
    port.setAttachment_(attachment)
    return port


def _handle(framework: Framework, descriptor: int | None, assembled: Assembled) -> Any:
    """The framework does not keep a handle alive, and an early close reads as an invalid attachment."""
    if descriptor is None:
        raise FrameworkError("VZErrorDomain", 2, "a descriptor is missing")
    handle = framework.handle(os.dup(descriptor))
    assembled.keep.append(handle)
    return handle


def _find_out_whether_it_can_be_saved(framework: Framework, assembled: Assembled) -> None:
    """Ask the framework. macOS 14 refuses a machine with an entropy device (UTM issue 5659): then that is left out, and
    the guest's kernel gathers randomness without it."""
    machine = assembled.configuration
    possible, error = machine.validateSaveRestoreSupportWithError_(None)
    if not possible:
        entropy = machine.entropyDevices()
        machine.setEntropyDevices_([])
        possible, _ = machine.validateSaveRestoreSupportWithError_(None)
        if possible:
            assembled.notes.append("The guest has no entropy device: with one, this macOS could not save its memory.")
        else:
            machine.setEntropyDevices_(entropy)
            assembled.blocker = str(error.localizedDescription()) if error is not None else "macOS gives no reason"
    assembled.suspend = bool(possible)

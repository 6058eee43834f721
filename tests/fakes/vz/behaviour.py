"""What the configuration classes do beyond keeping what was set: the framework's rules, as far as they are known."""

from __future__ import annotations

import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

from .foundation import NSError
from .strict import Object, weak

DOMAIN = "VZErrorDomain"
INVALID, INVALID_STATE, TRANSITION, DISK_IMAGE, NOT_SUPPORTED, SAVE, RESTORE = 2, 3, 4, 5, 10, 11, 12
MIB = 1 << 20
MOST_CORES, LEAST_MEMORY, MOST_MEMORY = 8, 4 * MIB, 16 << 30
ENTITLEMENT = (
    "Invalid virtual machine configuration. "
    'The process doesn\'t have the "com.apple.security.virtualization" entitlement.'
)


class Configuration(Object):
    """``VZVirtualMachineConfiguration``"""

    @staticmethod
    def do_maximumAllowedCPUCount() -> int:  # noqa: N802
        return MOST_CORES

    @staticmethod
    def do_minimumAllowedMemorySize() -> int:  # noqa: N802
        return LEAST_MEMORY

    @staticmethod
    def do_maximumAllowedMemorySize() -> int:  # noqa: N802
        return MOST_MEMORY

    def do_validateWithError_(self, _: None) -> tuple[bool, NSError | None]:  # noqa: N802
        problem = self.problem()
        return (problem is None, self.standin.error(DOMAIN, INVALID, problem) if problem else None)

    def problem(self) -> str | None:
        """Why this is no valid configuration."""
        values = self.values
        memory = values.get("memorySize", LEAST_MEMORY)
        tags = [device.values["tag"] for device in values.get("directorySharingDevices", [])]
        wrong = {
            ENTITLEMENT: "no-entitlement" in self.standin.faults,
            "The balloon is not round.": "validate-fails" in self.standin.faults,
            "A boot loader must be set.": values.get("bootLoader") is None,
            "The CPU count is out of bounds.": not 1 <= values.get("CPUCount", 1) <= MOST_CORES,
            "The memory size is out of bounds.": not LEAST_MEMORY <= memory <= MOST_MEMORY,
            "The memory size is no multiple of 1 MB.": memory % MIB != 0,
            "Two directory sharing devices have the same tag.": len(tags) != len(set(tags)),
            "A directory sharing device has no share.": not self._complete("directorySharingDevices", "share"),
            "A device has no attachment.": not self._complete("networkDevices", "attachment")
            or not self._complete("serialPorts", "attachment"),
            "A file handle has been closed.": not self._attached(),
        }
        return next((sentence for sentence, applies in wrong.items() if applies), None)

    def _complete(self, devices: str, part: str) -> bool:
        return all(device.values.get(part) is not None for device in self.values.get(devices, []))

    def _attached(self) -> bool:
        devices = (*self.values.get("networkDevices", []), *self.values.get("serialPorts", []))
        attachments = [device.values.get("attachment") for device in devices]
        return all(getattr(attachment, "alive", lambda: True)() for attachment in attachments)

    def do_validateSaveRestoreSupportWithError_(self, _: None) -> tuple[bool, NSError | None]:  # noqa: N802
        problem = self.unsavable()
        return (problem is None, self.standin.error(DOMAIN, NOT_SUPPORTED, problem) if problem else None)

    def unsavable(self) -> str | None:
        if self.values.get("directorySharingDevices"):
            return "Unsupported directory sharing device."
        if self.values.get("entropyDevices") and self.standin.version < (15,):
            return "Unsupported entropy device."
        return None


class MachineIdentifier(Object):
    """``VZGenericMachineIdentifier``: opaque bytes."""

    PREFIX = b"standin-identifier:"

    def do_initWithDataRepresentation_(self, data: bytes) -> MachineIdentifier | None:  # noqa: N802
        if not data.startswith(self.PREFIX):
            return None
        self.values["data"] = data
        return self

    def do_dataRepresentation(self) -> bytes:  # noqa: N802
        return self.values.setdefault("data", self.PREFIX + uuid.uuid4().bytes)


class Platform(Object):
    @staticmethod
    def do_isNestedVirtualizationSupported() -> bool:  # noqa: N802
        return False

    def do_setNestedVirtualizationEnabled_(self, enabled: bool) -> None:  # noqa: N802
        if enabled and not type(self).do_isNestedVirtualizationSupported():
            raise ValueError("NSInvalidArgumentException - Nested virtualization is not supported.")
        self.values["nested"] = enabled


class NestingPlatform(Platform):
    """On an M3 and later."""

    @staticmethod
    def do_isNestedVirtualizationSupported() -> bool:  # noqa: N802
        return True


class MacAddress(Object):
    def do_initWithString_(self, text: str) -> MacAddress | None:  # noqa: N802
        if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
            return None
        self.values["string"] = text
        return self


class DiskImage(Object):
    def do_initWithURL_readOnly_cachingMode_synchronizationMode_error_(  # noqa: N802
        self, url: Any, read_only: bool, caching: int, synchronization: int, _: None
    ) -> tuple[DiskImage | None, NSError | None]:
        path = Path(url.path())
        if not path.is_file():
            return None, self.standin.error("NSCocoaErrorDomain", 260, f"The file {path.name} does not exist.")
        with path.open("rb") as file:
            magic = file.read(4)
        if path.stat().st_size % 512 or magic == b"QFI\xfb":
            return None, self.standin.error(
                DOMAIN, DISK_IMAGE, "Invalid disk image.", "The disk image format is not recognized."
            )
        self.values.update(path=str(path), read_only=read_only, caching=caching, synchronization=synchronization)
        return self, None


class BlockDevice(Object):
    def do_setBlockDeviceIdentifier_(self, name: str) -> None:  # noqa: N802
        if not name.isascii() or len(name) > 20:
            raise ValueError("NSInvalidArgumentException - The block device identifier is not valid.")
        self.values["identifier"] = name


class FileSystemDevice(Object):
    @classmethod
    def do_validateTag_error_(cls, tag: str, _: None) -> tuple[bool, NSError | None]:  # noqa: N802
        if 0 < len(tag.encode()) < 36:
            return True, None
        return False, cls.standin.error(DOMAIN, INVALID, "The tag is empty or too long.")


class HandleAttachment(Object):
    """An attachment that uses a handle without keeping it: whoever made the handle has to."""

    def hold(self, handle: Any) -> None:
        self.__dict__["_handle"] = weak(handle)

    def alive(self) -> bool:
        return self.__dict__["_handle"]() is not None

    def write(self, data: bytes) -> None:
        handle = self.__dict__["_handle"]()
        if handle is None:
            self.standin.violations.append("a file handle was let go while the VM used it")
            return
        os.write(handle.descriptor, data)


class SerialAttachment(HandleAttachment):
    def do_initWithFileHandleForReading_fileHandleForWriting_(  # noqa: N802
        self, reading: Any, writing: Any
    ) -> SerialAttachment:
        assert reading is None, "nothing is typed into a builder"
        self.hold(writing)
        return self


class NetworkAttachment(HandleAttachment):
    def do_initWithFileHandle_(self, handle: Any) -> NetworkAttachment:  # noqa: N802
        if not stat.S_ISSOCK(os.fstat(handle.descriptor).st_mode):
            raise ValueError("NSInvalidArgumentException - A connected datagram socket is needed.")
        self.hold(handle)
        return self


class VariableStore(Object):
    def do_initWithURL_(self, url: Any) -> VariableStore:  # noqa: N802
        self.values["path"] = url.path()
        return self

    def do_initCreatingVariableStoreAtURL_options_error_(  # noqa: N802
        self, url: Any, options: int, _: None
    ) -> tuple[VariableStore | None, NSError | None]:
        path = Path(url.path())
        if path.exists() and not options:
            return None, self.standin.error(DOMAIN, 50002, "The variable store exists already.")
        path.write_bytes(b"variables")
        return self.do_initWithURL_(url), None


class Rosetta(Object):
    """``VZLinuxRosettaDirectoryShare``"""

    @staticmethod
    def do_availability() -> int:
        return 2

    def do_initWithError_(self, _: None) -> tuple[Rosetta | None, NSError | None]:  # noqa: N802
        if type(self).do_availability() != 2:
            return None, self.standin.error(DOMAIN, NOT_SUPPORTED, "Rosetta is not installed.")
        return self, None


class MissingRosetta(Rosetta):
    @staticmethod
    def do_availability() -> int:
        return 1


BEHAVIOURS: dict[str, type] = {
    "VZVirtualMachineConfiguration": Configuration,
    "VZGenericMachineIdentifier": MachineIdentifier,
    "VZGenericPlatformConfiguration": Platform,
    "VZMACAddress": MacAddress,
    "VZDiskImageStorageDeviceAttachment": DiskImage,
    "VZVirtioBlockDeviceConfiguration": BlockDevice,
    "VZVirtioFileSystemDeviceConfiguration": FileSystemDevice,
    "VZFileHandleSerialPortAttachment": SerialAttachment,
    "VZFileHandleNetworkDeviceAttachment": NetworkAttachment,
    "VZEFIVariableStore": VariableStore,
    "VZLinuxRosettaDirectoryShare": Rosetta,
}

"""A machine of the vz driver's, for the length of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fakes.machines import Launched, first_line

from snowshed.drivers.vz.driver import VzDriver
from snowshed.drivers.vz.vm import VzVm
from snowshed.model.machine import MachineSpec


@asynccontextmanager
async def running(driver: VzDriver, machine: MachineSpec, given: Launched, **more: Path) -> AsyncIterator[VzVm]:
    vm = await driver.start(machine, given.launch, **more)
    assert isinstance(vm, VzVm)
    try:
        yield vm
    finally:
        await vm.kill()


async def talk(vm: VzVm) -> bytes:
    with await vm.connect(22) as connection:
        return await first_line(connection)


def open_files(pid: int) -> set[str]:
    return {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir() if entry.is_symlink()}

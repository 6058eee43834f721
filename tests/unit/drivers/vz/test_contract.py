"""The helper against the strict stand-in, for each macOS and architecture, and what that check is worth.

Nothing here has run on a Mac. What is shown: every class, selector, argument and constant that the helper uses exists
on the macOS that it is used on, is called as PyObjC wants it, on the VM's queue.
"""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from fakes.vz.contract import load, without
from fakes.vz.exercise import exercise
from fakes.vz.standin import StandIn

from snowshed.drivers.mac import Mac
from snowshed.model.machine import Arch

SOURCE = Path(__file__).parents[4] / "src/snowshed/drivers/vz"

MACS = {
    "13 Intel": Mac((13, 0), Arch.X86_64, build="22A380"),
    "13 M1": Mac((13, 0), Arch.AARCH64, 1, "22A380", True),
    "14 M1": Mac((14, 0), Arch.AARCH64, 1, "23A344", True),
    "15 Intel": Mac((15, 0), Arch.X86_64, build="24A335"),
    "15 M1": Mac((15, 0), Arch.AARCH64, 1, "24A335", True),
    "15 M3": Mac((15, 0), Arch.AARCH64, 3, "24A335", True),
    "26 Intel": Mac((26, 0), Arch.X86_64, build="25A354"),
    "26 M4": Mac((26, 0), Arch.AARCH64, 4, "25A354", True),
}
NEWEST = MACS["26 M4"]


def maker(mac: Mac, contract=None):  # type: ignore[no-untyped-def]
    version = ".".join(map(str, mac.version))

    def make(faults: Iterable[str]) -> StandIn:
        return StandIn(version, arm64=mac.arch is Arch.AARCH64, chip=mac.chip, faults=faults, contract=contract)

    return make


@pytest.mark.parametrize("mac", MACS.values(), ids=MACS)
async def test_all_that_the_helper_does_exists_on(mac: Mac, tmp_path: Path) -> None:
    """No selector that is newer than the host's macOS, or of the other architecture, is ever called."""
    await exercise(maker(mac), tmp_path, mac)


@cache
def used() -> tuple[tuple[str, str], ...]:
    """Everything that the helper asks of the framework on the newest Mac, as (owner, name)."""

    async def run() -> set[tuple[str, str]]:
        with TemporaryDirectory() as folder:
            standins = await exercise(maker(NEWEST), Path(folder), NEWEST)
        return {thing for standin in standins for thing in standin.used}

    return tuple(sorted(asyncio.run(run())))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "thing" in metafunc.fixturenames:
        metafunc.parametrize("thing", used(), ids=lambda thing: "-".join(thing))


async def test_without_one_thing_of_the_contract_the_exercise_fails(thing: tuple[str, str], tmp_path: Path) -> None:
    """The mutation check: a typo in any name would be noticed."""
    lacking = without(load(), *thing)
    with pytest.raises(Exception, match=re.escape(thing[1]) if thing[1] != "class" else re.escape(thing[0])):
        await exercise(maker(NEWEST, lacking), tmp_path, NEWEST)


def test_the_exercise_is_no_small_part_of_the_helper() -> None:
    """Every name with a colon's underscore that the helper's source has is one that the exercise has called."""
    called = {name for _, name in used()}
    for file in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            name = node.attr if isinstance(node, ast.Attribute) else ""
            if re.fullmatch(r"[A-Za-z]+_|[a-z][A-Za-z]+(_[a-zA-Z]+)+_", name) or name.startswith("VZ"):
                assert name in called or any(owner == name for owner, _ in used()), f"{file.name}: {name}"


def test_nothing_is_made_in_the_way_that_raises() -> None:
    """``alloc().init()`` raises for half of the framework's classes under PyObjC, ``new()`` for none."""
    for file in SOURCE.glob("*.py"):
        for line in file.read_text().splitlines():
            assert not re.search(r"VZ\w+\.alloc\(\)\.init\(\)", line), f"{file.name}: {line}"


def test_only_the_helper_knows_pyobjc_by_name() -> None:
    for file in SOURCE.glob("*.py"):
        if file.name != "helper.py":
            assert not re.search(
                r"^\s*(import|from) (objc|Foundation|Virtualization|libdispatch)\b", file.read_text(), re.M
            )

"""One stand-in: a framework of a given macOS and architecture, and what was done with it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from snowshed.drivers.vz.framework import Framework

from . import foundation
from .behaviour import BEHAVIOURS, MissingRosetta, NestingPlatform
from .contract import View, load, numbers
from .dispatch import Dispatch
from .live import LIVE
from .strict import Builder


class Module:
    """A module whose names are the contract's; `used` notes those that are asked for."""

    def __init__(self, name: str, values: dict[str, Any], owners: dict[str, str], used: set[tuple[str, str]]) -> None:
        self._name, self._values, self._owners, self._used = name, values, owners, used

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name not in self._values:
            raise AttributeError(f"module {self._name!r} has no attribute {name!r}")
        if name in self._owners:
            self._used.add((self._owners[name], name))
        return self._values[name]


class StandIn:
    """`faults` are the words of `live` and `behaviour`, of the guest, and ``rosetta-missing``; `chip` the N of M<N>."""

    def __init__(
        self,
        macos: str = "15.1",
        *,
        arm64: bool = True,
        chip: int = 1,
        faults: Iterable[str] = (),
        contract: dict[str, Any] | None = None,
    ) -> None:
        self.version = numbers(macos)
        self.faults = set(faults)
        self.used: set[tuple[str, str]] = set()
        self.violations: list[str] = []
        self.balloon_targets: list[int] = []
        self.vms: list[Any] = []
        self.objects: list[Any] = []
        self.contract = contract or load()
        self.view = View(self.contract, self.version, arm64)
        behaviours = {**BEHAVIOURS, **LIVE}
        if "rosetta-missing" in self.faults:
            behaviours["VZLinuxRosettaDirectoryShare"] = MissingRosetta
        if chip >= 3:
            behaviours["VZGenericPlatformConfiguration"] = NestingPlatform
        self.classes = Builder(self.view, self, behaviours).build()
        self.dispatch = Dispatch(self.contract, self.used)
        offered = self.contract["support"]["Foundation"]["NSError"]
        self._errors = foundation.checked(foundation.NSError, offered, self.used)

    def made(self, thing: Any) -> None:
        """Called for every object of the framework; configuration objects are kept to be looked at."""
        if thing.contract_name == "VZVirtualMachineConfiguration":
            self.objects.append(thing)

    @property
    def configuration(self) -> Any:
        """The configuration that was made last."""
        return self.objects[-1]

    def framework(self) -> Framework:
        constants = self.view.constants()
        values = {name: value for name, (_, value) in constants.items()}
        owners = {name: owner for name, (owner, _) in constants.items()}
        return Framework(
            Module("Virtualization", {**self.classes, **values}, owners, self.used),
            Module("Foundation", self._foundation(), {}, self.used),
            self.dispatch,
            Module("objc", {"protocolNamed": self._protocol}, {}, self.used),
        )

    def _foundation(self) -> dict[str, Any]:
        offered = self.contract["support"]["Foundation"]
        kinds: dict[str, Any] = {
            kind.__name__: foundation.checked(kind, offered[kind.__name__], self.used)
            for kind in (foundation.NSURL, foundation.NSFileHandle)
        }

        class NSObject(foundation.NSObject):
            made: set[str] = set()  # noqa: RUF012 - one of each stand-in's own
            used = self.used

        return {**kinds, "NSObject": NSObject}

    def error(self, domain: str, code: int, text: str, reason: str | None = None) -> foundation.NSError:
        """An NSError that can be asked what the contract allows."""
        return self._errors(domain, code, text, reason)

    def _protocol(self, name: str) -> foundation.Protocol:
        return foundation.Protocol(name, self.view.protocol(name))

    def end(self) -> None:
        """End the queues' threads."""
        for queue in self.dispatch.queues:
            queue.end()


def from_environment() -> StandIn:
    """The stand-in of a helper process: ``FAKE_MACOS``, ``FAKE_MACHINE``, ``FAKE_CHIP``, ``FAKE_VZ_FAULTS``."""
    return StandIn(
        os.environ.get("FAKE_MACOS", "15.1"),
        arm64=os.environ.get("FAKE_MACHINE", "arm64") == "arm64",
        chip=int(os.environ.get("FAKE_CHIP", "1")),
        faults=os.environ.get("FAKE_VZ_FAULTS", "").split(","),
    )

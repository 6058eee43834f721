"""What a short-lived helper finds out, before anything is started: may the framework be used, and for this machine?"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from ...model.machine import Arch, EfiBoot, MachineSpec
from ...network.card import card_pair
from ..mac import Mac
from .assemble import Inherited, assemble
from .configuration import NESTED_FROM, configuration, save_blocker
from .framework import Framework, FrameworkError
from .messages import Facts, Question

ROSETTA_FROM = (13, 0)
_ROSETTA = {0: "unsupported", 1: "missing", 2: "installed"}
"""``VZLinuxRosettaAvailability``"""


def facts(framework: Framework, question: Question) -> Facts:
    """The answers to `question`. Nothing is started, and no file is made."""
    vz = framework.virtualization
    mac = question.mac
    machine = vz.VZVirtualMachineConfiguration
    known = Facts(
        supported=bool(vz.VZVirtualMachine.isSupported()),
        rosetta=_rosetta(framework, mac),
        nested=mac.version >= NESTED_FROM and bool(vz.VZGenericPlatformConfiguration.isNestedVirtualizationSupported()),
        most_cores=int(machine.maximumAllowedCPUCount()),
        least_memory=int(machine.minimumAllowedMemorySize()),
        most_memory=int(machine.maximumAllowedMemorySize()),
    )
    if not known.supported:
        return msgspec.structs.replace(known, problem="Virtualization.framework does not run on this Mac")
    return _try(framework, question, known)


def _rosetta(framework: Framework, mac: Mac) -> str:
    if mac.arch is not Arch.AARCH64 or mac.version < ROSETTA_FROM:
        return "unsupported"
    return _ROSETTA.get(int(framework.virtualization.VZLinuxRosettaDirectoryShare.availability()), "unsupported")


def _try(framework: Framework, question: Question, known: Facts) -> Facts:
    """Have the framework validate the machine, without what is not there yet or would be made."""
    spec = _without_missing(question.spec, known)
    if isinstance(spec.boot, EfiBoot) and not spec.boot.variables.exists():
        blocker = save_blocker(spec, question.mac)
        return msgspec.structs.replace(known, suspend=not blocker, blocker=blocker)
    wanted = configuration(spec, question.mac, exists=lambda _: True)
    guest, host = card_pair()
    with guest, host, Path(os.devnull).open("wb") as console:
        try:
            assembled = assemble(framework, wanted, Inherited(console.fileno(), guest.fileno()))
        except FrameworkError as error:
            reason = f"{error.text}: {error.reason}" if error.reason else error.text
            return msgspec.structs.replace(known, problem=reason)
    return msgspec.structs.replace(known, suspend=assembled.suspend, blocker=assembled.blocker)


def _without_missing(spec: MachineSpec, known: Facts) -> MachineSpec:
    return msgspec.structs.replace(
        spec,
        disks=tuple(disk for disk in spec.disks if disk.path.exists()),
        rosetta=spec.rosetta and known.rosetta == "installed",
        nested=spec.nested and known.nested,
    )

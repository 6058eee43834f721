"""BuilderConfig: what a person or the Nix module asks of a builder.

Three layers, the later one winning: the builder's file (`config_file`), ``SNOWSHED_*`` variables, the command line.
They are merged first and validated once; the result is frozen and complete, so that nothing behind this file ever
meets a default, a unit or an option that does not exist.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from .config_file import options_of
from .config_readers import READERS
from .errors import UserError
from .model.machine import Arch, arch_of_machine
from .settings import DEFAULT_PORT as DEFAULT_PORT
from .settings import TABLES
from .settings import BuilderConfig as BuilderConfig
from .settings import IdleConfig as IdleConfig
from .settings import NixConfig as NixConfig
from .settings import ShareConfig as ShareConfig
from .settings import WatchdogConfig as WatchdogConfig
from .shares import check_names
from .units import GIB, MIB, format_size

LEAST_MEMORY = 512 * MIB
LEAST_DISK = 256 * MIB
MOST_DISK = 1 << 60
"""Bytes of the largest ext4, which the guest makes of its disk."""


class Host(msgspec.Struct, frozen=True):
    """The machine we run on. `memory` is bytes; `arch` is None where no guest of its own kind exists."""

    cores: int
    memory: int
    arch: Arch | None
    platform: str

    @classmethod
    def this(cls) -> Host:
        """The facts of this machine."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        uname = platform.uname()
        return cls(cores=cores, memory=memory, arch=arch_of_machine(uname.machine), platform=uname.system.lower())


Value = str | int | float | bool | tuple[str, ...] | None
Layer = Mapping[str, Value]
"""Options by dotted name (``idle.timeout``); a None is an option that was not given."""


ENVIRONMENT = {
    f"SNOWSHED_{name.upper()}": name
    for name in ("driver", "cores", "memory", "disk_size", "port", "image", "system", "network", "accel", "on_demand")
}
ENVIRONMENT["SNOWSHED_IDLE_TIMEOUT"] = "idle.timeout"
ENVIRONMENT["SNOWSHED_IDLE_ACTION"] = "idle.action"


def load(
    file: Path | None,
    command_line: Layer,
    host: Host,
    environment: Mapping[str, str] | None = None,
    *,
    remembered: Layer | None = None,
) -> BuilderConfig:
    """The validated configuration from all three layers.

    A `file` that does not exist counts as empty unless it is not the builder's own (then the caller checks).
    `remembered` holds what takes the place of defaults for a builder that exists: the size of its disk. Raises
    `UserError`, whose message names the option and where it was given.
    """
    environment = os.environ if environment is None else environment
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    _merge(merged, origins, remembered or {}, "as it was before")
    for option, (value, where) in (options_of(file) if file is not None else {}).items():
        _merge(merged, origins, {option: value}, where)
    for variable, option in ENVIRONMENT.items():
        if environment.get(variable):
            _merge(merged, origins, {option: environment[variable]}, f"in {variable}")
    for option, value in command_line.items():
        if value is not None:
            _merge(merged, origins, {option: value}, "on the command line")
    return _validate(merged, origins, host)


def _merge(merged: dict[str, Any], origins: dict[str, str], layer: Mapping[str, Any], origin: str) -> None:
    for option, value in layer.items():
        merged[option] = value
        origins[option] = origin


def _validate(merged: Mapping[str, Any], origins: Mapping[str, str], host: Host) -> BuilderConfig:
    tree: dict[str, Any] = {}
    for option, value in merged.items():
        table, _, key = option.rpartition(".")
        target = tree.setdefault(table, {}) if table else tree
        target[key] = _read(option, value, origins[option])
    tree.setdefault("system", host.arch.nix_system if host.arch else "x86_64-linux")
    tree.setdefault("cores", min(4, host.cores))
    tree.setdefault("memory", _default_memory(host))
    try:
        config = msgspec.convert(tree, BuilderConfig, strict=False)
    except msgspec.ValidationError as error:
        raise _explain(str(error), tree, origins) from error
    _check_against_host(config, origins, host)
    _check_combinations(config)
    return config


def _default_memory(host: Host) -> int:
    return max(LEAST_MEMORY, min(8 * GIB, host.memory // 2 // MIB * MIB))


def _read(option: str, value: Any, origin: str) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise UserError(f"{option} {origin}: {value!r} holds a zero byte.", "No name and no path can have one.")
    reader = READERS.get(option)
    if reader is None:
        return value
    try:
        return reader(value)
    except UserError as error:
        raise UserError(f"{option} {origin}: {error.message}", error.hint) from error


def _explain(text: str, tree: Mapping[str, Any], origins: Mapping[str, str]) -> UserError:
    """msgspec's sentence, with the option's name and where it was given; the nearest name for an unknown one."""
    problem, _, place = text.partition(" - at `$")
    option = place.strip("`.")
    if problem.startswith("Object contains unknown field"):
        return _unknown_option(problem.split("`")[1], option, origins)
    origin = origins.get(option) or next((o for name, o in origins.items() if name.startswith(option)), "")
    return UserError(
        f"{option} {origin}: {problem[:1].lower()}{problem[1:]}.", "See `snowshed config schema` for what fits."
    )


def _unknown_option(name: str, table: str, origins: Mapping[str, str]) -> UserError:
    from difflib import get_close_matches

    fields = TABLES.get(table, ShareConfig).__struct_fields__
    full = f"{table}.{name}" if table else name
    near = get_close_matches(name, fields, 1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Options here: {', '.join(fields)}."
    return UserError(f"There is no option {full} ({origins.get(full, 'given')}).", hint)


def _check_against_host(config: BuilderConfig, origins: Mapping[str, str], host: Host) -> None:
    if config.cores > host.cores:
        raise UserError(
            f"cores {origins.get('cores', '')}: {config.cores} is more than the {host.cores} of this machine.",
            f"Use at most {host.cores}.",
        )
    if config.memory < LEAST_MEMORY:
        raise UserError(
            f"memory {origins.get('memory', '')}: {format_size(config.memory)} is too little for a guest that builds.",
            "Use at least 512 (MiB); a plain number counts in MiB.",
        )
    if config.memory > host.memory:
        raise UserError(
            f"memory {origins.get('memory', '')}: {format_size(config.memory)} is more than "
            f"the {format_size(host.memory)} of this machine.",
            f"Use less; the default here is {format_size(_default_memory(host))}.",
        )
    if config.disk_size < LEAST_DISK:
        raise UserError(
            f"disk_size {origins.get('disk_size', '')}: {format_size(config.disk_size)} is too small for a Nix store.",
            "Use at least 256M; the file is sparse and takes only what is written.",
        )
    if config.disk_size > MOST_DISK:
        raise UserError(
            f"disk_size {origins.get('disk_size', '')}: {format_size(config.disk_size)} is more than ext4 can hold.",
            "Use less; it can be made larger at any time.",
        )


def _check_combinations(config: BuilderConfig) -> None:
    given = {"--kernel": config.kernel, "--initrd": config.initrd, "--system": config.system_path}
    if any(given.values()) and not all(given.values()):
        missing = [name for name, value in given.items() if not value]
        lacks = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        raise UserError(
            f"A direct boot needs kernel, initrd and system together; {lacks}.",
            "Give all three, or none to boot an image.",
        )
    if config.image and config.kernel:
        raise UserError("An image and a kernel were both given.", "Give --image, or --kernel, --initrd and --system.")
    if config.metrics_port == config.port:
        raise UserError(f"port and metrics_port are both {config.port}.", "Choose another metrics_port, or 0 for none.")
    check_names(config.shares)
    if config.nix.max_free < config.nix.min_free:
        raise UserError(
            "nix.max_free is less than nix.min_free.", "Garbage collection stops at max_free: make it larger."
        )

"""BuilderConfig: what a person or the Nix module asks of a builder.

Three layers, the later one winning: the builder's TOML (or JSON) file, ``SNOWSHED_*`` variables, the command line.
They are merged first and validated once; the result is frozen and complete, so that nothing behind this file ever
meets a default, a unit or an option that does not exist.
"""

from __future__ import annotations

import os
import platform
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from .errors import UserError
from .model.machine import Accelerator, Arch, Network, arch_of_machine, arch_of_system
from .units import GIB, MIB, format_size, parse_duration, parse_memory, parse_size

DEFAULT_PORT = 31222
LEAST_MEMORY = 512 * MIB
LEAST_DISK = 256 * MIB


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


class IdleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`timeout` in seconds, 0 for never; `action` is ``auto``, ``suspend``, ``pause`` or ``stop``."""

    timeout: float = 0.0
    action: str = "auto"


class WatchdogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A guest silent on agent and SSH for `timeout` seconds (0: never): ``report`` it, or ``restart`` it."""

    timeout: float = 120.0
    action: str = "report"


class NixConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Nix is told about the builder, and what the guest's own Nix is told. Sizes in bytes; 0 jobs: as cores.

    `ca_bundle` and `netrc` are files of the host, read at every start; `proxy` is a URL that the guest can reach, and
    `no_proxy` a list of hosts as curl(1) takes it.
    """

    max_jobs: int = 0
    speed_factor: int = 1
    protocol: str = "ssh-ng"
    features: tuple[str, ...] | None = None
    emulate: tuple[str, ...] = ()
    min_free: int = 5 * GIB
    max_free: int = 7 * GIB
    substituters: tuple[str, ...] | None = None
    trusted_public_keys: tuple[str, ...] | None = None
    ca_bundle: str = ""
    netrc: str = ""
    proxy: str = ""
    no_proxy: str = ""


class ShareConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory of the host that the guest sees under ``/mnt/<name>``."""

    path: str
    read_only: bool = True


class BuilderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One builder, complete. `cores` and `memory` (bytes) are what the guest gets, `disk_size` bytes its data disk."""

    system: str = ""
    driver: str = "auto"
    cores: int = 4
    memory: int = 8 * GIB
    disk_size: int = 100 * GIB
    port: int = DEFAULT_PORT
    image: str = ""
    kernel: str = ""
    initrd: str = ""
    system_path: str = ""
    network: Network = Network.NAT
    accel: Accelerator = Accelerator.AUTO
    on_demand: bool = False
    share_nix_store: bool = False
    rosetta: bool = False
    nested_virtualization: bool = False
    verbose: bool = False
    stop_grace: float = 30.0
    idle: IdleConfig = IdleConfig()
    watchdog: WatchdogConfig = WatchdogConfig()
    nix: NixConfig = NixConfig()
    shares: dict[str, ShareConfig] = {}

    @property
    def arch(self) -> Arch:
        return arch_of_system(self.system)


Value = str | int | float | bool | tuple[str, ...] | None
Layer = Mapping[str, Value]
"""Options by dotted name (``idle.timeout``); a None is an option that was not given."""


def _count(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or isinstance(value, bool):
        raise UserError(f"{value!r} is not a number of processor cores.", "Use a whole number from 1 on.")
    return number


def _port(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if not 1 <= number <= 65535:
        raise UserError(f"{value!r} is not a TCP port.", "Use a number from 1 to 65535; the default is 31222.")
    return number


def _minutes(value: Any) -> float:
    return parse_duration(value, plain_unit=60.0)


def _one_of(*words: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in words:
            raise UserError(f"{value!r} is not one of {', '.join(words)}.", "Choose one of these words.")
        return str(value)

    return check


_READERS: dict[str, Callable[[Any], Any]] = {
    "cores": _count,
    "memory": parse_memory,
    "disk_size": parse_size,
    "port": _port,
    "network": _one_of(*Network),
    "accel": _one_of(*Accelerator),
    "system": lambda text: arch_of_system(text).nix_system,
    "stop_grace": parse_duration,
    "idle.timeout": _minutes,
    "idle.action": _one_of("auto", "suspend", "pause", "stop"),
    "watchdog.timeout": parse_duration,
    "watchdog.action": _one_of("report", "restart"),
    "nix.min_free": parse_size,
    "nix.max_free": parse_size,
    "nix.protocol": _one_of("ssh-ng", "ssh"),
}
"""How options are read that have a unit, a range or a set of words. Plain numbers: MiB of memory, minutes of idling,
seconds otherwise."""

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
    if file is not None and file.exists():
        _merge(merged, origins, _flatten(read_file(file)), f"in {file}")
    for variable, option in ENVIRONMENT.items():
        if environment.get(variable):
            _merge(merged, origins, {option: environment[variable]}, f"in {variable}")
    for option, value in command_line.items():
        if value is not None:
            _merge(merged, origins, {option: value}, "on the command line")
    return _validate(merged, origins, host)


def read_file(file: Path) -> dict[str, Any]:
    """The options in a TOML file, or in a JSON file as the Nix modules write it. Raises `UserError`."""
    try:
        text = file.read_text()
        data = msgspec.json.decode(text) if file.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, msgspec.DecodeError) as error:
        raise UserError(
            f"{file} cannot be read: {error}.", "Mend the file; `snowshed config check` tries it again."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read: {error}.", "Check the file and its permissions.") from error
    if not isinstance(data, dict):
        raise UserError(f"{file} does not hold a table of options.", "Write options as `name = value` lines.")
    return data


_TABLES = ("idle", "watchdog", "nix")


def _flatten(data: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in data.items():
        if name in _TABLES and isinstance(value, dict):
            flat |= {f"{name}.{key}": inner for key, inner in value.items()}
        else:
            flat[name] = value
    return flat


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
    reader = _READERS.get(option)
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

    types: dict[str, type[msgspec.Struct]] = {
        "idle": IdleConfig,
        "watchdog": WatchdogConfig,
        "nix": NixConfig,
        "": BuilderConfig,
    }
    fields = types.get(table, ShareConfig).__struct_fields__
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


def _check_combinations(config: BuilderConfig) -> None:
    given = {"--kernel": config.kernel, "--initrd": config.initrd, "--system": config.system_path}
    if any(given.values()) and not all(given.values()):
        missing = ", ".join(name for name, value in given.items() if not value)
        raise UserError(
            f"A direct boot needs kernel, initrd and system together; {missing} is missing.",
            "Give all three, or none to boot an image.",
        )
    if config.image and config.kernel:
        raise UserError("An image and a kernel were both given.", "Give --image, or --kernel, --initrd and --system.")
    if config.nix.max_free < config.nix.min_free:
        raise UserError(
            "nix.max_free is less than nix.min_free.", "Garbage collection stops at max_free: make it larger."
        )

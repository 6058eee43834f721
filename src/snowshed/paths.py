"""Every file, socket and lock name of a builder, in one place.

State lies in ``~/.local/share/snowshed/<builder>`` (``$XDG_DATA_HOME`` is honoured), or wherever ``--state-dir`` or
``SNOWSHED_STATE_DIR`` says; configuration in ``~/.config/snowshed/<builder>.toml``; images in
``~/.cache/snowshed/images``. System builders, which are services of their own account, live in
``/var/lib/snowshed/<builder>``, or where ``/etc/snowshed/<builder>.state`` says (the Nix modules' working directory),
and are configured in ``/etc/snowshed``; everybody may ask how they are.

The address of a unix socket holds at most 103 bytes on macOS and 107 on Linux. Where the state directory's path is
too long for that, sockets go to a short directory under ``$XDG_RUNTIME_DIR`` or ``/tmp`` whose name is derived from
the state directory, so that every process finds the same one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import UserError

SOCKET_PATH_LIMIT = 103
SYSTEM_STATE = Path("/var/lib/snowshed")
SYSTEM_CONFIG = Path("/etc/snowshed")
DEFAULT_BUILDER = "default"

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_LONGEST_SOCKET_NAME = len("/control.sock")


def check_name(name: str) -> str:
    """`name`, if a builder can be called that. Raises `UserError`."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot be the name of a builder.",
            "Use 1 to 32 lower-case letters, digits and dashes, and begin with a letter or digit.",
        )
    return name


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


def state_root() -> Path:
    """The directory that holds one state directory per builder of this user."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "snowshed"


def config_root() -> Path:
    """The directory of this user's ``<builder>.toml`` files."""
    return _xdg("XDG_CONFIG_HOME", ".config") / "snowshed"


def cache_root() -> Path:
    """The directory of what can be made again: images and downloaded packages."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "snowshed"


def serves_the_system() -> bool:
    """Whether we are the account that runs the builders of the system: its home is where they are, and so its images
    are theirs."""
    return cache_root().is_relative_to(SYSTEM_STATE)


def find_builder(name: str, state: Path | None = None, config: Path | None = None) -> BuilderPaths:
    """The builder that `name` means: the user's own, else the system's where there is one of that name."""
    own = BuilderPaths(name, state, config)
    if state is None and not own.state.exists() and (file := system_config(name)) is not None:
        return BuilderPaths(name, system_state(name), config or file)
    return own


def system_config(name: str) -> Path | None:
    """The configuration of the system's builder `name`: the Nix modules', or that of `snowshed service install`."""
    files = [SYSTEM_CONFIG / f"{name}.{ending}" for ending in ("json", "toml")]
    return next((file for file in files if file.exists()), None)


def system_state(name: str) -> Path:
    """The state directory of the system's builder `name`."""
    try:
        said = (SYSTEM_CONFIG / f"{name}.state").read_text().strip()
    except OSError:
        said = ""
    return Path(said) if said.startswith("/") else SYSTEM_STATE / name


def system_builders() -> list[str]:
    """The names of the builders of the system, sorted."""
    files = [file for ending in ("json", "toml") for file in SYSTEM_CONFIG.glob(f"*.{ending}")]
    return sorted({file.stem for file in files if _NAME.fullmatch(file.stem)})


class BuilderPaths:
    """The files of one builder. Nothing here touches the file system; `is_system` may read a file."""

    def __init__(self, name: str, state: Path | None = None, config: Path | None = None) -> None:
        self.name = check_name(name)
        self.state = (state or state_root() / name).absolute()
        self.config = config or config_root() / f"{name}.toml"

    @property
    def is_system(self) -> bool:
        """Whether this is a builder of the system: everybody may ask for its state."""
        return self.state.is_relative_to(SYSTEM_STATE) or self.state == system_state(self.name)

    @property
    def runtime(self) -> Path:
        """Where sockets lie: the state directory, or a short stand-in where its path is too long for a socket."""
        if len(os.fsencode(self.state)) + _LONGEST_SOCKET_NAME <= SOCKET_PATH_LIMIT:
            return self.state
        import hashlib  # here: it takes as long to import as the rest of this file

        digest = hashlib.sha256(os.fsencode(self.state)).hexdigest()[:12]
        base = os.environ.get("XDG_RUNTIME_DIR", "")
        if not base.startswith("/") or len(os.fsencode(base)) > 40:
            base = "/tmp"
        return Path(base) / f"snowshed-{os.getuid()}-{digest}"

    @property
    def control(self) -> Path:
        return self.runtime / "control.sock"

    @property
    def disk(self) -> Path:
        return self.state / "disk.img"

    @property
    def disk_origin(self) -> Path:
        """What the disk is a copy of, where it is one (`images.own_disk`)."""
        return self.state / "disk.json"

    @property
    def seed(self) -> Path:
        return self.state / "seed.img"

    @property
    def efi_variables(self) -> Path:
        return self.state / "efi-variables.fd"

    @property
    def suspend_state(self) -> Path:
        return self.state / "suspend.state"

    @property
    def suspend_consumed(self) -> Path:
        return self.state / "suspend.state.consumed"

    @property
    def suspend_manifest(self) -> Path:
        return self.state / "suspend.json"

    @property
    def ssh(self) -> Path:
        return self.state / "ssh"

    @property
    def user_key(self) -> Path:
        return self.ssh / "id_ed25519"

    @property
    def host_key(self) -> Path:
        return self.ssh / "ssh_host_ed25519_key"

    @property
    def known_hosts(self) -> Path:
        return self.ssh / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.ssh / "config"

    @property
    def guest_ip(self) -> Path:
        return self.state / "guest-ip"

    @property
    def vm_pid(self) -> Path:
        return self.state / "vm.pid"

    @property
    def supervisor_lock(self) -> Path:
        return self.state / "supervisor.lock"

    @property
    def vm_lock(self) -> Path:
        return self.state / "vm.lock"

    @property
    def console_log(self) -> Path:
        return self.state / "console.log"

    @property
    def supervisor_log(self) -> Path:
        return self.state / "supervisor.log"

    @property
    def events(self) -> Path:
        return self.state / "events.jsonl"

    @property
    def machine_id(self) -> Path:
        return self.state / "machine-id"

    @property
    def mac(self) -> Path:
        return self.state / "mac"

    @property
    def guest_notes(self) -> Path:
        """What the guest told of itself: which systems it builds for, how full its disk is."""
        return self.state / "guest.json"

    @property
    def last_config(self) -> Path:
        """The effective configuration of the last start: what `status` of a stopped builder reads."""
        return self.state / "config.json"

    @property
    def last_options(self) -> Path:
        """The command line of the last start: what `restart` starts with again."""
        return self.state / "options.json"


def images_root() -> Path:
    return cache_root() / "images"


def packages_root() -> Path:
    """Downloaded Debian packages and the private package lists: a warm cache for the next image."""
    return cache_root() / "packages"

"""What `snowshed machines --install` and `--uninstall` do: making a builder known to root's Nix, and forgetting it."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from pathlib import Path

from .. import process
from ..config import BuilderConfig, Host, load
from ..errors import UserError
from ..nix import install, installed
from ..nix.install import Edit, Layout, Order
from ..nix.installed import Flavour
from ..nix.machines import Machine
from ..paths import BuilderPaths
from ..ssh.config import alias
from .options import Invocation
from .remember import implied
from .render import note, out

_PRIVATE_KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----"


def require_root(words: str) -> None:
    """Raise `UserError` for anybody but root."""
    if os.geteuid() != 0:
        raise UserError(
            "Only root may change what Nix's daemon knows.",
            f"Use `sudo snowshed machines {words}`; --dry-run shows what it would do.",
        )


def owner_of(paths: BuilderPaths) -> int | None:
    """The user to whom a builder belongs, None where there is none."""
    try:
        return paths.state.stat().st_uid
    except OSError:
        return None


def meant(paths: BuilderPaths) -> BuilderPaths:
    """The builder that somebody means who says `sudo snowshed`: their own, where root has none of that name."""
    caller = os.environ.get("SUDO_USER", "")
    if os.geteuid() != 0 or paths.state.exists() or not caller or caller == "root":
        return paths
    try:
        home = Path(pwd.getpwnam(caller).pw_dir)
    except KeyError:
        return paths
    state = home / ".local/share/snowshed" / paths.name
    return BuilderPaths(paths.name, state, home / f".config/snowshed/{paths.name}.toml") if state.exists() else paths


def configuration(invocation: Invocation, paths: BuilderPaths) -> BuilderConfig:
    """The configuration of `paths`, which may be those of the user behind sudo. Raises `UserError`."""
    if paths.config == invocation.paths.config:
        return invocation.configuration({}, implied(paths, {}))
    return load(paths.config, {}, Host.this(), remembered=implied(paths, {}))


def require_trust(paths: BuilderPaths, *, trusted: bool) -> None:
    """Raise `UserError` for another user's builder, unless the caller says that this user is trusted."""
    owner = owner_of(paths)
    if owner in (None, 0) or trusted or paths.is_system:
        return
    try:
        name = pwd.getpwuid(owner or 0).pw_name
    except KeyError:
        name = f"user {owner}"
    raise UserError(
        f"This builder belongs to {name}, who would then decide what Nix's daemon, which is root, takes for a result.",
        "If that is what you want, say --trust-user. Otherwise make a builder of the system: "
        "`sudo snowshed service install`.",
    )


def layout() -> Layout:
    """This host's layout, with the setting `builders` in force."""
    program = next(
        (name for name in ("nix", *installed.PROGRAMS) if process.attempt([name, "--version"]).status == 0), ""
    )
    if not program:
        raise UserError("There is no Nix on this host, so that nobody needs to know the builder.", "Install Nix first.")
    about = installed.parse_version(process.attempt([program, "--version"]).out)
    return Layout(
        builders=str(_settings(program).get("builders", f"@{installed.MACHINES}")),
        determinate=about is not None and about.flavour is Flavour.DETERMINATE,
        root_home=Path(pwd.getpwuid(0).pw_dir),
        platform=sys.platform,
    )


def _settings(program: str) -> dict[str, object]:
    """The settings of the system; of a user's own file the daemon knows nothing."""
    for words in (("config", "show"), ("show-config",)):
        argv = [program, "--extra-experimental-features", "nix-command", *words, "--json"]
        output = process.attempt(argv, env={"NIX_USER_CONF_FILES": "", "NIX_CONFIG": ""})
        if output.status == 0:
            return installed.parse_settings(output.out)
    return {}


def make_known(machine: Machine, port: int, *, jump: str = "", key_for_all: str = "", dry_run: bool = False) -> None:
    """Write what root's Nix needs, and say what was written. Raises `UserError`; nothing is changed then."""
    here = layout()
    order = Order(install.vetted(machine), port, key_for_all, jump)
    edits = install.plan(order, here, _texts(machine.builder, here))
    install.refuse_managed(edits, here)
    _carry_out(edits, dry_run=dry_run)
    if dry_run:
        return
    which = "" if here.reads_machines else f", by a line in {here.nix_conf}"
    note(f"Nix knows {alias(machine.builder)} from {here.machines}{which}; ssh knows it from {here.root_ssh}.")
    if not here.reads_machines:
        note("Restart Nix's daemon, so that it reads its configuration anew: `sudo systemctl restart nix-daemon`.")
    note("`sudo snowshed doctor` looks whether everything fits.")


def forget(name: str, *, dry_run: bool = False) -> None:
    """Take away what `make_known` wrote, and say so."""
    here = layout()
    edits = install.forget(name, here, _texts(name, here))
    install.refuse_managed(edits, here)
    if not _carry_out(edits, dry_run=dry_run):
        note(f"Nix knows nothing of the builder {name} that snowshed wrote.")


def _texts(name: str, here: Layout) -> dict[Path, str | None]:
    """Only root can see all of these files; in a rehearsal by somebody else, those count as not there."""
    texts: dict[Path, str | None] = {}
    for path in install.files(name, here):
        try:
            texts |= install.read([path])
        except PermissionError:
            if os.geteuid() == 0:
                raise
            texts[path] = None
    return texts


def _carry_out(edits: list[Edit], *, dry_run: bool) -> list[Edit]:
    if dry_run:
        for edit in edits:
            if edit.changes:
                secret = edit.path.suffix == ".key"
                out(f"{edit.path}: a private key that everybody on this host may read" if secret else edit.diff())
        return []
    done = install.apply(edits)
    for edit in done:
        note(f"{'removed' if edit.after is None else 'wrote'} {edit.path}")
    return done


def user_key(paths: BuilderPaths) -> str:
    """The private key of a builder, for everybody. Raises `UserError` unless it is its owner's own file and a key: no
    link of theirs makes root give away something else, and no pipe of theirs keeps root waiting."""
    try:
        descriptor = os.open(paths.user_key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"{paths.user_key} cannot be read: {error.strerror}.", "Start the builder once.") from error
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        data = file.read(1 << 16) if stat.S_ISREG(facts.st_mode) else b""
        if facts.st_uid != owner_of(paths) or not data.startswith(_PRIVATE_KEY):
            raise UserError(f"{paths.user_key} is not the key of the builder's owner.", "Look at that file.")
    return data.decode()

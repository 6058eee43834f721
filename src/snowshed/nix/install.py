"""Making a builder known to root's Nix on a host without a module system, and forgetting it again.

What is written is planned first, as edits of whole files (`plan`, `forget`: pure), and then done (`apply`). Root
believes nothing that belongs to somebody else: ssh's configuration and the pinned host key are root's own copies
under ``/etc/snowshed/ssh``, because a user who could change them could have root run programs (``ProxyCommand``).
"""

from __future__ import annotations

import difflib
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from ..errors import UserError
from ..ssh.config import alias, ssh_config
from . import marked
from .installed import MACHINES
from .machines import Machine

SHARED = "machines"
"""The name of our block in nix.conf, which all builders need."""

_HOST_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}", re.ASCII)
_SYSTEM = re.compile(r"[a-z0-9_]{1,32}-[a-z]{1,16}", re.ASCII)
_FEATURE = re.compile(r"[A-Za-z0-9:._-]{1,64}", re.ASCII)
_MOST_JOBS = 1024


class Layout(msgspec.Struct, frozen=True):
    """Where things lie on a host; `builders` is the setting in force, `determinate` says whose nix.conf it is."""

    builders: str = f"@{MACHINES}"
    determinate: bool = False
    etc: Path = Path("/etc")
    root_home: Path = Path("/root")
    platform: str = "linux"

    @property
    def machines(self) -> Path:
        """The file that Nix reads machines from; the first that `builders` names, else the usual one."""
        for word in self.builders.replace(";", "\n").splitlines():
            if word.strip().startswith("@"):
                return Path(word.strip()[1:].strip())
        return self.etc / "nix" / "machines"

    @property
    def reads_machines(self) -> bool:
        return f"@{self.machines}" in [word.strip() for word in self.builders.replace(";", "\n").splitlines()]

    @property
    def nix_conf(self) -> Path:
        """Where settings of ours go: Determinate Nix writes nix.conf anew, and reads nix.custom.conf for others."""
        return self.etc / "nix" / ("nix.custom.conf" if self.determinate else "nix.conf")

    @property
    def root_ssh(self) -> Path:
        return self.root_home / ".ssh" / "config"

    @property
    def everybodys_ssh(self) -> Path:
        return self.etc / "ssh" / "ssh_config.d"

    def own(self, name: str, ending: str) -> Path:
        return self.etc / "snowshed" / "ssh" / f"{name}.{ending}"

    @property
    def shared_files(self) -> tuple[Path, ...]:
        """Files that are not ours alone."""
        return self.machines, self.etc / "nix" / "machines", self.nix_conf, self.root_ssh


class Order(msgspec.Struct, frozen=True):
    """A builder to be made known. `key_for_all` is a private key that everybody on the host may use, empty: nobody."""

    machine: Machine
    port: int
    key_for_all: str = ""
    jump: str = ""


class Edit(msgspec.Struct, frozen=True):
    """A file before and after; None: there is none. `mode` is for a file that did not exist."""

    path: Path
    before: str | None
    after: str | None
    mode: int = 0o644

    @property
    def changes(self) -> bool:
        return self.before != self.after

    def diff(self) -> str:
        """The change as a unified diff."""
        before, after = ((text or "").splitlines(keepends=True) for text in (self.before, self.after))
        return "".join(difflib.unified_diff(before, after, str(self.path), str(self.path)))


Texts = Mapping[Path, str | None]
"""What files hold now; None: there is none."""


def vetted(machine: Machine) -> Machine:
    """`machine`, if nothing in it can mean something else to Nix than it seems. Raises `UserError`."""
    doubts = (
        (bool(_HOST_KEY.fullmatch(machine.host_key)), "its host key is no ed25519 key"),
        (all(_SYSTEM.fullmatch(system) for system in machine.systems), "its systems are none"),
        (all(_FEATURE.fullmatch(feature) for feature in machine.features), "its features are none"),
        (1 <= machine.max_jobs <= _MOST_JOBS, f"it asks for {machine.max_jobs} jobs"),
    )
    for right, why in doubts:
        if not right:
            raise UserError(
                f"The builder {machine.builder} is not made known to Nix: {why}.",
                "Look at what `snowshed machines --json` says of it.",
            )
    return machine


def plan(order: Order, layout: Layout, texts: Texts) -> list[Edit]:
    """The edits that make the builder known. Raises `UserError` for files that were edited by hand."""
    machine = order.machine
    name = machine.builder
    config, known = layout.own(name, "conf"), layout.own(name, "known_hosts")
    block = ssh_config(name, order.port, machine.key, known, jump=order.jump)
    edits = [
        Edit(known, texts.get(known), f"{alias(name)} {machine.host_key}\n"),
        Edit(config, texts.get(config), block),
        _with(texts, layout.root_ssh, name, (f'Include "{config}"',), top=True, mode=0o600),
        _line(order, layout, texts),
    ]
    if not layout.reads_machines:
        # No blanks: to Debian 12's Nix 2.8 what has a blank before its @ is a machine, not a file.
        setting = ";".join(part for part in (layout.builders.strip(), f"@{layout.machines}") if part)
        edits.append(_with(texts, layout.nix_conf, SHARED, (f"builders = {setting}",)))
    edits += _for_everybody(order, layout, texts)
    return edits


def _line(order: Order, layout: Layout, texts: Texts) -> Edit:
    """The machines file, with our line in our block. Raises `UserError` where the builder has a line besides."""
    name = order.machine.builder
    file = layout.machines
    rest = marked.without_block(texts.get(file) or "", name, where=str(file))
    for number, line in enumerate(rest.splitlines(), start=1):
        if re.search(rf"[@/]{re.escape(alias(name))}(?![\w.-])", line.split("#")[0]):
            raise UserError(
                f"{file} has a line for {alias(name)} that snowshed did not write (line {number}).",
                "Remove it, then do this again: two lines would be two machines to Nix.",
            )
    return _with(texts, file, name, (order.machine.line,))


def _for_everybody(order: Order, layout: Layout, texts: Texts) -> list[Edit]:
    name = order.machine.builder
    file, key = layout.everybodys_ssh / f"50-snowshed-{name}.conf", layout.own(name, "key")
    if not order.key_for_all:
        return [Edit(path, texts[path], None) for path in (file, key) if texts.get(path) is not None]
    block = ssh_config(name, order.port, key, layout.own(name, "known_hosts"), jump=order.jump)
    return [Edit(key, texts.get(key), order.key_for_all), Edit(file, texts.get(file), block)]


def forget(name: str, layout: Layout, texts: Texts) -> list[Edit]:
    """The edits that take a builder away again, and with the last one what all needed."""
    edits = []
    for file in dict.fromkeys((layout.machines, layout.etc / "nix" / "machines", layout.root_ssh)):
        before = texts.get(file)
        if before is not None:
            edits.append(_emptied(file, before, marked.without_block(before, name, where=str(file))))
    others = [edit for edit in edits if edit.path != layout.root_ssh and marked.names(edit.after or "")]
    conf = texts.get(layout.nix_conf)
    if conf is not None and not others:
        after = marked.without_block(conf, SHARED, where=str(layout.nix_conf))
        edits.append(_emptied(layout.nix_conf, conf, after))
    own = [layout.own(name, ending) for ending in ("conf", "known_hosts", "key")]
    own.append(layout.everybodys_ssh / f"50-snowshed-{name}.conf")
    return edits + [Edit(path, texts[path], None) for path in own if texts.get(path) is not None]


def files(name: str, layout: Layout) -> tuple[Path, ...]:
    """All files that `plan` and `forget` need to know."""
    own = [layout.own(name, ending) for ending in ("conf", "known_hosts", "key")]
    return (*layout.shared_files, *own, layout.everybodys_ssh / f"50-snowshed-{name}.conf")


def _with(texts: Texts, file: Path, name: str, lines: tuple[str, ...], *, top: bool = False, mode: int = 0o644) -> Edit:
    before = texts.get(file)
    return Edit(file, before, marked.with_block(before or "", name, lines, where=str(file), top=top), mode)


def _emptied(file: Path, before: str, after: str) -> Edit:
    """A file in which nothing but our block was goes away with it."""
    return Edit(file, before, after if after.strip() or before == after else None)


def refuse_managed(edits: Iterable[Edit], layout: Layout) -> None:
    """Raise `UserError` if a file that would change is a module system's, naming the option that is for it."""
    for edit in edits:
        if not edit.changes:
            continue
        real = edit.path.resolve()
        if real.is_relative_to("/nix/store") or real.is_relative_to("/etc/static"):
            raise _managed_by(edit.path, layout)
        if re.search(r"^#.*\b(managed by|generated by) (ansible|puppet|chef|salt)", edit.before or "", re.I | re.M):
            raise UserError(
                f"{edit.path} says that a configuration management writes it, and it would write over ours.",
                "Have that write the line that `snowshed machines` prints.",
            )


def _managed_by(path: Path, layout: Layout) -> UserError:
    system = "nix-darwin" if layout.platform == "darwin" else "NixOS"
    option = "`services.snowshed.enable = true;` (or `nix.buildMachines` and `programs.ssh.extraConfig`)"
    if path == layout.root_ssh:
        system, option = "home-manager", "`programs.ssh` of root's configuration"
    return UserError(
        f"{path} is made by {system}, and its next activation would take our part out again.",
        f"Use the module instead: {option}.",
    )


def read(paths: Iterable[Path]) -> dict[Path, str | None]:
    """What files hold now. Bytes that are no UTF-8 survive. Raises `OSError` for one that is there and unreadable."""
    found: dict[Path, str | None] = {}
    for path in paths:
        try:
            found[path] = path.read_bytes().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, NotADirectoryError):
            found[path] = None
    return found


def apply(edits: Iterable[Edit]) -> list[Edit]:
    """Make the changes, one whole file after the other, and return those that there were.

    Raises `UserError` for a file that cannot be written; those before it are as they were again then.
    """
    done: list[Edit] = []
    for edit in edits:
        if not edit.changes:
            continue
        try:
            _put(edit.path, edit.after, edit.mode)
        except OSError as error:
            for earlier in reversed(done):
                with suppress(OSError):
                    _put(earlier.path, earlier.before, earlier.mode)
            raise UserError(
                f"{edit.path} cannot be written: {error.strerror}.", "Mend that; nothing has been changed."
            ) from error
        done.append(edit)
    return done


def _put(path: Path, text: str | None, mode: int) -> None:
    if text is None:
        path.unlink(missing_ok=True)
    else:
        _replace(path, text, mode)


def _replace(path: Path, text: str, mode: int) -> None:
    """Write a file whole or not at all, with the owner and mode it had; a symbolic link stays one."""
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if path.parent.name == ".ssh" else 0o755)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(text.encode("utf-8", "surrogateescape"))
            if path.exists():
                known = path.stat()
                os.fchown(new.fileno(), known.st_uid, known.st_gid)
                mode = known.st_mode & 0o7777
            os.fchmod(new.fileno(), mode)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise

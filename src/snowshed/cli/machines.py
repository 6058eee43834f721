"""`snowshed machines`"""

from __future__ import annotations

import os
from typing import Any

import click

from ..config import BuilderConfig
from ..errors import UserError
from ..model.systems import had, known
from ..nix.machines import Machine, advertised, instructions
from ..paths import BuilderPaths
from ..ssh.config import alias
from ..ssh.keys import ensure_keys, public_key, write_ssh_config
from .options import Invocation, common, config_file
from .render import note, out
from .report import gather, what_was_told
from .talk import unknown


@click.command("machines", short_help="The line by which Nix knows the builder.")
@common
@config_file
@click.option("--json", "as_json", is_flag=True, help="The fields of the line as JSON.")
@click.option("--install", is_flag=True, help="Make the builder known to root's Nix (needs root).")
@click.option("--uninstall", is_flag=True, help="Take away what --install wrote, and nothing else (needs root).")
@click.option("--dry-run", is_flag=True, help="With either: show what would be changed.")
@click.option("--trust-user", is_flag=True, help="Install a builder that belongs to an ordinary user.")
@click.option("--allow-user-ssh", is_flag=True, help="With --install: everybody on this host may log in to the guest.")
@click.option("--via", metavar="HOST", help="A builder on another host: ssh://user@host. Its port stays there.")
@click.pass_obj
def command(
    invocation: Invocation,
    as_json: bool,
    install: bool,
    uninstall: bool,
    dry_run: bool,
    trust_user: bool,
    allow_user_ssh: bool,
    via: str | None,
) -> int:
    """The line by which Nix knows the builder: for /etc/nix/machines, or after --builders.

    What to do with it follows on standard error; --install does it: it writes the line for Nix and the part of ssh's
    configuration that root needs, each between two marks, and touches no other line. Features that need hardware
    virtualisation are named only while the guest runs and has it.

    \b
    snowshed machines                               the line
    sudo snowshed machines --install                root's Nix knows the builder
    sudo snowshed machines --uninstall              and does not any more
    snowshed machines --via ssh://ada@studio        the line for a builder on another host
    """
    if install and uninstall:
        raise UserError("--install and --uninstall were both given.", "Choose one.")
    if uninstall:
        return _forget(invocation, via, dry_run)
    if via:
        return _remote(via, invocation.builder, as_json=as_json, install=install, dry_run=dry_run)
    machine, paths, port = _machine(invocation, install=install)
    if install:
        return _install(machine, paths, port, dry_run=dry_run, trusted=trust_user, for_all=allow_user_ssh)
    if as_json:
        import json

        out(json.dumps(as_object(machine, port, paths), indent=2))
        return 0
    out(machine.line)
    option = "" if paths.name == "default" else f" -b {paths.name}"
    for line in instructions(machine, paths.ssh_config, f"snowshed machines{option} --install"):
        note(f"# {line}")
    return 0


def _machine(invocation: Invocation, *, install: bool) -> tuple[Machine, BuilderPaths, int]:
    """The builder as Nix is to see it. Keys are made where there are none, but never in another user's directory."""
    from . import root_nix

    paths = root_nix.meant(invocation.paths) if install else invocation.paths
    if invocation.config_file is None and (error := unknown(paths)) is not None:
        raise error
    config = root_nix.configuration(invocation, paths)
    found = gather(paths)
    port = found["port"] or config.port
    if root_nix.owner_of(paths) in (None, os.geteuid()):
        ensure_keys(paths)
        write_ssh_config(paths, port)
    elif not paths.host_key.with_name(f"{paths.host_key.name}.pub").exists():
        raise UserError(f"The builder {paths.name} has no keys yet.", "Its owner starts it once: `snowshed start`.")
    systems, are_known = _systems(paths, config, found)
    if not are_known:
        note(f"# The guest has not said yet that it builds for {', '.join(systems[1:])}: `snowshed start` shows.")
    return describe(paths, config, found, systems), paths, port


def _install(machine: Machine, paths: BuilderPaths, port: int, *, dry_run: bool, trusted: bool, for_all: bool) -> int:
    from . import root_nix

    if not dry_run:
        root_nix.require_root("--install")
        root_nix.require_trust(paths, trusted=trusted)
    key = root_nix.user_key(paths) if for_all else ""
    root_nix.make_known(machine, port, key_for_all=key, dry_run=dry_run)
    return 0


def _forget(invocation: Invocation, via: str | None, dry_run: bool) -> int:
    from ..nix import via as vias
    from . import root_nix

    if not dry_run:
        root_nix.require_root("--uninstall")
    name = vias.name_of(invocation.builder, vias.parse(via)[1]) if via else invocation.paths.name
    root_nix.forget(name, dry_run=dry_run)
    return 0


def _remote(via: str, builder: str, *, as_json: bool, install: bool, dry_run: bool) -> int:
    from ..nix import via as vias
    from . import root_nix

    if install and not dry_run:
        root_nix.require_root("--install --via")
    remote = vias.fetch(via, builder)
    if install:
        root_nix.make_known(remote.machine, remote.port, jump=remote.jump, dry_run=dry_run)
    elif as_json:
        import json

        out(json.dumps(as_object(remote.machine, remote.port, str(remote.ssh_config)), indent=2))
    else:
        out(remote.machine.line)
        option = "" if builder == "default" else f" -b {builder}"
        command = f"snowshed machines{option} --via {via} --install"
        for line in instructions(remote.machine, remote.ssh_config, command):
            note(f"# {line}")
    return 0


def describe(paths: BuilderPaths, config: BuilderConfig, report: dict[str, Any], systems: tuple[str, ...]) -> Machine:
    """The builder as Nix is to see it: by what runs where something does, else by the configuration."""
    return Machine(
        builder=paths.name,
        protocol=config.nix.protocol,
        systems=systems,
        key=paths.user_key,
        max_jobs=config.nix.max_jobs or report["cores"] or config.cores,
        speed_factor=config.nix.speed_factor,
        features=advertised(config.nix.features, kvm="kvm" in report["features"]),
        host_key=public_key(paths.host_key),
    )


def _systems(paths: BuilderPaths, config: BuilderConfig, report: dict[str, Any]) -> tuple[tuple[str, ...], bool]:
    """What it builds for, and whether its guest has said so: by what runs where something does, else by what the
    settings want now, without what the guest found missing when it last ran."""
    if report["supervisorPid"] is not None:
        return tuple(report["systems"]), bool(report["systemsKnown"])
    told = what_was_told(paths.guest_notes)
    wanted = config.systems
    return had(wanted, told["lacks"]), known(wanted, config.system, told["emulates"], told["lacks"])


def as_object(machine: Machine, port: int, where: BuilderPaths | str) -> dict[str, Any]:
    """The fields of the line, for programs."""
    return {
        "line": machine.line,
        "uri": machine.uri,
        "systems": list(machine.systems),
        "sshKey": str(machine.key),
        "maxJobs": machine.max_jobs,
        "speedFactor": machine.speed_factor,
        "supportedFeatures": list(machine.features),
        "mandatoryFeatures": list(machine.mandatory),
        "publicHostKey": machine.host_key,
        "sshAlias": alias(machine.builder),
        "sshConfig": where if isinstance(where, str) else str(where.ssh_config),
        "port": port,
    }

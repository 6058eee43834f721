"""`snowshed machines`"""

from __future__ import annotations

from typing import Any

import click

from ..config import BuilderConfig
from ..nix.machines import Machine, advertised, instructions
from ..paths import BuilderPaths
from ..ssh.config import alias
from ..ssh.keys import ensure_keys, public_key, write_ssh_config
from .options import Invocation, common, config_file
from .remember import implied
from .render import note, out
from .report import gather


@click.command("machines", short_help="The line by which Nix knows the builder.")
@common
@config_file
@click.option("--json", "as_json", is_flag=True, help="The fields of the line as JSON.")
@click.pass_obj
def command(invocation: Invocation, as_json: bool) -> int:
    """The line by which Nix knows the builder: for /etc/nix/machines, or after --builders.

    What to do with it follows on standard error. Features that need hardware virtualisation are named only while the
    guest runs and has it.
    """
    paths = invocation.paths
    config = invocation.configuration({}, implied(paths, {}))
    found = gather(paths)
    ensure_keys(paths)
    write_ssh_config(paths, found["port"] or config.port)
    machine = describe(paths, config, found)
    if as_json:
        import json

        out(json.dumps(as_object(machine, paths), indent=2))
        return 0
    out(machine.line)
    for line in instructions(machine, paths.ssh_config):
        note(f"# {line}")
    return 0


def describe(paths: BuilderPaths, config: BuilderConfig, report: dict[str, Any]) -> Machine:
    """The builder as Nix is to see it: by what runs where something does, else by the configuration."""
    system = report["system"] or config.system
    return Machine(
        builder=paths.name,
        protocol=config.nix.protocol,
        systems=tuple(report["systems"] or (system, *config.nix.emulate)),
        key=paths.user_key,
        max_jobs=config.nix.max_jobs or report["cores"] or config.cores,
        speed_factor=config.nix.speed_factor,
        features=advertised(config.nix.features, kvm="kvm" in report["features"]),
        host_key=public_key(paths.host_key),
    )


def as_object(machine: Machine, paths: BuilderPaths) -> dict[str, Any]:
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
        "sshAlias": alias(paths.name),
        "sshConfig": str(paths.ssh_config),
    }

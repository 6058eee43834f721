"""`snowshed service`"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from .. import process
from ..config import BuilderConfig, Host, load
from ..errors import UserError
from ..paths import (
    SYSTEM_CONFIG,
    SYSTEM_STATE,
    BuilderPaths,
    config_root,
    state_root,
    system_builders,
    system_config,
)
from ..service import installation, launchd, systemd
from ..service.description import Description, describe
from ..service.installation import ACCOUNTS, WRITTEN
from ..service.steps import Step, carry_out
from .config import toml
from .options import Invocation, common, layer, settings
from .program import program
from .remember import free_port, implied
from .render import note, out
from .verbs import Group


@click.group(
    "service", cls=Group, short_help="Have systemd or launchd keep the builder's port, and start it on demand."
)
@common
def command() -> None:
    """Have systemd or launchd keep the builder's port, and start the builder when a connection comes.

    As root it is a builder of the system, run by an account of its own; otherwise it is your own.

    \b
    sudo snowshed service install --memory 6GiB     a builder of the system
    sudo snowshed machines --install                which root's Nix knows
    snowshed service install                        your own builder, by your own systemd or launchd
    """


@command.command("install")
@common
@settings
@click.option("--always", is_flag=True, help="Start it with the system, not with the first connection.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.pass_obj
def install(invocation: Invocation, /, always: bool, dry_run: bool, **given: Any) -> int:
    """Install the service of the builder, and start it.

    Settings given here are written to its configuration file if there is none yet. Doing it again is how a changed
    port or a new version of snowshed gets into the service.

    \b
    sudo snowshed service install                   of the system, for everybody
    snowshed service install                        of your own
    """
    options = layer(given)
    paths, config = _asked_for(invocation, options)
    service, host = _service(paths, config, always=always), _host()
    written = toml(_nested(options))
    steps = installation.install(service, host, f"{written}\n" if written else "")
    if dry_run:
        return _rehearse([*steps, *installation.start(service, host)])
    carry_out(steps, _tell)
    _prepare(service)
    carry_out(installation.start(service, host), _tell)
    _explain(service)
    return 0


@command.command("uninstall")
@common
@click.option("--purge", is_flag=True, help="Also delete its disk.")
@click.option("--dry-run", is_flag=True, help="Show what would be done.")
@click.pass_obj
def uninstall(invocation: Invocation, purge: bool, dry_run: bool) -> int:
    """Stop the service and take it away.

    Of a builder of the system nothing stays but its disk, which then belongs to root; with --purge not even that. Your
    own builder stays as it is, for `snowshed start`; with --purge it is destroyed.

    \b
    sudo snowshed service uninstall
    sudo snowshed service uninstall --purge         and its disk
    """
    name, host = invocation.paths.name, _host()
    home = None if os.geteuid() == 0 else Path.home()
    account = ACCOUNTS.get(sys.platform, "snowshed") if home is None else ""
    steps = installation.stop(name, host, home=home, user=account)
    if dry_run:
        return _rehearse([*steps, *_clearing(invocation, host, account, purge=purge)])
    carry_out(steps, _tell)
    if home is None:
        _forget(name)
    carry_out(_clearing(invocation, host, account, purge=purge), _tell)
    note(f"The service of the builder {name} is gone.")
    return 0


@command.command("show")
@common
@settings
@click.option("--always", is_flag=True, help="As with install.")
@click.pass_obj
def show(invocation: Invocation, /, always: bool, **given: Any) -> int:
    """Print the files that `service install` would write for systemd or launchd, and nothing else.

    \b
    snowshed service show
    sudo snowshed service show -b arm
    """
    paths, config = _asked_for(invocation, layer(given))
    service = _service(paths, config, always=always)
    if sys.platform == "darwin":
        out(launchd.render(installation.job_of(service)).decode().rstrip())
        return 0
    units = systemd.Layout(service.home)
    out(f"# {units.socket(service.builder)}\n{systemd.socket_unit(service)}")
    out(f"# {units.service(service.builder)}\n{systemd.service_unit(service).rstrip()}")
    return 0


def _asked_for(invocation: Invocation, options: dict[str, Any]) -> tuple[BuilderPaths, BuilderConfig]:
    """Whose builder it is, and its configuration: the file's, where there is one, and what is given here."""
    name = BuilderPaths(invocation.builder).name
    if os.geteuid() == 0:
        paths = BuilderPaths(name, SYSTEM_STATE / name, invocation.config_file or SYSTEM_CONFIG / f"{name}.toml")
    else:
        paths = BuilderPaths(name, state_root() / name, invocation.config_file or config_root() / f"{name}.toml")
    if paths.config.exists() and options:
        raise UserError(
            f"{paths.config} says already what the builder is like.",
            "Write these settings there, and leave them out here.",
        )
    if "port" not in options and not paths.config.exists():
        options["port"] = _port(paths)
    return paths, load(paths.config, options, Host.this(), remembered=implied(paths, options))


def _port(paths: BuilderPaths) -> int:
    """A port that no other builder has, of this user or of the system."""
    taken = {load(system_config(name), {}, Host.this()).port for name in system_builders() if name != paths.name}
    first = implied(paths, {}).get("port") or free_port(paths.name)
    return next(port for port in range(int(str(first)), 65536) if port not in taken)


def _service(paths: BuilderPaths, config: BuilderConfig, *, always: bool) -> Description:
    system = paths.is_system
    return describe(
        paths.name,
        config,
        snowshed=program(),
        state=paths.state,
        config_file=paths.config,
        always=always,
        user=ACCOUNTS.get(sys.platform, "snowshed") if system else "",
        groups=("kvm",) if _has_group("kvm") else (),
        home=None if system else Path.home(),
        search_path="" if system else os.environ.get("PATH", ""),
    )


def _has_group(name: str) -> bool:
    import grp

    return any(group.gr_name == name for group in grp.getgrall())


def _host() -> installation.Host:
    """The facts of this host. Raises `UserError` where there is no init system that services could be given to."""
    import grp

    if sys.platform != "darwin" and shutil.which("systemctl") is None:
        raise UserError(
            "There is no systemd here, and no launchd.", "Have your init system run `snowshed run --on-demand`."
        )
    name = ACCOUNTS.get(sys.platform, "snowshed")
    taken = {entry.pw_uid for entry in pwd.getpwall()} | {group.gr_gid for group in grp.getgrall()}
    return installation.Host(
        platform=sys.platform,
        has_account=any(entry.pw_name == name for entry in pwd.getpwall()),
        taken_ids=tuple(sorted(taken)),
        uid=os.getuid(),
        nologin=shutil.which("nologin", path="/usr/sbin:/sbin:/usr/bin") or "/bin/false",
    )


def _prepare(service: Description) -> None:
    """Make the image and the keys as the account that will use them, so that the first connection does not wait."""
    describe_it = [*program(), "machines", "--json", "-b", service.builder, "--config", str(service.config)]
    describe_it += ["--state-dir", str(service.state)]
    if not service.is_system:
        process.run(describe_it, timeout=60)
        return
    caller = _as_account(service)
    if process.attempt([*caller, *program(), "--version"], timeout=60).status != 0:
        raise UserError(
            f"The account {service.user} cannot run {program()[0]}: it lies where only you may look.",
            "Install snowshed where everybody may read it, /opt or a Nix profile, and do this again.",
        )
    _prepare_image(service, caller)
    words = (
        "machines",
        "--json",
        "-b",
        service.builder,
        "--config",
        str(service.config),
        "--state-dir",
        str(service.state),
    )
    process.run([*caller, *program(), *words], timeout=60)


def _prepare_image(service: Description, caller: Sequence[str]) -> None:
    """Have the image that the service boots: made by its account, or there already and open to it."""
    config = load(service.config, {}, Host.this())
    if config.kernel:
        return
    if config.image:
        seen = process.attempt([*caller, *program(), "image", "show", config.image], timeout=60)
        if seen.status != 0:
            said = seen.err.strip().splitlines()[:1] or ["it does not say why"]
            raise UserError(
                f"The account {service.user} cannot use the image {config.image}: {said[0].removeprefix('snowshed: ')}",
                "Put it where everybody may read it, and name that place.",
            )
        return
    note("image (as the service's own account; a download the first time)")
    words = ["image", "build", "--if-missing", "--system", config.system]
    if process.status_of([*caller, *program(), *words]) != 0:
        raise UserError("The image could not be made.", "Mend what is said above, and do this again.")


def _as_account(service: Description) -> list[str]:
    """What goes before a command to run it as the service will be run."""
    env = ["env", "-i", f"HOME={SYSTEM_STATE}", f"PATH={service.search_path}"]
    if sys.platform == "darwin":
        return ["/usr/bin/sudo", "-u", service.user, *env]
    return ["setpriv", f"--reuid={service.user}", f"--regid={service.user}", "--init-groups", "--", *env]


def _clearing(invocation: Invocation, host: installation.Host, account: str, *, purge: bool) -> Sequence[Step]:
    """What is done with what the service leaves behind."""
    name = invocation.paths.name
    if not account:
        if purge:
            from .destroy import remove

            remove(BuilderPaths(name))
        return []
    state, config = SYSTEM_STATE / name, SYSTEM_CONFIG / f"{name}.toml"
    ours = config.exists() and config.read_text(errors="replace").startswith(WRITTEN)
    if config.exists() and not ours:
        note(f"{config} was changed by hand and stays.")
    others = [other for other in system_builders() if other != name]
    found = sorted(state.iterdir()) if state.exists() else []
    last = installation.clear(
        name,
        host,
        state=state,
        config=config if ours else None,
        others=others,
        purge=purge or not (state / "disk.img").exists(),
        user=account,
    )
    return [*installation.remains(found, purge=purge), *last]


def _forget(name: str) -> None:
    """Root's Nix is not to wait for a builder that is gone."""
    from . import root_nix

    try:
        root_nix.forget(name)
    except UserError as error:
        note(f"Nix was not told: {error.message}")


def _nested(options: dict[str, Any]) -> dict[str, Any]:
    """Options by dotted name as the tables that a file has."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        table, _, key = name.rpartition(".")
        (found.setdefault(table, {}) if table else found)[key] = value
    return found


def _rehearse(steps: Sequence[Step]) -> int:
    for step in steps:
        out(str(step))
    return 0


def _tell(text: str) -> None:
    note(f"  {text}")


def _explain(service: Description) -> None:
    option = "" if service.builder == "default" else f" -b {service.builder}"
    when = "starts with the first connection" if service.on_demand else "starts with the system"
    note(f"The builder {service.builder} {when}; SSH on 127.0.0.1:{service.port}.")
    if service.is_system:
        note(f"`sudo snowshed machines{option} --install` makes it known to root's Nix.")
    else:
        note(f"`snowshed machines{option}` prints the line by which Nix finds it.")
        if sys.platform == "linux":
            note("`loginctl enable-linger` keeps it there while you are not logged in.")

"""Checks of the host's Nix: which one it is, what it is told, and what it knows of the builder.

An ordinary user sees the settings of the system, which are the daemon's; how ssh behaves for root only root sees.
"""

from __future__ import annotations

import os
import pwd
from typing import Any

from ..nix import installed
from ..nix.installed import Flavour, MachineLine, Nix
from ..ssh.config import alias
from ..units import counted
from .check import Check, Fix, Verdict, fine, note, wrong
from .look import Case, Look

DAEMON_SOCKET = "/nix/var/nix/daemon-socket/socket"
OLDEST = (2, 4)
"""The first with ssh-ng as it is now, and with the option that turns on ``nix config show``."""

_SHOW = ("--extra-experimental-features", "nix-command")


def nix(look: Look) -> Verdict:
    found = _nix(look)
    if found is None:
        return wrong("no Nix is installed here", "The builder works without; install Nix to build with it.")
    if found.version < OLDEST:
        return wrong(f"{found.text} is older than 2.4", "Update Nix.")
    return fine(found.text)


def _program(look: Look) -> str:
    """The Nix that answers: on the ``PATH``, else where installers put it."""
    return next((name for name in ("nix", *installed.PROGRAMS) if look.run(name, "--version").status == 0), "nix")


def _nix(look: Look) -> Nix | None:
    output = look.run(_program(look), "--version")
    return installed.parse_version(output.out) if output.status == 0 else None


def settings(look: Look) -> dict[str, Any]:
    """The settings in force for the daemon: those of the system, without the user's own."""
    program = _program(look)
    for words in (("config", "show", "--json"), ("show-config", "--json")):
        output = look.run("env", "NIX_USER_CONF_FILES=", program, *_SHOW, *words)
        if output.status == 0 and (found := installed.parse_settings(output.out)):
            return found
    return {}


def daemon(look: Look) -> Verdict:
    """Whose Nix builds: the daemon's, which is root, or the user's own."""
    if look.facts(DAEMON_SOCKET) is None:
        store = look.facts("/nix/store")
        if store is None:
            return note("there is no /nix/store on this host; Nix may use another")
        return fine("none: whoever calls Nix builds, and root's configuration of ssh does not matter")
    if not look.fact("nix daemon", _daemon_answers):
        return wrong("its socket is there, and nobody listens on it")
    return fine("the daemon builds, as root")


def _daemon_answers() -> bool:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(3)
        try:
            probe.connect(DAEMON_SOCKET)
        except OSError:
            return False
    return True


def machines(look: Look) -> list[MachineLine]:
    builders = settings(look).get("builders", f"@{installed.MACHINES}")
    return installed.parse_machines(str(builders), lambda file: look.read(file))


def ours(look: Look) -> list[MachineLine]:
    return [machine for machine in machines(look) if machine.host == alias(look.case.builder)]


def _install(look: Look) -> Fix:
    trust = () if look.case.is_root else ("--trust-user",)
    sudo = () if look.case.is_root else ("sudo", "env", f"HOME={look.case.home}")
    option = ("-b", look.case.builder, "--state-dir", look.case.state)
    return Fix("tell Nix about the builder", ((*sudo, "snowshed", "machines", *option, "--install", *trust),))


def known(look: Look) -> Verdict:
    """Nix's daemon has the builder in its list."""
    found = ours(look)
    builders = str(settings(look).get("builders", ""))
    if len(found) > 1:
        return wrong(f"{len(found)} lines name {alias(look.case.builder)}: Nix takes it for as many machines")
    if found:
        where = f"in {builders[1:]}" if builders.startswith("@") else "in the setting `builders`"
        return fine(f"{where}, for {', '.join(found[0].systems)}, {counted(found[0].max_jobs, 'job')}")
    if _drops_machines(look, builders):
        return wrong(
            f"Determinate Nix is told `builders = {builders}`, which leaves {installed.MACHINES} out",
            f"Write `builders = @{installed.MACHINES}` into /etc/nix/nix.custom.conf; its module drops buildMachines.",
        )
    return wrong("Nix has no line for this builder, so it builds nothing there", fix=_install(look))


def _drops_machines(look: Look, builders: str) -> bool:
    found = _nix(look)
    determinate = found is not None and found.flavour is Flavour.DETERMINATE
    return determinate and f"@{installed.MACHINES}" not in builders


def fields(look: Look) -> Verdict:
    """The line says what is so."""
    (machine,) = ours(look)
    problems = []
    if machine.protocol == "ssh":
        problems.append("it says ssh://, which hangs when a build says much (NixOS/nix issue 16437); use ssh-ng://")
    if machine.max_jobs < 2:
        problems.append("it has one slot: Nix looks only every few seconds whether it is free again")
    config = look.case.config
    if config is not None and config.system not in machine.systems:
        problems.append(f"it is for {', '.join(machine.systems)}, and the builder is {config.system}")
    if look.facts(machine.key) is None and look.case.is_root:
        problems.append(f"the key {machine.key} is not there, or not to be read by root")
    if problems:
        return wrong("; ".join(problems), fix=_install(look))
    return fine("slots, systems and key fit")


def host_key(look: Look) -> Verdict:
    """Nix pins the key that the guest has."""
    (machine,) = ours(look)
    pinned = look.read(f"{look.case.state}/ssh/ssh_host_ed25519_key.pub")
    if pinned is None:
        return note("the builder's own key cannot be read by you")
    own = " ".join(pinned.split()[:2])
    if not machine.host_key:
        return note("the line pins no key; the ssh configuration does")
    if machine.host_key != own:
        return wrong("Nix expects another host key than the guest has", fix=_install(look))
    return fine("the pinned one")


def rivals(look: Look) -> Verdict:
    """Other machines for the same systems take builds, or time, if they do not answer."""
    config = look.case.config
    system = config.system if config is not None else ""
    found = [m.host for m in machines(look) if m.host != alias(look.case.builder) and system in m.systems]
    stock = [name for name in found if name in ("linux-builder", "virby-vm", "darwin-vz-nix", "rosetta-builder")]
    if stock:
        return note(
            f"{', '.join(stock)} builds for {system} too",
            "Nix chooses by speed factor and load, and waits for whichever does not answer: remove what you left.",
        )
    return fine(f"also {', '.join(found)}" if found else "none")


def by_itself(look: Look) -> Verdict:
    """A host that can run the guest's system asks builders first, and builds by itself what they have no slot for, or
    cannot be asked about, and what prefers it (nix: src/build-remote/build-remote.cc; seen with 2.8)."""
    config = look.case.config
    values = settings(look)
    if config is None or not values:
        return note("what Nix builds by itself is not known")
    hint = "`max-jobs = 0` leaves all builds to the builder, and has Nix wait for it."
    if values.get("max-jobs") == 0:
        return fine("none: max-jobs is 0")
    if config.system in (values.get("extra-platforms") or ()):
        says = f"in emulation (`extra-platforms`), {config.system} is also built here when the builder has no free slot"
        return note(says, hint)
    if config.system == values.get("system"):
        return note(f"this host is {config.system} itself: what the builder has no free slot for is built here", hint)
    return fine(f"{config.system} is built by machines alone")


def polling(look: Look) -> Verdict:
    values = settings(look)
    seconds = values.get("build-poll-interval")
    if isinstance(seconds, int) and seconds > 1:
        return note(
            f"when every slot is taken, Nix looks again only every {seconds} s",
            "`build-poll-interval = 1` in /etc/nix/nix.conf.",
        )
    return fine(f"every {seconds} s" if seconds else "not known")


def restricted(look: Look) -> Verdict:
    """A daemon ignores `--builders` from users that it does not trust."""
    if look.case.is_root or look.facts(DAEMON_SOCKET) is None:
        return fine("nothing is restricted")
    values = settings(look)
    user, groups = look.fact("user", _who)
    trusted = {str(name) for name in values.get("trusted-users") or ()}
    if "*" in trusted or user in trusted or trusted & {f"@{group}" for group in groups}:
        return fine(f"{user} is a trusted user")
    return note(
        f"{user} is not a trusted user: `--builders` on a command line is ignored; what is in {installed.MACHINES} "
        "works for everybody"
    )


def _who() -> tuple[str, list[str]]:
    import grp

    user = pwd.getpwuid(os.getuid())
    groups = []
    for number in os.getgrouplist(user.pw_name, user.pw_gid):
        try:
            groups.append(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return user.pw_name, groups


def key(look: Look) -> Verdict:
    """The private key is there, and readable for its owner alone: ssh uses no other."""
    path = f"{look.case.state}/ssh/id_ed25519"
    found = look.facts(path)
    if found is None:
        folder = look.facts(f"{look.case.state}/ssh")
        if folder is None and look.facts(look.case.state) is not None:
            return wrong(f"{path} cannot be seen by you: its directory is private to its owner")
        return note("none yet; the first start makes it")
    if found.mode & 0o077:
        return wrong(
            f"{path} may be read by others ({found.mode:04o}): ssh refuses such a key",
            fix=Fix("make the key private", (("chmod", "600", path),)),
        )
    if found.uid != look.case.uid and not look.case.is_root:
        return wrong(f"{path} belongs to user {found.uid}, not to you")
    return fine(f"{path}, private")


def ssh_of_caller(look: Look) -> Verdict:
    """How ssh, for whoever runs this, gets to the builder: our snippet, with nothing before it that spoils it."""
    name = alias(look.case.builder)
    output = look.run("ssh", "-G", name)
    if output.status != 0:
        return wrong(f"ssh's configuration cannot be read: {output.err.strip()[:200]}", "Mend it.")
    says = dict(line.split(" ", 1) for line in output.out.splitlines() if " " in line)
    expected = _expected(look.case)
    if says.get("hostname") == name:
        who = "root" if look.case.is_root else "you"
        return wrong(f"ssh does not know {name} for {who}", fix=_install(look) if look.case.is_root else None)
    spoiled = [
        f"{option} is {says.get(option)!r}, not {value!r}"
        for option, value in expected.items()
        if says.get(option, "") != value
    ]
    if spoiled:
        return wrong(f"something before our part of ssh's configuration changes it: {'; '.join(spoiled)}")
    return fine(f"{name} leads to 127.0.0.1:{says.get('port')}")


def _expected(case: Case) -> dict[str, str]:
    expected = {
        "hostname": "127.0.0.1",
        "user": "builder",
        "hostkeyalias": alias(case.builder),
        "identitiesonly": "yes",
        "controlmaster": "false",
        "stricthostkeychecking": "true",
    }
    if case.config is not None:
        expected["port"] = str(case.config.port)
    return expected


CHECKS = (
    Check("nix", "Nix", nix),
    Check(
        "daemon", "Nix's daemon", daemon, "Start it: `sudo systemctl start nix-daemon`, or see launchctl.", after="nix"
    ),
    Check("known", "the builder in Nix's list", known, "`sudo snowshed machines --install`.", after="nix"),
    Check("line", "the builder's line", fields, "`sudo snowshed machines --install` writes it anew.", after="known"),
    Check("pin", "host key in the line", host_key, "`sudo snowshed machines --install` writes it anew.", after="known"),
    Check("rivals", "other machines", rivals, after="nix"),
    Check("by-itself", "builds of the host itself", by_itself, after="nix"),
    Check("polling", "how often Nix looks", polling, after="nix"),
    Check("restricted", "what you may ask of Nix", restricted, after="nix"),
    Check("key", "the builder's key", key, "Look at a builder as its owner, or as root."),
    Check(
        "ssh",
        "ssh's configuration",
        ssh_of_caller,
        "`sudo snowshed machines --install` puts our part where ssh reads it first; `snowshed ssh` needs none of it.",
    ),
)

"""Making system builders known to root's Nix: the step that the modules for macOS and NixOS run.

Host keys and a guest's true features exist only at run time, and they are known to a supervisor that has no
privileges. Root's Nix believes what ``machines`` and ``known_hosts`` say, so both are root's files, in a directory
that is root's, and nothing gets into them but what was checked here against the plan that the module wrote: a builder
can announce fewer features or systems than it was allowed, and its host key, and nothing else.

Run as ``python -m snowshed.nix.registration PLAN`` by root; whatever touches a builder's own files is run as its user.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from .. import process
from ..errors import SnowshedError, UserError
from .machines import Machine

PATIENCE = 600.0
"""Seconds for a guest that is just starting."""

_HOST_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{68}", re.ASCII)
_PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----"
_MOST_JOBS = 1024


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A builder as its module allows it. `max_jobs` 0: as many as it says; `features` and `systems` are the most."""

    name: str
    host: str
    config: str
    state: str
    key: str
    systems: tuple[str, ...]
    features: tuple[str, ...]
    mandatory: tuple[str, ...]
    max_jobs: int
    speed_factor: int
    protocol: str
    share_key: bool = False


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the module writes. `directory` is root's; `as_user` goes before a command, to run it as the user."""

    directory: str
    snowshed: str
    as_user: tuple[str, ...]
    builders: tuple[Entry, ...]


class Said(msgspec.Struct, frozen=True, rename="camel"):
    """What ``snowshed machines --json`` says of a builder; the rest of it is ours to know."""

    systems: tuple[str, ...]
    max_jobs: int
    supported_features: tuple[str, ...]
    public_host_key: str


class _Status(msgspec.Struct, frozen=True):
    state: str


class Known(msgspec.Struct, frozen=True):
    """What was registered last: a builder that sleeps cannot say what its guest has, and has it all the same."""

    config: str
    said: Said


def vetted(entry: Entry, said: Said) -> Machine:
    """The builder for Nix: by its module's word, within which `said` may choose. Raises `UserError`."""
    if not _HOST_KEY.fullmatch(said.public_host_key):
        raise _refused(entry, "its host key is none")
    systems = tuple(system for system in entry.systems if system in said.systems)
    if not systems:
        raise _refused(entry, "it builds for none of the systems that it is configured for")
    jobs = entry.max_jobs or said.max_jobs
    if not 1 <= jobs <= _MOST_JOBS:
        raise _refused(entry, f"it asks for {jobs} jobs")
    return Machine(
        builder=entry.name,
        host=entry.host,
        protocol=entry.protocol,
        systems=systems,
        key=Path(entry.key),
        max_jobs=jobs,
        speed_factor=entry.speed_factor,
        features=tuple(feature for feature in entry.features if feature in said.supported_features),
        mandatory=entry.mandatory,
        host_key=said.public_host_key,
    )


def _refused(entry: Entry, why: str) -> UserError:
    return UserError(f"The builder {entry.name} is not made known to Nix: {why}.", f"Look into {entry.state}.")


def remembering(said: Said, known: Known | None, *, config: str, running: bool) -> Said:
    """`said`, with the features that the same builder had when it last ran, if it sleeps now."""
    if running or known is None or known.config != config:
        return said
    features = sorted({*said.supported_features, *known.said.supported_features})
    return msgspec.structs.replace(said, supported_features=tuple(features))


def machines_text(machines: Iterable[Machine]) -> str:
    """The file for Nix's `builders`."""
    return "".join(f"{machine.line}\n" for machine in machines)


def known_hosts_text(machines: Iterable[Machine]) -> str:
    """The file for ssh's `GlobalKnownHostsFile`."""
    return "".join(f"{machine.host} {machine.host_key}\n" for machine in machines)


def ask(plan: Plan, entry: Entry, known: Known | None) -> Said:
    """What the builder says of itself, waited for while it starts. Its keys are made if it has none yet."""

    def snowshed(*words: str, timeout: float = 60.0) -> str:
        chosen = ("-b", entry.name, "--state-dir", entry.state)
        return process.run([*plan.as_user, plan.snowshed, *words, *chosen], timeout=timeout)

    said = msgspec.json.decode(snowshed("machines", "--json", "--config", entry.config), type=Said)
    state = _state(snowshed)
    if state in ("starting", "resuming"):
        snowshed("start", "--config", entry.config, timeout=PATIENCE)  # joins the wake that is under way
        said = msgspec.json.decode(snowshed("machines", "--json", "--config", entry.config), type=Said)
        state = "running"
    return remembering(said, known, config=entry.config, running=state == "running")


def _state(snowshed: Callable[..., str]) -> str:
    """The builder's state; empty for one without a supervisor, whose `status` fails."""
    try:
        return msgspec.json.decode(snowshed("status", "--json"), type=_Status).state
    except SnowshedError:
        return ""


def register(plan: Plan) -> list[SnowshedError]:
    """Write the files of `plan`, and return what kept a builder out of them, or kept it as it was known."""
    directory = Path(plan.directory)
    memory = directory / "registration.json"
    before = _remembered(memory)
    now: dict[str, Known] = {}
    machines: list[Machine] = []
    errors: list[SnowshedError] = []
    for entry in plan.builders:
        known = before.get(entry.name)
        try:
            said = ask(plan, entry, known)
            machines.append(vetted(entry, said))
            now[entry.name] = Known(entry.config, said)
            _share_key(plan, entry)
        except (SnowshedError, msgspec.DecodeError) as error:
            errors.append(error if isinstance(error, SnowshedError) else _refused(entry, str(error)))
            if known is not None and entry.name not in now:
                machines.append(vetted(entry, known.said))
                now[entry.name] = known
    write(memory, msgspec.json.encode(now).decode())
    write(directory / "known_hosts", known_hosts_text(machines))
    write(directory / "machines", machines_text(machines))
    return errors


def _remembered(file: Path) -> dict[str, Known]:
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Known])
    except (OSError, msgspec.DecodeError):
        return {}


def _share_key(plan: Plan, entry: Entry) -> None:
    """A copy of the user's key that everybody on the host can read, or none.

    Read as the builders' user, so that no link in a directory of theirs makes root read something else; and given to
    that user, since ssh refuses whoever owns a key that others can read, and root has to use it as well.
    """
    shared = Path(plan.directory) / "keys" / entry.name
    if not entry.share_key:
        shared.unlink(missing_ok=True)
        return
    text = process.run([*plan.as_user, "cat", f"{entry.state}/ssh/id_ed25519"], timeout=60)
    if not text.startswith(_PRIVATE_KEY):
        raise _refused(entry, "its user's key is none")
    shared.parent.mkdir(mode=0o755, exist_ok=True)
    write(shared, text)
    owner = Path(entry.state).stat()
    os.chown(shared, owner.st_uid, owner.st_gid)


def write(file: Path, text: str) -> None:
    """Replace `file` by `text`, readable for everybody, if it is not that already. Nobody ever sees half of it."""
    if file.is_file() and file.read_text() == text:
        return
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    with os.fdopen(descriptor, "w") as new:
        new.write(text)
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    Path(name).replace(file)


def main(words: Sequence[str]) -> int:
    """Register what the plan in the file ``words[0]`` holds; the exit status says whether everything is known."""
    plan = msgspec.json.decode(Path(words[0]).read_bytes(), type=Plan)
    errors = register(plan)
    for error in errors:
        print(f"snowshed: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The control protocol: one JSON object a line, over ``control.sock``.

The supervisor speaks first with a `Greeting`. The client sends one request; the supervisor answers with any number of
``{"event": …}`` lines and ends with one ``{"ok": …}`` or ``{"error": {kind, message, hint}}`` line, then closes.
`PROTOCOL` changes when an old client could misread a new supervisor, or the other way round.
"""

from __future__ import annotations

import msgspec

from .. import PROTOCOL as PROTOCOL


class Greeting(msgspec.Struct, frozen=True):
    """The first line on every connection: who is speaking."""

    snowshed: str
    protocol: int
    builder: str
    pid: int


class Status(msgspec.Struct, frozen=True, tag_field="request", tag="status"):
    """Answered with a `Report`."""


class Start(msgspec.Struct, frozen=True, tag_field="request", tag="start"):
    """Wake the guest; events until it is ready, then a `Report`."""


class Stop(msgspec.Struct, frozen=True, tag_field="request", tag="stop"):
    """Stop VM and supervisor. `force` pulls the plug; otherwise the guest has `grace` seconds (None: configured)."""

    force: bool = False
    grace: float | None = None


class Suspend(msgspec.Struct, frozen=True, tag_field="request", tag="suspend"):
    """Save the VM to disk and end it. `force`: also while something is using it."""

    force: bool = False


class Pause(msgspec.Struct, frozen=True, tag_field="request", tag="pause"):
    """Stop the VM's processors and keep its memory. `force`: also while something is using it."""

    force: bool = False


class Events(msgspec.Struct, frozen=True, tag_field="request", tag="events"):
    """Every event from now on, until the client leaves."""


class History(msgspec.Struct, frozen=True, tag_field="request", tag="history"):
    """The last `lines` events of `kinds` (none: of every kind) and, with `follow`, every one from now on."""

    lines: int = 100
    kinds: tuple[str, ...] = ()
    follow: bool = False


class Collect(msgspec.Struct, frozen=True, tag_field="request", tag="gc"):
    """Collect garbage in the guest's store and give freed blocks back to the host."""


class Watch(msgspec.Struct, frozen=True, tag_field="request", tag="watch"):
    """A `Sample` at once, every `interval` seconds, and whenever something happens, until the client leaves."""

    interval: float = 2.0


class Metrics(msgspec.Struct, frozen=True, tag_field="request", tag="metrics"):
    """Answered with `MetricsText`."""


Question = Status | Events | History | Watch | Metrics
Request = Question | Start | Stop | Suspend | Pause | Collect


class StageTime(msgspec.Struct, frozen=True):
    """A stage of a wake that was reached, `seconds` after the wake began."""

    stage: str
    seconds: float


class DiskUse(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes of the data disk: its size, what it takes of the host, and what files took of its file system when the
    guest last said so, at `used_at` (seconds since the epoch; None: never)."""

    virtual: int
    allocated: int
    used: int | None = None
    used_at: float | None = None


class MemoryUse(msgspec.Struct, frozen=True, rename="camel"):
    """Bytes of memory: what the guest was given, what the hypervisor holds of the host, what the guest has free."""

    configured: int
    resident: int | None = None
    guest_free: int | None = None


class Idle(msgspec.Struct, frozen=True, rename="camel"):
    """What happens to a builder that nobody uses. `remaining` seconds until it does; None: in use, or off.

    `action` is what will really be done, `wanted` what was configured, `reason` why they differ.
    """

    timeout: float
    action: str
    wanted: str
    reason: str = ""
    remaining: float | None = None


class Failure(msgspec.Struct, frozen=True):
    """Why the last operation failed, at `at` (seconds since the epoch); the guest's last console lines beside it."""

    message: str
    hint: str
    stage: str
    at: float
    console: tuple[str, ...] = ()


class Shortage(msgspec.Struct, frozen=True):
    """What ran out in the guest at `at` (seconds since the epoch): `of` is ``memory``, ``disk`` or ``processes``;
    `text` says so to people.

    It was the derivation named `build` that got none (empty: no build, or nobody knows which). Of memory: the kernel
    ended `process`, which held `held` bytes. All builds together may have `limit` bytes or processes (0: nobody knows).
    """

    at: float
    text: str
    build: str
    process: str = ""
    held: int = 0
    limit: int = 0
    of: str = "memory"


class Report(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The state of a builder, as `snowshed status --json` prints it. Times are seconds since the epoch.

    `systems` are those that it builds for, as far as its guest has said (`systems_known`) what became of those that the
    settings want; `emulators` what runs the programs of each that is not its own.
    """

    name: str
    running: bool
    state: str
    state_directory: str
    system: str
    pid: int | None = None
    supervisor_pid: int | None = None
    version: str = ""
    port: int = 0
    driver: str = ""
    driver_reason: str = ""
    accelerator: str = ""
    accelerator_reason: str = ""
    cores: int = 0
    image: str = ""
    network: str = ""
    started_at: float | None = None
    ready_at: float | None = None
    stages: tuple[StageTime, ...] = ()
    connections: int = 0
    held: int = 0
    leases: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    systems_known: bool = False
    emulators: dict[str, str] = {}
    features: tuple[str, ...] = ()
    suspend_blocker: str = ""
    idle: Idle | None = None
    disk: DiskUse | None = None
    memory: MemoryUse | None = None
    failure: Failure | None = None
    shortages: tuple[Shortage, ...] = ()
    notices: tuple[str, ...] = ()


class Happening(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event, also a line of ``events.jsonl``: `kind` is ``state``, ``stage`` or ``message``; `at` is seconds since
    the epoch; `level` is ``info``, ``warning`` or ``error``. Those of the kind ``progress`` are only for whoever waits:
    `fraction` of what `text` says is done."""

    at: float
    kind: str
    text: str
    level: str = "info"
    state: str = ""
    stage: str = ""
    seconds: float = 0.0
    fraction: float | None = None


KEPT = ("state", "stage", "message")
"""Kinds of events that ``events.jsonl`` keeps."""


class RunningBuild(msgspec.Struct, frozen=True):
    """A build in the guest: for how many `seconds`, processor seconds and bytes of memory that it uses."""

    name: str
    seconds: float
    processor: float
    memory: int
    processes: int


class Sample(msgspec.Struct, frozen=True, rename="camel", tag_field="kind", tag="sample"):
    """The builder's figures at `at` (seconds since the epoch), an event of `Watch`.

    What only ever grows is for the client to take differences of: `processor` seconds that the guest has cost, bytes
    that went to the guest and came from it, `served` connections, derivations
    `built` on its disk (the last that is known). None: asleep, or the guest does not say.
    """

    at: float
    report: Report
    processor: float | None = None
    to_guest: int = 0
    from_guest: int = 0
    served: int = 0
    built: int | None = None
    builds: tuple[RunningBuild, ...] | None = None


class MetricsText(msgspec.Struct, frozen=True):
    """The builder's figures as Prometheus reads them."""

    text: str


Answerable = Happening | Sample | Report | MetricsText
"""What an answer consists of: events and samples, and at most one of the others at its end."""

_decoder: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def decode_request(line: bytes) -> Request:
    """The request in `line`. Raises `msgspec.ValidationError` or `msgspec.DecodeError`."""
    return _decoder.decode(line)

"""What host and guest agree on: `contract.json`, which the Nix guest modules read as well.

No tag, serial, port or member name is written anywhere else.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

CONTRACT_FILE = Path(__file__).with_name("contract.json")


class Disks(msgspec.Struct, frozen=True):
    """Virtio serials of the disks."""

    root: str
    data: str
    seed: str


class Labels(msgspec.Struct, frozen=True):
    """File system labels, for hypervisors without serials."""

    data: str
    root: str


class Shares(msgspec.Struct, frozen=True):
    """Virtiofs tags that are ours; every other tag is a user's."""

    nix_store: str
    rosetta: str


class Ports(msgspec.Struct, frozen=True):
    """`ssh` is a TCP and a vsock port; `agent` a vsock port where there is no virtio-serial."""

    ssh: int
    agent: int


class Builds(msgspec.Struct, frozen=True):
    """What builds get of a guest, so that one that runs wild dies and the guest lives: shares of its memory and of the
    processes that its kernel allows, in percent, for all of them; and the most processes that one may have."""

    memory_percent: int
    processes_percent: int
    processes_of_each: int


class SeedMembers(msgspec.Struct, frozen=True):
    """Names in the seed disk's tar archive, `settings` always the first; the last two are there when given."""

    settings: str
    environment: str
    nix_conf: str
    host_key: str
    authorized_keys: str
    ca_bundle: str
    netrc: str


class Contract(msgspec.Struct, frozen=True):
    """`contract.json`. A guest says ``<stage_mark> <stage>`` on its console as it gets there.

    What it finds out about itself it says after `fact_mark`, before its last stage (`guest.facts` reads that). `probes`
    holds, for each system, a program in base64: an ELF header, one segment, exit(42). What ends so when it is told to
    run it runs programs of that system; a shell that takes it for a script does not.
    """

    version: int
    disks: Disks
    labels: Labels
    shares: Shares
    ports: Ports
    agent_channel: str
    user: str
    run_dir: str
    data_dir: str
    share_dir: str
    builds: Builds
    seed: SeedMembers
    stage_mark: str
    stages: tuple[str, ...]
    fact_mark: str
    probes: dict[str, str]


@cache
def contract() -> Contract:
    """The contract of this version of snowshed."""
    return msgspec.json.decode(CONTRACT_FILE.read_bytes(), type=Contract)

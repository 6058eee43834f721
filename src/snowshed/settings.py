"""What can be asked of a builder: every option, its type, its default and what it means.

The types are what the rest of the program is given: complete, in bytes and seconds. How a person writes them (`6GiB`,
`30min`, a plain number of MiB) is `config`'s. The descriptions are the documentation's and the JSON Schema's source.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .model.machine import Accelerator, Arch, Network, arch_of_system
from .model.systems import promised
from .units import GIB

DEFAULT_PORT = 31222


class IdleConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with a builder that nobody uses. `timeout` in seconds."""

    timeout: Annotated[
        float, Meta(description="How long nobody may use the builder before it is put to rest; 0 for never. Minutes.")
    ] = 0.0
    action: Annotated[
        str,
        Meta(
            description="What is done then: `suspend` (memory to disk), `pause` (memory stays), `stop`, or `auto`: "
            "suspend where that is possible, else stop."
        ),
    ] = "auto"


class WatchdogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done with a guest that answers nobody. `timeout` in seconds."""

    timeout: Annotated[
        float, Meta(description="How long the guest's agent and its SSH may both be silent; 0 for ever. Seconds.")
    ] = 120.0
    action: Annotated[
        str, Meta(description="What is done then: `report` ends the guest and says so, `restart` also starts it anew.")
    ] = "report"


class NixConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What Nix is told about the builder, and what the guest's own Nix is told. Sizes in bytes."""

    max_jobs: Annotated[int, Meta(description="How many builds run at once; 0 for as many as it has cores.")] = 0
    speed_factor: Annotated[int, Meta(description="How fast Nix takes it to be, compared with other machines.")] = 1
    protocol: Annotated[str, Meta(description="How Nix talks to it: `ssh-ng` or `ssh`.")] = "ssh-ng"
    features: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="System features that Nix is told; those that the running guest does not have are left out. "
            "By default all that it has."
        ),
    ] = None
    emulate: Annotated[
        tuple[str, ...],
        Meta(
            description="Other systems to build for in the guest, in emulation: `x86_64-linux` or `aarch64-linux`, "
            "whichever it is not. Nix is told only what the guest found that it can."
        ),
    ] = ()
    min_free: Annotated[
        int,
        Meta(
            description="Garbage is collected in the guest when less than this is free on its disk and nobody builds. "
            "On a small disk less: a tenth of it."
        ),
    ] = 5 * GIB
    max_free: Annotated[int, Meta(description="It stops when this much is free.")] = 7 * GIB
    substituters: Annotated[
        tuple[str, ...] | None, Meta(description="Binary caches that the guest asks. By default those of its image.")
    ] = None
    trusted_public_keys: Annotated[
        tuple[str, ...] | None, Meta(description="The keys that these sign with. By default those of its image.")
    ] = None
    ca_bundle: Annotated[
        str,
        Meta(
            description="A file of certificates that the guest trusts, instead of its own: for a proxy that decrypts."
        ),
    ] = ""
    netrc: Annotated[str, Meta(description="A netrc file for caches that ask for a password, read at every start.")] = (
        ""
    )
    proxy: Annotated[str, Meta(description="The URL of a proxy that the guest fetches through.")] = ""
    no_proxy: Annotated[str, Meta(description="Hosts that it reaches without, as curl(1) takes them.")] = ""


class ShareConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A directory of the host that the guest sees under ``/mnt/<name>``."""

    path: Annotated[str, Meta(description="The directory of the host, absolute.")]
    read_only: Annotated[bool, Meta(description="Whether the guest may only read there.")] = True


class BuilderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One builder, complete. `cores` and `memory` (bytes) are what the guest gets, `disk_size` bytes its data disk."""

    system: Annotated[
        str, Meta(description="The guest's system: `aarch64-linux` or `x86_64-linux`. By default like this machine.")
    ] = ""
    driver: Annotated[
        str, Meta(description="What runs the machine: `qemu`, `vz`, `vfkit`, `krunkit`, or `auto`: the best one here.")
    ] = "auto"
    cores: Annotated[int, Meta(description="Processor cores of the guest; by default 4, or what this machine has.")] = 4
    memory: Annotated[
        int,
        Meta(
            description="Memory of the guest: `6GiB`, or a number of MiB; by default 8 GiB, or half of this machine's."
        ),
    ] = 8 * GIB
    disk_size: Annotated[
        int, Meta(description="Size of the guest's data disk. It is sparse, can grow, and never shrinks.")
    ] = 100 * GIB
    port: Annotated[int, Meta(description="SSH to the guest is on this port of 127.0.0.1.")] = DEFAULT_PORT
    image: Annotated[
        str,
        Meta(description="The image that the guest boots: a name of `snowshed image list`. By default made as needed."),
    ] = ""
    kernel: Annotated[
        str, Meta(description="A kernel to boot instead of an image, with `initrd` and `system_path`.")
    ] = ""
    initrd: Annotated[str, Meta(description="The initrd for that kernel.")] = ""
    system_path: Annotated[
        str, Meta(description="The NixOS system that it starts, a path of this host's Nix store.")
    ] = ""
    network: Annotated[
        Network,
        Meta(
            description="What the guest reaches: `nat` (the world, through this host), `restricted` or `none`. "
            "SSH from this host works with each."
        ),
    ] = Network.NAT
    accel: Annotated[
        Accelerator,
        Meta(
            description="What executes the guest: `kvm`, `hvf`, `tcg` (emulation), or `auto`: what is proven to work."
        ),
    ] = Accelerator.AUTO
    on_demand: Annotated[bool, Meta(description="Whether `snowshed run` boots nothing until a connection comes.")] = (
        False
    )
    share_nix_store: Annotated[
        bool, Meta(description="Whether the guest sees this host's Nix store, read-only, as `/mnt/nix-store`.")
    ] = False
    rosetta: Annotated[bool, Meta(description="Whether x86_64 programs run through Rosetta, on a Mac.")] = False
    nested_virtualization: Annotated[
        bool,
        Meta(description="Whether virtual machines run in the guest; Nix is told `kvm` only where they really do."),
    ] = False
    metrics_port: Annotated[
        int,
        Meta(description="Figures for Prometheus are on this port of 127.0.0.1, at /metrics; 0 for none."),
    ] = 0
    verbose: Annotated[bool, Meta(description="Whether the guest's console is shown on standard error.")] = False
    stop_grace: Annotated[
        float, Meta(description="How long the guest may take to shut down before the plug is pulled. Seconds.")
    ] = 30.0
    idle: Annotated[IdleConfig, Meta(description="What is done with a builder that nobody uses.")] = IdleConfig()
    watchdog: Annotated[WatchdogConfig, Meta(description="What is done with a guest that answers nobody.")] = (
        WatchdogConfig()
    )
    nix: Annotated[NixConfig, Meta(description="What Nix is told of the builder, and the guest's own Nix.")] = (
        NixConfig()
    )
    shares: Annotated[
        dict[str, ShareConfig],
        Meta(description="Directories of this host that the guest sees, under `/mnt/` and the name of the table."),
    ] = {}

    @property
    def arch(self) -> Arch:
        return arch_of_system(self.system)

    @property
    def shares_store(self) -> bool:
        """Whether the guest sees the host's store: to boot from it, or because it was asked for."""
        return self.share_nix_store or bool(self.system_path)

    @property
    def systems(self) -> tuple[str, ...]:
        """What the builder is to build for: its own system first, then those that its guest is to emulate."""
        return promised(self.system, self.nix.emulate, rosetta=self.rosetta)


TABLES: dict[str, type[msgspec.Struct]] = {
    "": BuilderConfig,
    "idle": IdleConfig,
    "watchdog": WatchdogConfig,
    "nix": NixConfig,
    "shares.*": ShareConfig,
}
"""Every table of a configuration file, by name, with its options."""

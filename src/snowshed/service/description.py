"""A builder as a service, told once; systemd's units and launchd's property lists are two forms of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..config import BuilderConfig
from ..shares import NIX_STORE
from ..units import GIB


@dataclass(frozen=True)
class Description:
    """A builder's service. `program` is the whole command line, absolute. With `home` None it is the system's, run by
    the account `user`; otherwise it belongs to the user with that home directory. Sizes in bytes, times in seconds.
    """

    builder: str
    program: tuple[str, ...]
    state: Path
    config: Path
    port: int
    memory: int
    on_demand: bool = True
    stop_grace: float = 30.0
    user: str = ""
    groups: tuple[str, ...] = ()
    """Groups of this host that open devices to the account: ``kvm``, where there is one."""
    home: Path | None = None
    shares: Mapping[str, bool] = field(default_factory=dict)
    """Directories of the host that the guest sees, each with whether it may write there."""
    search_path: str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    @property
    def is_system(self) -> bool:
        return self.home is None

    @property
    def most_memory(self) -> int:
        """What the hypervisor may take of the host: the guest's memory, and a quarter or a gigabyte more for itself.
        An emulator translates code into memory of its own."""
        return self.memory + max(GIB, self.memory // 4)


def describe(
    builder: str,
    config: BuilderConfig,
    *,
    snowshed: tuple[str, ...],
    state: Path,
    config_file: Path,
    always: bool = False,
    user: str = "",
    groups: tuple[str, ...] = (),
    home: Path | None = None,
    search_path: str = "",
) -> Description:
    """The service of `builder` with the configuration in `config_file`; `snowshed` is how the command is called.
    It waits for its first connection unless `always`."""
    program = [*snowshed, "run", "-b", builder, "--state-dir", str(state), "--config", str(config_file)]
    program.append("--no-on-demand" if always else "--on-demand")
    return Description(
        builder=builder,
        program=tuple(program),
        state=state,
        config=config_file,
        port=config.port,
        memory=config.memory,
        on_demand=not always,
        stop_grace=config.stop_grace,
        user=user,
        groups=groups,
        home=home,
        shares=_shares(config),
        search_path=search_path or Description.search_path,
    )


def _shares(config: BuilderConfig) -> dict[str, bool]:
    store = {str(NIX_STORE): False} if config.shares_store else {}
    return store | {share.path: not share.read_only for share in config.shares.values()}

"""The seed disk: what a guest is told at every start, as the bytes of a plain tar archive. Pure.

Everything that reaches the guest goes through here, so that changing a setting never rebuilds an image and never
touches the data disk. Only root in the guest can read the disk. Members and their names are in ``contract.json``:

=================  =================================================================================================
settings.json      all settings, for programs (`Settings`)
settings.env       the same that the guest's start needs, as shell assignments
nix.conf           what the guest's Nix is told besides the configuration in its image
ssh_host_…_key     the guest's SSH host key, made and pinned on the host
authorized_keys    the builder's public user key
ca-bundle.crt      certificates to trust besides those of the image, where the host gives some
netrc              passwords for binary caches, where the host gives some
=================  =================================================================================================
"""

from __future__ import annotations

import io
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..config import BuilderConfig
from ..drivers.base import GuestNetwork
from ..model.machine import Network
from .contract import contract


class ShareSettings(msgspec.Struct, frozen=True):
    """A virtiofs share and where the guest mounts it."""

    tag: str
    path: str
    read_only: bool


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``settings.json``. `time` is the host's clock at this start, in seconds since the epoch."""

    contract: int
    builder: str
    hostname: str
    time: int
    network: str
    address: str
    gateway: str
    nameserver: str
    rosetta: bool
    kvm: bool
    emulate: tuple[str, ...]
    proxy: str
    no_proxy: str
    shares: tuple[ShareSettings, ...]


@dataclass(frozen=True)
class SeedContents:
    """What one start tells the guest. Both keys are OpenSSH's text forms; the host key is the private one."""

    settings: Settings
    nix_conf: str
    host_key: str
    authorized_keys: str
    ca_bundle: bytes = b""
    netrc: bytes = b""

    @classmethod
    def of(
        cls,
        name: str,
        config: BuilderConfig,
        network: GuestNetwork,
        *,
        host_key: str,
        user_key: str,
        now: float,
        ca_bundle: bytes = b"",
        netrc: bytes = b"",
    ) -> SeedContents:
        """The contents for the builder `name`: `user_key` is its public key, `now` seconds since the epoch,
        `ca_bundle` and `netrc` the contents of the files that the configuration names.
        """
        settings = settings_of(name, config, network, now)
        return cls(settings, nix_conf(config), _line(host_key), _line(user_key), ca_bundle, netrc)

    def members(self) -> dict[str, bytes]:
        """Names and contents in the archive's order: the settings first, by which a disk without a serial is known."""
        names = contract().seed
        optional = {names.ca_bundle: self.ca_bundle, names.netrc: self.netrc}
        return {
            names.settings: msgspec.json.format(msgspec.json.encode(self.settings), indent=2) + b"\n",
            names.environment: environment(self.settings).encode(),
            names.nix_conf: self.nix_conf.encode(),
            names.host_key: self.host_key.encode(),
            names.authorized_keys: self.authorized_keys.encode(),
            **{name: data for name, data in optional.items() if data},
        }

    def archive(self) -> bytes:
        """The disk's bytes, a multiple of 512; equal contents give equal bytes."""
        output = io.BytesIO()
        secret = {contract().seed.host_key, contract().seed.netrc}
        with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in self.members().items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o600 if name in secret else 0o644
                tar.addfile(member, io.BytesIO(data))
        return output.getvalue()


def settings_of(name: str, config: BuilderConfig, network: GuestNetwork, now: float) -> Settings:
    """The settings of the builder `name`, at `now` seconds since the epoch."""
    agreed = contract()
    features = config.nix.features
    return Settings(
        contract=agreed.version,
        builder=name,
        hostname=f"snowshed-{name}",
        time=int(now),
        network=network.mode,
        address=network.address,
        gateway=network.gateway if config.network is Network.NAT else "",
        nameserver=network.nameserver if config.network is Network.NAT else "",
        rosetta=config.rosetta,
        kvm=config.nested_virtualization or (features is not None and "kvm" in features),
        emulate=config.systems[1:],
        proxy=config.nix.proxy,
        no_proxy=config.nix.no_proxy,
        shares=tuple(
            ShareSettings(tag=tag, path=str(Path(agreed.share_dir) / tag), read_only=read_only)
            for tag, read_only in sorted(_shares(config).items())
        ),
    )


def _shares(config: BuilderConfig) -> dict[str, bool]:
    """Tags of all that the guest mounts beside the others, and whether it may only read there.

    A guest that boots from the host's store has that one where it belongs already.
    """
    store = {contract().shares.nix_store: True} if config.share_nix_store and not config.system_path else {}
    return store | {tag: share.read_only for tag, share in config.shares.items()}


def environment(settings: Settings) -> str:
    """``settings.env``: one shell assignment a line; the proxies under the names that curl(1) knows."""
    values = {
        "HOSTNAME": settings.hostname,
        "TIME": str(settings.time),
        "NETWORK": settings.network,
        "ADDRESS": settings.address,
        "GATEWAY": settings.gateway,
        "NAMESERVER": settings.nameserver,
        "ROSETTA": "1" if settings.rosetta else "",
        "KVM": "1" if settings.kvm else "",
        "EMULATE": " ".join(settings.emulate),
        "SHARES": " ".join(f"{s.tag}:{'ro' if s.read_only else 'rw'}:{s.path}" for s in settings.shares),
    }
    ours = {f"SNOWSHED_{name}": value for name, value in values.items()}
    if settings.proxy:
        ours |= {"http_proxy": settings.proxy, "https_proxy": settings.proxy, "no_proxy": settings.no_proxy}
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in ours.items())


def nix_conf(config: BuilderConfig) -> str:
    """What the guest's Nix is told. A guest without the outside world asks no substituter: each miss costs seconds.

    Not the systems that it is to emulate: of those it tells its Nix itself, once it has seen that it can.
    """
    nix = config.nix
    lines = [
        f"cores = {config.cores}",
        f"max-jobs = {nix.max_jobs or config.cores}",
    ]
    if config.network is not Network.NAT:
        lines.append("substituters =")
    elif nix.substituters is not None:
        lines.append(_setting("substituters", nix.substituters))
    if nix.trusted_public_keys is not None:
        lines.append(_setting("trusted-public-keys", nix.trusted_public_keys))
    for setting, given, member in (
        ("ssl-cert-file", nix.ca_bundle, contract().seed.ca_bundle),
        ("netrc-file", nix.netrc, contract().seed.netrc),
    ):
        if given:
            lines.append(f"{setting} = {contract().run_dir}/{member}")
    if nix.features is not None:
        lines.append(_setting("system-features", nix.features))
    return "".join(f"{line}\n" for line in lines)


def collection_limits(config: BuilderConfig) -> tuple[int, int]:
    """Free bytes at which collecting garbage in the guest begins and stops: those configured, on a small disk less."""
    return min(config.nix.min_free, config.disk_size // 10), min(config.nix.max_free, config.disk_size // 7)


def _setting(name: str, values: tuple[str, ...]) -> str:
    return " ".join([name, "=", *values])


def _line(text: str) -> str:
    return text.rstrip("\n") + "\n"

"""Images that can be fetched: by this version's own table (``released.toml``), or by an address that somebody names.

An address counts only with the SHA-256 of what lies there: whoever changes the one cannot change the other.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import msgspec

from .. import paths
from ..errors import UserError
from ..model.machine import Arch
from . import download, importing, packed, store, workshop
from .progress import Report, silent

TABLE = Path(__file__).with_name("released.toml")

_SCHEMES = ("https", "http", "file")


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to fetch, and the image that is in it, where that is known: `sha256` and `digest` are 64 hex digits."""

    url: str
    sha256: str
    system: str = ""
    digest: str = ""


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    image: tuple[Source, ...]


def table(file: Path = TABLE) -> tuple[Source, ...]:
    """What was released with this version."""
    return msgspec.toml.decode(file.read_bytes(), type=_Table).image


def known(arch: Arch, file: Path = TABLE) -> Source | None:
    """The released image for `arch`, or None."""
    return next((source for source in table(file) if source.system == arch.nix_system), None)


def pinned(arch: Arch, file: Path = TABLE) -> Source:
    """The released image for `arch`. Raises `UserError` where there is none."""
    found = known(arch, file)
    if found is None:
        empty = "its table of released images is empty" if not table(file) else "none was released for it"
        raise UserError(
            f"This version of snowshed knows no image for {arch.nix_system} to fetch: {empty}.",
            f"Make one: `snowshed image build` on Debian or Ubuntu, `nix build .#debian-image-{arch.nix_system}` where "
            "there is Nix, on a Mac too. Or name one with --url and --sha256.",
        )
    return found


def named(url: str, sha256: str) -> Source:
    """The file at `url` with that SHA-256: 64 hex digits, or as Nix writes it (``sha256-…=``). Raises `UserError`."""
    if not url or not sha256:
        raise UserError("--url and --sha256 go together.", "Give both: an address counts only with its hash.")
    address = urlsplit(url)
    if address.scheme not in _SCHEMES:
        raise UserError(f"{url!r} is not an address that can be fetched.", "Give an https: address.")
    if address.scheme == "file" and not Path(unquote(address.path)).is_file():
        raise UserError(f"There is no file at {url}.", "Check the address: file:// and the whole path.")
    return Source(url, _hex(sha256))


def _hex(text: str) -> str:
    digest = text.strip().lower()
    if text.startswith("sha256-"):
        try:
            digest = base64.b64decode(text.removeprefix("sha256-"), validate=True).hex()
        except binascii.Error:
            digest = ""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise UserError(f"{text!r} is not a SHA-256.", "Give 64 hex digits, as `sha256sum` prints them.")
    return digest


def fetch(source: Source, report: Report = silent) -> tuple[store.Image, bool]:
    """The image at `source`, and whether it is a new one.

    Nothing of it counts before all of it is here and its hash is right. Raises `UserError` for an address that cannot
    be reached, and for what lies there and is not what it should be.
    """
    if source.digest and source.system:
        there = _already(source)
        if there is not None:
            return there, False
    with workshop.only_one(report):
        file = download.get(source.url, source.sha256, paths.cache_root() / "downloads", report)
    try:
        if packed.is_packed(file):
            return packed.unpack(file, report)
        return importing.import_disk(file, report=report, origin=Path(urlsplit(source.url).path).name)
    finally:
        file.unlink(missing_ok=True)


def _already(source: Source) -> store.Image | None:
    from ..model.machine import arch_of_system

    return store.load(paths.images_root() / store.name_of(arch_of_system(source.system), source.digest))

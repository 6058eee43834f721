"""`snowshed image`"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec

from ..config import Host
from ..errors import UserError
from ..images import apt, debian, importing, store
from ..images.store import Image
from ..model.machine import Arch, arch_of_system
from ..units import format_size
from . import candidates
from .options import Invocation, common, waiting
from .progress import How, done, progress
from .render import note, out, table


@click.group("image", short_help="Make, list and delete what guests boot from.")
@common
def command() -> None:
    """Make, list and delete what guests boot from. `snowshed start` makes the image that it needs by itself.

    An image NAME is the one that `list` shows, the beginning of it, or the path of an image's folder.

    \b
    snowshed image list
    snowshed image build --system aarch64-linux
    """


@command.command("build")
@common
@click.option(
    "--system",
    metavar="SYSTEM",
    shell_complete=candidates.words(*candidates.SYSTEMS),
    help="aarch64-linux or x86_64-linux (default: like this machine).",
)
@click.option("--suite", metavar="SUITE", default=apt.DEFAULT_SUITE, show_default=True, help="The release of Debian.")
@click.option(
    "--mirror", metavar="URI", default="", help="Where its packages are (default: where this host's apt looks)."
)
@click.option("--efi", is_flag=True, help="A raw disk that UEFI firmware boots, for krunkit and other programs.")
@click.option("--if-missing", is_flag=True, help="Only if there is none that this version of snowshed made.")
@waiting
@click.pass_obj
def build(invocation: Invocation, system: str | None, suite: str, mirror: str, efi: bool, if_missing: bool) -> int:
    """Make the image from Debian's packages as they are now, and print its folder.

    Needs no root. If the same packages made an image before, that one is the result.

    \b
    snowshed image build                            what `start` makes by itself
    snowshed image build --efi                      disk.img in the folder that it prints boots anywhere
    """
    arch = arch_of_system(system) if system else _own_arch()
    there = store.newest(arch, current=True, efi_disk=efi) if if_missing else None
    if there is not None:
        return _built(f"{there.name}: there already.", there, invocation.how)
    began = time.monotonic()
    with _terminated_as_interrupted(), progress("Making the image", invocation.how) as shown:
        built = debian.build(arch, suite, mirror, shown.moved, efi_disk=efi)
    if built.stale_lists:
        note("The mirror could not be reached; the package lists of the last time were used.")
    how = f"made in {time.monotonic() - began:.1f} s" if built.fresh else "there already"
    facts = f"{format_size(built.image.size)}, {len(built.image.manifest.packages)} packages"
    return _built(f"{built.image.name} ({facts}): {how}.", built.image, invocation.how)


def _built(text: str, image: Image, how: How) -> int:
    done(text, how, name=image.name, path=str(image.path))
    if how is not How.JSON:
        out(str(image.path))
    return 0


@command.command("import")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--system", metavar="SYSTEM", help="aarch64-linux or x86_64-linux (default: what its boot loader is for)."
)
@waiting
@click.pass_obj
def import_disk(invocation: Invocation, file: Path, system: str | None) -> int:
    """Make an image of a raw disk that boots by UEFI, and print its folder.

    Each builder runs from a copy of its own, which shares its blocks where the file system can, and grows to
    --disk-size. The guest on it has to keep snowshed's guest contract, as NixOS of `nix build .#vm-image` does.

    \b
    snowshed image import nixos.raw
    snowshed start --image NAME                     NAME is what `import` said, or the beginning of it
    """
    arch = arch_of_system(system) if system else None
    with _terminated_as_interrupted(), progress("Importing the disk", invocation.how) as shown:
        image, fresh = importing.import_disk(file, arch, shown.moved)
    how = "imported" if fresh else "there already"
    facts = f"{format_size(image.size)}, {image.manifest.system}"
    text = f"{image.name} ({facts}): {how}. `snowshed start --image {image.name}` starts a builder from it."
    return _built(text, image, invocation.how)


@command.command("list")
@common
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_images(as_json: bool) -> int:
    """The images on this machine, the newest first.

    \b
    snowshed image list
    """
    images = store.images()
    if as_json:
        out(json.dumps([_facts(image) for image in images], indent=2))
    elif images:
        out(table([("NAME", "SYSTEM", "FROM", "KERNEL", "MADE", "SIZE", "USED BY"), *map(_row, images)]))
    else:
        note("There is no image yet; `snowshed image build` makes one, and so does `snowshed start`.")
    return 0


@command.command("show")
@common
@click.argument("name", shell_complete=candidates.images)
@click.option("--json", "as_json", is_flag=True, help="The whole manifest, as JSON.")
def show(name: str, as_json: bool) -> int:
    """What an image is made of.

    \b
    snowshed image show x86_64-143e
    """
    image = store.find(name)
    manifest = image.manifest
    if as_json:
        out(msgspec.json.format(msgspec.json.encode({**_facts(image), "manifest": manifest})).decode())
        return 0
    facts = [(key, str(value)) for key, value in _facts(image).items() if key != "usedBy"]
    facts += [(file, f"{format_size(about.size)}, SHA-256 {about.sha256}") for file, about in manifest.files.items()]
    out(table([*facts, *((f"  {package.name}", package.version) for package in manifest.packages)]))
    return 0


@command.command("rm")
@common
@click.argument("names", nargs=-1, required=True, metavar="NAME...", shell_complete=candidates.images)
@click.option("--force", is_flag=True, help="Also where a builder was last started from it.")
def remove(names: tuple[str, ...], force: bool) -> int:
    """Delete images. The downloaded packages stay, and make the next one quickly.

    \b
    snowshed image rm x86_64-143e
    """
    for image in [store.find(name) for name in names]:
        taken = image.taken
        store.remove(image, force=force)
        note(f"{image.name} is gone; {format_size(taken)} are free again.")
    return 0


def _own_arch() -> Arch:
    arch = Host.this().arch
    if arch is None:
        raise UserError("There is no image for a machine like this one.", "Choose one with --system.")
    return arch


def _facts(image: Image) -> dict[str, Any]:
    manifest = image.manifest
    return {
        "name": image.name,
        "path": str(image.path),
        "system": manifest.system,
        "suite": manifest.suite,
        "kernel": manifest.boot.kernel_version,
        "boot": "efi" if image.disk else "linux",
        "origin": manifest.origin,
        "created": _when(manifest.created),
        "size": image.size,
        "digest": manifest.digest,
        "usedBy": store.builders_using(image),
    }


def _row(image: Image) -> tuple[str, ...]:
    facts = _facts(image)
    users = ", ".join(facts["usedBy"]) or "-"
    made = facts["created"].replace("T", " ")[:16]
    suite = f"{facts['suite'] or facts['origin']}{' (EFI)' if image.disk else ''}"
    return facts["name"], facts["system"], suite, facts["kernel"] or "-", made, format_size(facts["size"]), users


def _when(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block like Ctrl-C does: what it had begun is cleared away."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

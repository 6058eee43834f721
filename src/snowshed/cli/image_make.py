"""Verbs of `snowshed image` that make images: build, import, upgrade."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from .. import paths
from ..config import Host
from ..errors import UserError
from ..images import apt, importing, packed, released, store, upkeep
from ..images.manifest import describe
from ..images.store import Image
from ..images.upkeep import Upgrade
from ..model.machine import Arch, arch_of_system
from ..units import counted, format_size
from . import candidates, image_account, image_where
from .options import F, Invocation, NewFile, common, waiting
from .progress import How, done, progress
from .render import note, out


def _system(default: str) -> Callable[[F], F]:
    return click.option(
        "--system",
        metavar="SYSTEM",
        shell_complete=candidates.words(*candidates.SYSTEMS),
        help=f"aarch64-linux or x86_64-linux (default: {default}).",
    )


def _debian(function: F) -> F:
    """Which Debian the packages are of."""
    mirror = click.option(
        "--mirror", metavar="URI", default="", help="Where its packages are (default: where apt looks)."
    )
    suite = click.option(
        "--suite", metavar="SUITE", default=apt.DEFAULT_SUITE, show_default=True, help="The release of Debian."
    )
    on = click.option(
        "--on",
        metavar="BUILDER",
        default="",
        shell_complete=candidates.builders,
        help="Make it inside this builder (default: where this host lacks the tools, in one that is there).",
    )
    return suite(mirror(on(function)))


@click.command("build")
@common
@_system("like this machine")
@_debian
@click.option("--efi", is_flag=True, help="A raw disk that UEFI firmware boots, for krunkit and other programs.")
@click.option("--if-missing", is_flag=True, help="Only if there is none that this version of snowshed made.")
@waiting
@click.pass_obj
def build(
    invocation: Invocation, system: str | None, suite: str, mirror: str, on: str, efi: bool, if_missing: bool
) -> int:
    """Make the image from Debian's packages as they are now, and print its folder.

    Needs no root. If the same packages made an image before, that one is the result. A host without apt, such as a
    Mac, has a builder make it: inside it the same happens, from the packages of the mirror that Debian's own apt knows.

    \b
    snowshed image build                            what `start` makes by itself
    snowshed image build --on default               inside the builder default
    snowshed image build --efi                      disk.img in the folder that it prints boots anywhere
    """
    arch = arch_of_system(system) if system else _own_arch()
    there = store.newest(arch, current=True, efi_disk=efi) if if_missing else None
    if there is not None:
        return _built(f"{there.name}: there already.", there, invocation.how)
    began = time.monotonic()
    maker = image_where.maker(on, invocation.how)
    with _terminated_as_interrupted(), progress("Making the image", invocation.how) as shown:
        built = maker.build(arch, suite, mirror, shown.moved, efi_disk=efi)
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


@click.command("import")
@common
@click.argument("file", type=click.Path(path_type=Path))
@_system("what its boot loader is for")
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


@click.command("fetch")
@common
@_system("like this machine")
@click.option("--url", metavar="URL", default="", help="Another image than the released one, with --sha256.")
@click.option("--sha256", metavar="HASH", default="", help="Of what lies there, as `sha256sum` or Nix writes it.")
@waiting
@click.pass_obj
def fetch(invocation: Invocation, system: str | None, url: str, sha256: str) -> int:
    """Download the image that was released with this version of snowshed, and print its folder.

    It is for machines that can build none: a Mac without Nix, a Linux without apt. With --url it gets what `image
    export` wrote, or a raw disk as `image import` takes it. Nothing counts before its hash is right, and a download
    that was interrupted goes on where it ended.

    \b
    snowshed image fetch
    snowshed image fetch --url https://example.org/nixos.raw --sha256 HASH
    """
    if url or sha256:
        source = released.named(url, sha256)
    else:
        source = released.pinned(arch_of_system(system) if system else _own_arch())
    with _terminated_as_interrupted(), progress("Fetching the image", invocation.how) as shown:
        image, fresh = released.fetch(source, shown.moved)
    how = "fetched" if fresh else "there already"
    return _built(f"{image.name} ({format_size(image.size)}): {how}.", image, invocation.how)


@click.command("export")
@common
@click.argument("name", shell_complete=candidates.images)
@click.argument("file", type=NewFile())
@waiting
@click.pass_obj
def export(invocation: Invocation, name: str, file: Path) -> int:
    """Write an image into one file, for a machine that can build none, and print the file's SHA-256.

    \b
    snowshed image export x86_64-9dd3 image.tar
    snowshed image fetch --url file:///Volumes/stick/image.tar --sha256 HASH
    """
    image = store.find(name)
    with _terminated_as_interrupted(), progress("Writing the file", invocation.how) as shown:
        packed.pack(image, file, shown.moved)
    digest = describe(file).sha256
    done(f"{image.name} is in {file} ({format_size(file.stat().st_size)}).", invocation.how, sha256=digest)
    if invocation.how is not How.JSON:
        out(digest)
    return 0


@click.command("upgrade")
@common
@_system("all that have images")
@_debian
@click.option("--check", is_flag=True, help="Ask, say what is newer, and make nothing.")
@waiting
@click.pass_obj
def upgrade(invocation: Invocation, system: str | None, suite: str, mirror: str, on: str, check: bool) -> int:
    """Make new images if Debian has newer packages than the newest ones here, and say what changed.

    A builder takes the new image at its next start or restart. One that is suspended wakes with the image that it fell
    asleep with, and one with --image keeps that one. `status` and `doctor` remember the answer, with its date.

    The system's builders take the images of the account that runs them; it is said at the end how these are upgraded.

    \b
    snowshed image upgrade --check                  what is newer?
    snowshed image upgrade && snowshed restart
    snowshed image prune                            afterwards: the old ones
    """
    maker = image_where.maker(on, invocation.how)
    for arch in [arch_of_system(system)] if system else _archs():
        with _terminated_as_interrupted(), progress("Asking Debian", invocation.how) as shown:
            ask = upkeep.look if check else upkeep.upgrade
            result = ask(arch, suite, mirror, shown.moved, maker=maker)
        _tell(result, invocation.how, check=check)
    if invocation.how not in (How.QUIET, How.JSON):
        image_account.note_others("upgrade --check" if check else "upgrade")
    return 0


def _archs() -> Sequence[Arch]:
    """The architectures that there are images of our own for; ours where there is none."""
    found = {image.arch for image in store.images() if image.manifest.recipe and image.disk is None}
    return [arch for arch in Arch if arch in found] or [_own_arch()]


def _tell(result: Upgrade, how: How, *, check: bool) -> None:
    before, after = result.before, result.after
    names = {"before": before.name if before else None, "after": after.name if after else None}
    changes = [change._asdict() for change in result.changes]
    text = _summary(result, check=check)
    done("\n".join([text, *(f"  {change}" for change in result.changes)]), how, **names, changes=changes)


def _summary(result: Upgrade, *, check: bool) -> str:
    if result.before is None:
        made = f"{result.after.name} is made" if result.after else "`snowshed image upgrade` makes one"
        return f"There was no image for {result.system}: {made}."
    name = result.before.name
    if not result.changes and (result.after is None or result.after.name == name):
        return f"{name} is as new as Debian's packages."
    what = counted(len(result.changes), "package") if result.changes else "only what snowshed itself puts there"
    if result.after is None:
        return f"Debian has newer packages than {name}: {what}. `snowshed image upgrade` makes a new image."
    users = store.builders_using(result.before)
    how = "the next start" if paths.serves_the_system() else "`snowshed restart`"
    later = f" {', '.join(users)} will run from it after {how}." if users else ""
    return f"{result.after.name} takes the place of {name}; changed: {what}.{later}"


def _own_arch() -> Arch:
    arch = Host.this().arch
    if arch is None:
        raise UserError("There is no image for a machine like this one.", "Choose one with --system.")
    return arch


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end the block like Ctrl-C does: what it had begun is cleared away."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

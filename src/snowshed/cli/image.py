"""`snowshed image`"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import click
import msgspec

from ..errors import UserError
from ..images import store, upkeep
from ..images.store import Image
from ..units import counted, format_size
from . import candidates, image_account, image_make
from .options import Invocation, common, waiting
from .progress import How, progress
from .render import note, out, table
from .verbs import Group


@click.group("image", cls=Group, short_help="Make, list and delete what guests boot from.")
@common
def command() -> None:
    """Make, list and delete what guests boot from. `snowshed start` makes the image that it needs by itself.

    An image NAME is the one that `list` shows, the beginning of it, or the path of an image's folder.

    \b
    snowshed image list
    snowshed image build --system aarch64-linux
    """


for _verb in (image_make.build, image_make.fetch, image_make.upgrade, image_make.import_disk, image_make.export):
    command.add_command(_verb)


@command.command("list")
@common
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_images(as_json: bool) -> int:
    """Your images, the newest first. Those of the system's builders belong to the account that runs these.

    \b
    snowshed image list
    """
    images = store.images()
    if as_json:
        out(json.dumps([_facts(image) for image in images], indent=2))
        return 0
    if images:
        out(table([("NAME", "SYSTEM", "FROM", "KERNEL", "MADE", "SIZE", "USED BY"), *map(_row, images)]))
    else:
        note("There is no image yet; `snowshed image build` makes one, and so does `snowshed start`.")
    image_account.note_others("list")
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


@command.command("verify")
@common
@click.argument("names", nargs=-1, metavar="[NAME...]", shell_complete=candidates.images)
@waiting
@click.pass_obj
def verify(invocation: Invocation, names: tuple[str, ...]) -> int:
    """Read images, all of them or those named, and say which are not as they were made.

    The exit status is 1 where one is damaged.

    \b
    snowshed image verify
    snowshed image verify x86_64-9dd3 --json
    """
    images = [store.find(name) for name in names] or store.images()
    damaged = False
    for image in images:
        with progress(f"Reading {image.name}", invocation.how) as shown:
            problems = upkeep.damage(image, shown.moved)
        damaged = damaged or bool(problems)
        _say_whole(image, problems, invocation.how)
    if not images:
        note("There is no image yet.")
    return int(damaged)


def _say_whole(image: Image, problems: list[str], how: How) -> None:
    if how is How.JSON:
        out(json.dumps({"kind": "verified", "name": image.name, "damage": problems}))
    elif problems:
        note(f"{image.name} is damaged: {'; '.join(problems)}.")
        again = "a start makes it anew" if image.manifest.recipe else "import it again"
        note(f"  Delete it with `snowshed image rm --force {image.name}`; {again}.")
    elif how is not How.QUIET:
        note(f"{image.name} is whole.")


@command.command("prune")
@common
@click.option("--all", "imported", is_flag=True, help="Also imported images, which only their file brings back.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="As JSON: what is gone. Needs --yes.")
def prune(imported: bool, yes: bool, as_json: bool) -> int:
    """Delete the images that no builder uses, after saying which and how much that is.

    A builder uses the image that it runs from, that it was last started from, or that its disk is a copy of. The
    downloaded packages stay.

    \b
    snowshed image prune
    snowshed image prune --all --yes
    """
    doomed = upkeep.unused(store.images(), imported=imported)
    total = sum(image.taken for image in doomed)
    if doomed and not yes:
        note(table([(f"  {image.name}", image.manifest.system, format_size(image.taken)) for image in doomed]))
        if not _agreed(f"Delete {counted(len(doomed), 'image')}, {format_size(total)}?"):
            note("Nothing was deleted.")
            return 1
    for image in doomed:
        store.remove(image)
    if as_json:
        out(json.dumps({"removed": [image.name for image in doomed], "bytes": total}))
    elif doomed:
        note(f"{counted(len(doomed), 'image')} deleted; {format_size(total)} are free again.")
    else:
        note("Every image here is used by a builder, or was imported." if store.images() else "There is no image here.")
    return 0


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise UserError("This deletes images, and nobody is there to be asked.", "Say it with --yes.")
    return click.confirm(question, err=True)


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

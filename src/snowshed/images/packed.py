"""An image as one file: a tar archive of its manifest and of its files, as `image export` writes and `image fetch`
reads it. Equal images give equal archives."""

from __future__ import annotations

import tarfile
from contextlib import suppress
from pathlib import Path
from typing import IO

import msgspec

from .. import paths
from ..errors import UserError
from ..guest.contract import contract
from ..model.machine import arch_of_system
from ..units import MIB
from . import copying, store, upkeep, workshop
from . import manifest as manifests
from .manifest import Manifest
from .progress import Report, silent
from .store import Image

LONGEST_MANIFEST = 1 * MIB
STAGE = "unpacking"

_AGAIN = "Ask whoever made it for another one."


def pack(image: Image, file: Path, report: Report = silent) -> None:
    """Write `image` into the new file `file`. Raises `UserError` where that is there already, and for an image that
    lacks a file."""
    temporary = file.with_name(f".{file.name}.new")
    missing = [name for name in image.manifest.files if not (image.path / name).is_file()]
    if missing:
        raise UserError(
            f"The image {image.name} lacks {', '.join(missing)}.", "`snowshed image verify` says what to do."
        )
    if file.exists():
        raise UserError(f"{file} is there already.", "Choose another name, or delete it.")
    try:
        with temporary.open("wb") as stream:
            write(image, stream, report)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def write(image: Image, stream: IO[bytes], report: Report = silent) -> None:
    """Write the archive of `image` to `stream`, from its beginning to its end."""
    names = (manifests.NAME, *image.manifest.files)
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for number, name in enumerate(names):
            report("packing", number / len(names))
            member = tarfile.TarInfo(name)
            member.size, member.mode = (image.path / name).stat().st_size, 0o444
            with (image.path / name).open("rb") as content:
                tar.addfile(member, content)
    report("packing", 1.0)


def is_packed(file: Path) -> bool:
    """Whether `file` is an archive that begins with a manifest."""
    with suppress(tarfile.TarError, OSError, EOFError), tarfile.open(file) as tar:
        first = tar.next()
        return first is not None and first.name == manifests.NAME
    return False


def unpack(file: Path, report: Report = silent) -> tuple[Image, bool]:
    """The image in the archive `file`, and whether it is a new one. Raises `UserError` for one that is no good."""
    with tarfile.open(file) as tar:
        return _unpacked(tar, str(file), "", report)


def receive(stream: IO[bytes], origin: str, digest: str, report: Report = silent) -> tuple[Image, bool]:
    """The image in the archive that comes out of `stream`, as `unpack` has it, if its address is `digest`.

    `origin` is who sends it, for people. Raises what `unpack` raises, also where the stream ends too early.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            return _unpacked(tar, origin, digest, report)
    except tarfile.TarError as error:
        raise UserError(f"The image in {origin} did not arrive.", "Try again.") from error


def _unpacked(tar: tarfile.TarFile, origin: str, digest: str, report: Report) -> tuple[Image, bool]:
    with workshop.only_one(report):
        manifest = _manifest(tar, origin)
        if digest and manifest.digest != digest:
            raise UserError(f"The image in {origin} is another one than was asked for.", _AGAIN)
        arch = arch_of_system(manifest.system)
        target = paths.images_root() / store.name_of(arch, manifest.digest)
        there = store.load(target)
        if there is not None:
            return there, False
        workshop.require_space(sum(about.size for about in manifest.files.values()), "Unpacking the image")
        with workshop.folder() as place:
            _files(tar, place, manifest, report)
            problems = upkeep.damage(Image(place, manifest), lambda _, fraction=None: report("checking", fraction))
            if problems:
                raise UserError(f"The image in {origin} is damaged: {'; '.join(problems)}.", _AGAIN)
            workshop.publish(place, target, manifest)
    return Image(target, manifest), True


def _manifest(tar: tarfile.TarFile, origin: str) -> Manifest:
    first = tar.next()
    try:
        content = tar.extractfile(first) if first is not None and first.isreg() else None
        manifest = manifests.decode(content.read(LONGEST_MANIFEST) if content else b"")
        arch_of_system(manifest.system)
    except (msgspec.MsgspecError, UserError, tarfile.TarError) as error:
        raise UserError(f"{origin} holds no image that this snowshed can read.", _AGAIN) from error
    if (manifest.format, manifest.contract) != (manifests.FORMAT, contract().version):
        raise UserError(
            f"The image in {origin} was made for another version of snowshed.", "Use one that was made for this one."
        )
    if set(manifest.files) != set(manifest.boot.files) or not _is_hash(manifest.digest):
        raise UserError(f"The manifest of the image in {origin} does not fit its files.", _AGAIN)
    return manifest


def _is_hash(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _files(tar: tarfile.TarFile, place: Path, manifest: Manifest, report: Report) -> None:
    """Only what the manifest names, only plain files, and no more of each than it says; zeroes become holes."""
    total = sum(about.size for about in manifest.files.values())
    done = 0
    for member in tar:
        about = manifest.files.get(member.name)
        content = tar.extractfile(member) if about is not None and member.isreg() else None
        if about is None or content is None or member.size != about.size:
            continue
        with (place / member.name).open("wb") as out:
            out.truncate(about.size)
            begin = done
            while data := content.read(MIB):
                report(STAGE, min(done / total, 1.0))
                copying.write_sparsely(out, done - begin, data)
                done += len(data)

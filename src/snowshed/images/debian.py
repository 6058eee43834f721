"""Builds the Debian guest image, on a host of any architecture, as an ordinary user, from packages alone.

A build happens in a folder of its own beside the finished images, which is renamed when everything in it is on the
disk. An interrupted one leaves such a folder at most, and the next build sweeps it away: it holds a lock that ends
with its process, so whatever lies there then belongs to nobody.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .. import paths, process
from ..errors import UserError
from ..guest.contract import contract
from ..model.machine import Arch
from ..units import MIB, format_size
from . import initrd, recipe, rootfs, store
from . import manifest as manifests
from .apt import DEFAULT_SUITE, Package, PrivateApt
from .manifest import LinuxImage, Manifest, PackageName
from .progress import Report, silent

TREE_SPACE = 440 * MIB
"""What unpacking and packing need on the disk besides the downloads, with some room."""

_UNFINISHED = ".building-"
_UUID = "736e6f77-7368-4564-8000-000000000001"
_EROFS_HINT = "Install it: `apt-get install erofs-utils`."


class Built(msgspec.Struct, frozen=True):
    """What a build came to: `fresh` is False where the image was there already, `stale_lists` True where the mirror
    could not be asked and the package lists of an earlier time were used."""

    image: store.Image
    fresh: bool
    stale_lists: bool


def build(arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent) -> Built:
    """The image for `arch` from `suite` as it is on `mirror` now (empty: where this host's apt gets Debian).

    Raises `UserError` for what the host lacks (tools, a mirror, space), `GuestError` for a tool that failed.
    """
    _require_tools()
    left_out = {*recipe.recipe().left_out, f"linux-image-cloud-{arch.debian}"}
    apt = PrivateApt(arch, suite, mirror, provided=recipe.recipe().provided)
    with _only_build(report):
        report("package lists")
        up_to_date = apt.update()
        packages = [p for p in apt.resolve(recipe.recipe().packages_for(arch)) if p.name not in left_out]
        digest = manifests.content_address(arch.nix_system, recipe.digest(), packages)
        target = paths.images_root() / store.name_of(arch, digest)
        existing = store.load(target)
        if existing is not None:
            return Built(existing, fresh=False, stale_lists=not up_to_date)
        _require_space(apt, packages)
        files = apt.download(packages, report)
        with _workshop() as folder:
            manifest = make(folder, arch, suite, packages, files, report)
            image = _publish(folder, target, manifest)
    return Built(image, fresh=True, stale_lists=not up_to_date)


def make(
    folder: Path, arch: Arch, suite: str, packages: Sequence[Package], files: Sequence[Path], report: Report
) -> Manifest:
    """Put the image's files together in `folder` from the `files` of `packages`, and describe them.

    Raises `UserError` for a tool that the host lacks, `GuestError` for one that failed.
    """
    named = [(package.name, file) for package, file in zip(packages, files, strict=True)]
    kernel = rootfs.assemble(folder / "tree", arch, named, report)
    _pack(folder, kernel, report)
    digest = manifests.content_address(arch.nix_system, recipe.digest(), packages)
    return _describe(folder, arch, suite, digest, kernel, packages)


def _require_tools() -> None:
    """Say what is missing before anything is downloaded."""
    needed = {"apt-get": "apt", "dpkg-deb": "dpkg", "mkfs.erofs": "erofs-utils"}
    missing = {}
    for program, package in needed.items():
        try:
            process.find(program, "")
        except UserError:
            missing[program] = package
    if missing:
        raise UserError(
            f"Building an image needs {', '.join(missing)}, which this machine does not have.",
            f"Install: `apt-get install {' '.join(missing.values())}`. Images are built on Debian or Ubuntu.",
        )


def _require_space(apt: PrivateApt, packages: Sequence[Package]) -> None:
    needed = TREE_SPACE + apt.missing_size(packages)
    free = shutil.disk_usage(paths.images_root()).free
    if free < needed:
        raise UserError(
            f"Building the image needs {format_size(needed)} in {paths.cache_root()}, and {format_size(free)} is free.",
            "Make room there, or set XDG_CACHE_HOME to a folder on a larger disk.",
        )


@contextmanager
def _only_build(report: Report) -> Iterator[None]:
    """Be the only build on this machine's images: wait for another one, and sweep what a dead one left."""
    root = paths.images_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("ab")
    except OSError as error:
        raise UserError(
            f"Images cannot be kept in {root}: {error.strerror}.", "Check its permissions, or set XDG_CACHE_HOME."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report("another image build")
            fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in root.glob(f"{_UNFINISHED}*"):
            _remove(leftover)
        yield


@contextmanager
def _workshop() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=paths.images_root()))
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete `folder`, also where packages brought folders that their owner may not write."""
    for place, _, _ in os.walk(folder):
        Path(place).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _pack(folder: Path, kernel: rootfs.Kernel, report: Report) -> None:
    report("initrd")
    (folder / manifests.INITRD).write_bytes(_initrd(folder / "tree", kernel))
    report("disk image")
    mkfs = process.find("mkfs.erofs", _EROFS_HINT)
    process.run(
        [mkfs, "-T0", "-U", _UUID, "--all-root", folder / manifests.ROOT, folder / "tree"],
    )


def _initrd(tree: Path, kernel: rootfs.Kernel) -> bytes:
    dependencies = initrd.parse_dependencies((kernel.modules / "modules.dep").read_text())
    builtin = [initrd.module_name(line) for line in (kernel.modules / "modules.builtin").read_text().splitlines()]
    order = initrd.closure(recipe.recipe().boot_modules, dependencies, builtin)
    modules = {name: initrd.read_module(kernel.modules / dependencies[name][0]) for name in order}
    needs = {name: dependencies[name][1] for name in order}
    init = (recipe.DATA / "initrd-init").read_bytes()
    busybox = (tree / "usr/bin/busybox").read_bytes()
    return initrd.archive(initrd.entries(init, busybox, kernel.release, modules, needs))


def _describe(
    folder: Path, arch: Arch, suite: str, digest: str, kernel: rootfs.Kernel, packages: Sequence[Package]
) -> Manifest:
    names = (manifests.KERNEL, manifests.INITRD, manifests.ROOT)
    return Manifest(
        contract=contract().version,
        digest=digest,
        recipe=recipe.digest(),
        system=arch.nix_system,
        suite=suite,
        created=int(time.time()),
        boot=LinuxImage(kernel.release, recipe.recipe().cmdline),
        packages=tuple(PackageName(p.name, p.version, p.sha256) for p in packages),
        files={name: manifests.describe(folder / name) for name in names},
    )


def _publish(folder: Path, target: Path, manifest: Manifest) -> store.Image:
    """Move the finished files to where images are, all of them or none."""
    (folder / manifests.NAME).write_bytes(manifests.encode(manifest))
    done = folder / "done"
    done.mkdir()
    for name in (*manifest.files, manifests.NAME):
        (folder / name).chmod(0o444)
        _sync(folder / name)
        (folder / name).rename(done / name)
    _sync(done)
    _remove(target)  # nothing that `store.load` knows lies there, or the build would have ended with it
    done.rename(target)
    _sync(target.parent)
    return store.Image(target, manifest)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

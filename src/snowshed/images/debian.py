"""Builds the Debian guest image, on a host of any architecture, as an ordinary user, from packages alone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from .. import paths, process
from ..errors import GuestError, UserError
from ..guest.contract import contract
from ..model.machine import Arch
from ..units import MIB
from . import copying, efi, elf, freshness, initrd, recipe, rootfs, store, workshop
from . import manifest as manifests
from .apt import DEFAULT_SUITE, Package, PrivateApt
from .manifest import EfiImage, LinuxImage, Manifest, Named, PackageName
from .progress import Report, silent

TREE_SPACE = 440 * MIB
"""What unpacking and packing need on the disk besides the downloads, with some room."""

_UUID = "736e6f77-7368-4564-8000-000000000001"
_EROFS_HINT = "Install it: `apt-get install erofs-utils`."


class Built(msgspec.Struct, frozen=True):
    """What a build came to: `fresh` is False where the image was there already, `stale_lists` True where the mirror
    could not be asked and the package lists of an earlier time were used."""

    image: store.Image
    fresh: bool
    stale_lists: bool


def build(
    arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent, *, efi_disk: bool = False
) -> Built:
    """The image for `arch` from `suite` as it is on `mirror` now (empty: where this host's apt gets Debian).

    With `efi_disk` it is a raw disk for UEFI firmware. Raises `UserError` for what the host lacks (tools, a mirror,
    space), `GuestError` for a tool that failed.
    """
    _require_tools()
    apt = PrivateApt(arch, suite, mirror, provided=recipe.recipe().provided)
    with workshop.only_one(report):
        up_to_date, packages = ask(apt, report, efi_disk=efi_disk)
        image, fresh = made(apt, packages, report)
    return Built(image, fresh=fresh, stale_lists=not up_to_date)


def look(arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", report: Report = silent) -> Sequence[Named]:
    """The packages that an image would be made of now; none is made. Raises `GuestError` where nobody can say, and
    what `build` raises."""
    _require_tools()
    apt = PrivateApt(arch, suite, mirror, provided=recipe.recipe().provided)
    with workshop.only_one(report):
        up_to_date, packages = ask(apt, report)
    if not up_to_date:
        raise unreachable(apt.mirror)
    return packages


def unreachable(mirror: str) -> GuestError:
    """The error for a mirror that does not answer (empty: nobody knows which)."""
    where = f" {mirror}" if mirror else ""
    return GuestError(
        f"Debian's mirror{where} cannot be reached, so nobody can say what is newer.", "Check the network, or --mirror."
    )


def ask(apt: PrivateApt, report: Report, *, efi_disk: bool = False) -> tuple[bool, list[Package]]:
    """What the mirror has now, and whether it could be asked: else it is what it had the last time. The answer is
    written down."""
    report("package lists")
    up_to_date = apt.update()
    packages = resolve(apt, efi_disk=efi_disk)
    if up_to_date and not efi_disk:
        remember(apt.arch, apt.suite, packages)
    return up_to_date, packages


def made(apt: PrivateApt, packages: Sequence[Package], report: Report) -> tuple[store.Image, bool]:
    """The image of `packages`, and whether it is a new one; the caller is the only one who makes images."""
    digest = address(apt.arch, packages)
    target = paths.images_root() / store.name_of(apt.arch, digest)
    existing = store.load(target)
    if existing is not None:
        return existing, False
    workshop.require_space(TREE_SPACE + apt.missing_size(packages), "Building the image")
    with workshop.folder() as folder:
        parts = _made_already(apt.arch, packages) if any(p.name == efi.STUB for p in packages) else None
        if parts is not None:
            manifest = _from_parts(folder, parts, packages, apt, report)
        else:
            manifest = make(folder, apt.arch, apt.suite, packages, apt.download(packages, report), report)
        workshop.publish(folder, target, manifest)
    return store.Image(target, manifest), True


def resolve(apt: PrivateApt, *, efi_disk: bool = False) -> list[Package]:
    """The packages that the recipe means, by the lists that `apt` has. Raises what `PrivateApt.resolve` raises."""
    left_out = {*recipe.recipe().left_out, f"linux-image-cloud-{apt.arch.debian}"}
    packages = [p for p in apt.resolve(recipe.recipe().packages_for(apt.arch)) if p.name not in left_out]
    if efi_disk:
        packages += [p for p in apt.resolve([efi.STUB]) if p.name == efi.STUB]
    return packages


def address(arch: Arch, packages: Iterable[Named]) -> str:
    """The digest of the image for `arch` that this version of snowshed makes of `packages`."""
    return manifests.content_address(arch.nix_system, recipe.digest(), packages)


def remember(arch: Arch, suite: str, packages: Sequence[Named]) -> None:
    """Write down that this is what Debian has now."""
    name = store.name_of(arch, address(arch, packages))
    freshness.remember(arch.nix_system, suite, freshness.versions(packages), name)


def _made_already(arch: Arch, packages: Sequence[Package]) -> store.Image | None:
    """The image for a direct boot that is made of the same packages: what an EFI disk consists of, but for the stub."""
    digest = address(arch, [p for p in packages if p.name != efi.STUB])
    return store.load(paths.images_root() / store.name_of(arch, digest))


def _from_parts(
    folder: Path, parts: store.Image, packages: Sequence[Package], apt: PrivateApt, report: Report
) -> Manifest:
    for name in parts.manifest.files:
        copying.copy(parts.path / name, folder / name, report, "disk image")
    stubs = apt.download([package for package in packages if package.name == efi.STUB], report)
    return _finished(folder, apt.arch, apt.suite, packages, parts.manifest.boot.kernel_version, stubs)


def make(
    folder: Path, arch: Arch, suite: str, packages: Sequence[Package], files: Sequence[Path], report: Report
) -> Manifest:
    """Put the image's files together in `folder` from the `files` of `packages`, and describe them.

    An EFI stub among the packages makes it a disk for UEFI firmware. Raises `UserError` for a tool that the host
    lacks, `GuestError` for one that failed.
    """
    named = [(package.name, file) for package, file in zip(packages, files, strict=True)]
    stubs = [file for name, file in named if name == efi.STUB]
    kernel = rootfs.assemble(folder / "tree", arch, [part for part in named if part[0] != efi.STUB], report)
    _pack(folder, kernel, report)
    return _finished(folder, arch, suite, packages, kernel.release, stubs)


def _finished(
    folder: Path, arch: Arch, suite: str, packages: Sequence[Package], release: str, stubs: Sequence[Path]
) -> Manifest:
    """Describe what lies in `folder`: kernel, initrd and root; with a stub, after making a disk of them."""
    boot: LinuxImage | EfiImage = LinuxImage(release, recipe.recipe().cmdline)
    if stubs:
        boot = EfiImage(release)
        stub = efi.read_stub(stubs[0], arch, folder / "stub")
        program = efi.loader(stub, folder, recipe.recipe().cmdline, release)
        efi.assemble(folder / manifests.DISK, arch, program, folder / manifests.ROOT)
    return Manifest(
        contract=contract().version,
        digest=address(arch, packages),
        recipe=recipe.digest(),
        system=arch.nix_system,
        suite=suite,
        created=int(time.time()),
        boot=boot,
        packages=tuple(PackageName(p.name, p.version, p.sha256) for p in packages),
        files={name: manifests.describe(folder / name) for name in boot.files},
    )


def missing_tools() -> dict[str, str]:
    """The programs that this machine lacks for making an image, with the Debian packages that have them."""
    needed = {"apt-get": "apt", "dpkg-deb": "dpkg", "mkfs.erofs": "erofs-utils"}
    return {program: package for program, package in needed.items() if not _has(program)}


def _has(program: str) -> bool:
    try:
        process.find(program, "")
    except UserError:
        return False
    return True


def _require_tools() -> None:
    """Say what is missing before anything is downloaded."""
    if missing := missing_tools():
        raise UserError(
            f"Building an image needs {', '.join(missing)}, which this machine does not have.",
            f"On Debian or Ubuntu: `apt-get install {' '.join(missing.values())}`. Elsewhere a builder that runs can "
            "make it: `snowshed image fetch`, `snowshed start`, and then this again.",
        )


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
    ahead = elf.closure(tree, recipe.recipe().read_ahead)
    return initrd.archive(initrd.entries(init, busybox, kernel.release, modules, needs, ahead))

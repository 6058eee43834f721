"""The guest's root file system as a tree of files, put together by an ordinary user from packages and our own files."""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from .. import process
from ..errors import GuestError, UserError
from ..guest.contract import contract
from ..model.machine import Arch
from . import initrd
from .depmod import depmod
from .progress import Report
from .recipe import DATA, recipe

STAGE = "root file system"
_TOOLS_HINT = "Install it: `apt-get install {}`."
_SUITE_HINT = "Use another --suite; trixie is known to fit."
_SETID = 0o6000


class Kernel(msgspec.Struct, frozen=True):
    """The kernel of a tree: its release (``uname -r``), its image, and the folder of its modules."""

    release: str
    image: Path
    modules: Path


def assemble(tree: Path, arch: Arch, packages: Sequence[tuple[str, Path]], report: Report) -> Kernel:
    """Fill the new folder `tree` with the root file system of a guest of `arch` from `packages`, names and files; the
    kernel's image lies beside it then.

    Raises `UserError` for a tool that the host lacks, `GuestError` for packages that do not hold what is expected.
    """
    _lay_out(tree)
    dpkg_deb = process.find("dpkg-deb", _TOOLS_HINT.format("dpkg"))
    for number, (name, file) in enumerate(packages):
        report(STAGE, number / len(packages))
        _unpack(dpkg_deb, file, tree, recipe().parts_of(name, arch))
    kernel = _take_kernel(tree)
    _take_sources(tree)
    _prune(tree)
    _prune_modules(tree, kernel)
    _place_own_files(tree)
    _place_probe(tree, arch)
    _make_fifos(tree)
    _add_build_users(tree)
    _bundle_certificates(tree)
    _link_busybox(tree)
    _strip_set_id(tree)
    report(STAGE, 1.0)
    return kernel


def _lay_out(tree: Path) -> None:
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / "usr" / name).mkdir(parents=True)
        (tree / name).symlink_to(f"usr/{name}")
    agreed = contract()
    for name in ("dev", "proc", "sys", "run", "tmp", "root", "etc", "nix/store", "nix/var"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/resolv.conf").symlink_to("/run/resolv.conf")
    home = f"{agreed.data_dir}/home"  # of who comes in before the data disk is there; see lib/shell
    for place in (home, agreed.share_dir):
        (tree / place.lstrip("/")).mkdir(parents=True)


def _unpack(dpkg_deb: str, package: Path, tree: Path, parts: Sequence[str]) -> None:
    """All of a package, or only some `parts` of it: then the rest never gets to the disk."""
    if not parts:
        process.run([dpkg_deb, "--extract", package, tree])
        return
    members = [f"./{part}" for part in parts]
    tar = process.find("tar", _TOOLS_HINT.format("tar"))  # by its path: busybox's shell would take its own
    script = (
        'unpack=$1 tar=$2 package=$3 tree=$4; shift 4; "$unpack" --fsys-tarfile "$package" | "$tar" -xC "$tree" "$@"'
    )
    process.run(["sh", "-c", script, "sh", dpkg_deb, tar, package, tree, *members])


def _take_kernel(tree: Path) -> Kernel:
    images = list((tree / "boot").glob("vmlinuz-*"))
    if len(images) != 1:
        raise GuestError(f"The packages hold {len(images)} kernels instead of one.", _SUITE_HINT)
    release = images[0].name.removeprefix("vmlinuz-")
    image = images[0].rename(tree.with_name("vmlinuz"))
    return Kernel(release, image, tree / "usr/lib/modules" / release)


def _take_sources(tree: Path) -> None:
    """Where a guest's apt gets Debian: what apt's own package gives as the example for its release."""
    example = tree / "usr/share/doc/apt/examples/debian.sources"
    if example.exists():  # since trixie
        place = tree / "etc/apt/sources.list.d/debian.sources"
        place.parent.mkdir(parents=True, exist_ok=True)
        example.rename(place)


def _prune(tree: Path) -> None:
    for pattern in recipe().pruned:
        for path in tree.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def _prune_modules(tree: Path, kernel: Kernel) -> None:
    """Leave the modules that are wanted, uncompressed and unsigned: an emulated processor takes long over both."""
    _depmod(tree, kernel)
    dependencies = initrd.parse_dependencies((kernel.modules / "modules.dep").read_text())
    keep = modules_to_keep(dependencies)
    for name, (path, _) in dependencies.items():
        module = kernel.modules / path
        if name in keep:
            module.with_name(module.name.removesuffix(".xz")).write_bytes(initrd.read_module(module))
        if name not in keep or module.suffix == ".xz":
            module.unlink()
    _depmod(tree, kernel)


def _depmod(tree: Path, kernel: Kernel) -> None:
    """By kmod's own program, or by ours where a host has none (macOS)."""
    try:
        program = process.find("depmod", "")
    except UserError:
        depmod(kernel.modules)
    else:
        process.run([program, "-b", tree, kernel.release])


def modules_to_keep(dependencies: initrd.Dependencies) -> set[str]:
    """The names of the modules that the recipe wants, with all that those need."""
    patterns = [f"kernel/{place}{'' if '*' in place else '/*'}" for place in recipe().module_folders]
    wanted = [name for name, (path, _) in dependencies.items() if any(fnmatch(path, p) for p in patterns)]
    return set(initrd.closure(wanted, dependencies, ()))


def _place_own_files(tree: Path) -> None:
    for folder, target in (("etc", "etc"), ("lib", "usr/lib/snowshed"), ("sbin", "usr/sbin")):
        for source in sorted((DATA / folder).rglob("*")):
            place = tree / target / source.relative_to(DATA / folder)
            if source.is_dir():
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            shutil.copyfile(source, place)
            place.chmod(0o755 if source.read_bytes().startswith(b"#!") else 0o644)


def _place_probe(tree: Path, arch: Arch) -> None:
    """The program that shows whether the guest can run any of the other architecture; see lib/foreign."""
    probe = tree / "usr/lib/snowshed/probe"
    probe.write_bytes(base64.b64decode(contract().probes[arch.foreign.nix_system]))
    probe.chmod(0o755)


def _make_fifos(tree: Path) -> None:
    """By which the guest's scripts wait for each other: a fifo can be written to on a read-only file system."""
    for name in recipe().fifos:
        os.mkfifo(tree / "usr/lib/snowshed" / name, 0o600)


def _add_build_users(tree: Path) -> None:
    base = recipe().build_users_base
    users = [f"nixbld{number}" for number in range(1, recipe().build_users + 1)]
    with (tree / "etc/passwd").open("a") as passwd:
        for number, user in enumerate(users, start=1):
            passwd.write(f"{user}:x:{base + number}:{base}::/var/empty:/bin/false\n")
    with (tree / "etc/group").open("a") as group:
        group.write(f"nixbld:x:{base}:{','.join(users)}\n")
    names = [line.split(":", 1)[0] for line in (tree / "etc/passwd").read_text().splitlines()]
    shadow = tree / "etc/shadow"
    # No password fits `*`; `!` would mean a locked account, which sshd refuses altogether.
    shadow.write_text("".join(f"{name}:*:20000::::::\n" for name in names))
    shadow.chmod(0o600)


def _bundle_certificates(tree: Path) -> None:
    source = tree / "usr/share/ca-certificates"
    certificates = sorted(source.glob("mozilla/*.crt"))
    if not certificates:
        raise GuestError("The package ca-certificates holds none.", _SUITE_HINT)
    bundle = tree / "etc/ssl/certs/ca-certificates.crt"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text("".join(path.read_text().rstrip("\n") + "\n" for path in certificates))
    shutil.rmtree(source)


def _link_busybox(tree: Path) -> None:
    for name in applets((tree / "usr/bin/busybox").read_bytes()):
        places = [tree / folder / name for folder in ("usr/bin", "usr/sbin")]
        if name not in recipe().unlinked and not any(place.exists() or place.is_symlink() for place in places):
            places[name in recipe().linked].symlink_to("/usr/bin/busybox")


def applets(busybox: bytes) -> Iterable[str]:
    """The names that a busybox program answers to.

    They lie in the program as one block of zero-terminated words, sorted, which begins with ``[`` and ``[[``.
    """
    start = busybox.find(b"[\0[[\0")
    if start < 0:
        raise GuestError("The package busybox-static is not as expected.", _SUITE_HINT)
    return busybox[start : busybox.index(b"\0\0", start)].decode("ascii", "replace").split("\0")


def _strip_set_id(tree: Path) -> None:
    for path in tree.rglob("*"):
        if not path.is_symlink() and path.stat().st_mode & _SETID:
            path.chmod(path.stat().st_mode & ~_SETID & 0o7777)

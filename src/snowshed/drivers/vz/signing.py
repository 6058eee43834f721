"""The interpreter that may use Virtualization.framework: a copy of ours, signed with the entitlement.

macOS looks at the executable that ends up running. So the real interpreter is copied into a small tree of its own
(``pyvenv.cfg``, ``bin``, ``lib``) that finds the standard library and our packages, and signed there: ad hoc, without
the hardened runtime, under which PyObjC's own libraries would not load. It is made once for each interpreter, aside
and renamed into place, because a program that was run once must never be changed where it lies.

A framework build (python.org, Homebrew, Xcode) has a stub in ``bin`` that starts another executable, which is the one
to be signed (pyobjc issue 434); Xcode's own finds its library by its place and cannot be copied.

The Nix package makes the signed interpreter when it is built, and names it in ``SNOWSHED_VZ_PYTHON``.
"""

from __future__ import annotations

import hashlib
import os
import plistlib
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...errors import GuestError, SnowshedError, UserError
from ...paths import cache_root
from ...process import find as find_program
from ...process import run

ENTITLEMENT = "com.apple.security.virtualization"
VARIABLE = "SNOWSHED_VZ_PYTHON"
NAME = "snowshed-vz"
"""What macOS calls the process."""
FORMAT = 1
PATIENCE = 60.0
"""Seconds for codesign, and for the copy to say that it works."""
OTHER_PYTHON = (
    "Install snowshed with a Python that can be copied: Nix's, uv's, Homebrew's or python.org's, not Xcode's. "
    "Or use the driver vfkit."
)


@dataclass(frozen=True)
class Origin:
    """The interpreter to be copied. `executable` is what really runs, `home` the directory of the base interpreter,
    `prefix` where our packages are; `framework`: a framework build; `tied`: it finds its library by its place.
    """

    executable: Path
    home: Path
    prefix: Path
    base_prefix: Path
    framework: bool = False
    tied: bool = False

    @property
    def digest(self) -> str:
        """Names the copy: another interpreter, or a newer one in its place, has another."""
        facts = self.executable.stat()
        text = f"{FORMAT} {self.executable} {facts.st_size} {facts.st_mtime_ns} {self.home} {self.prefix}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def origin() -> Origin:
    """Ours."""
    base = Path(getattr(sys, "_base_executable", None) or sys.executable).resolve()
    framework = bool(sysconfig.get_config_var("PYTHONFRAMEWORK"))
    inner = Path(sys.base_prefix) / "Resources/Python.app/Contents/MacOS/Python"
    executable = inner if framework and inner.exists() else base
    return Origin(
        executable=executable,
        home=base.parent,
        prefix=Path(sys.prefix),
        base_prefix=Path(sys.base_prefix),
        framework=framework,
        tied=framework and is_tied(executable),
    )


def is_tied(executable: Path) -> bool:
    """Whether a Mach-O file loads a library from beside itself: the path is in its header."""
    with executable.open("rb") as file:
        return b"@executable_path" in file.read(1 << 16)


def problem(found: Origin) -> SnowshedError | None:
    """Why `found` cannot be copied and signed."""
    if found.tied:
        return UserError(f"The Python at {found.home} works only where it lies and cannot be signed.", OTHER_PYTHON)
    return None


def root() -> Path:
    """Where the signed copies are."""
    return cache_root() / "vz-python"


def find(environment: Mapping[str, str] | None = None) -> Path | None:
    """The signed interpreter, if it was made. Raises `UserError` where the variable names one that is not there."""
    named = (os.environ if environment is None else environment).get(VARIABLE)
    if named:
        if not Path(named).exists():
            raise UserError(f"{VARIABLE} names {named}, which does not exist.", "Install snowshed again.")
        return Path(named)
    made = root() / origin().digest / "bin" / NAME
    return made if made.exists() else None


def make(*, anew: bool = False) -> Path:
    """The signed interpreter, made if need be and verified; `anew`: even if there is one, unless Nix made that.

    Raises `SnowshedError`; nothing is left half-made then.
    """
    found = find()
    if found is not None and (not anew or os.environ.get(VARIABLE)):
        return found
    ours = origin()
    if (obstacle := problem(ours)) is not None:
        raise obstacle
    codesign = find_program("codesign", "It is a part of macOS: is this a Mac?", folders=("/usr/bin",))
    root().mkdir(parents=True, exist_ok=True, mode=0o700)
    final = root() / ours.digest
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root()) as folder:
        tree = Path(folder) / ours.digest
        executable = lay_out(ours, tree)
        sign(codesign, executable, Path(folder) / "vz.plist")
        verify(codesign, executable)
        if anew and final.exists():
            final.rename(Path(folder) / "old")
        with suppress(OSError):  # another process was quicker
            tree.rename(final)
    _sweep(final)
    return final / "bin" / NAME


def lay_out(ours: Origin, tree: Path) -> Path:
    """The tree around the copy, not signed yet: the interpreter finds its standard library by ``home`` in
    ``pyvenv.cfg``, and our packages through ``lib``, as in any virtual environment."""
    (tree / "bin").mkdir(parents=True)
    (tree / "lib").mkdir()
    (tree / "pyvenv.cfg").write_text(f"home = {ours.home}\ninclude-system-site-packages = false\n")
    packages = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (tree / "lib" / packages).symlink_to(ours.prefix / "lib" / packages)
    for library in (ours.base_prefix / "lib").glob("libpython*.dylib"):
        (tree / "lib" / library.name).symlink_to(library)
    executable = tree / "bin" / NAME
    shutil.copyfile(ours.executable, executable)
    executable.chmod(0o755)
    return executable


def entitlements() -> bytes:
    """The property list: nothing but the dictionary, since macOS takes no comments in it."""
    return plistlib.dumps({ENTITLEMENT: True})


def sign(codesign: str, executable: Path, plist: Path) -> None:
    """Sign `executable` ad hoc: macOS refuses this entitlement under a developer's identity without a profile."""
    plist.write_bytes(entitlements())
    run([codesign, "--force", "--sign", "-", "--entitlements", plist, executable], timeout=PATIENCE)


def verify(codesign: str, executable: Path) -> None:
    """Have the copy say who it is, and codesign what it may. Raises `GuestError`."""
    code = "import sys, msgspec, snowshed; print(sys.executable)"
    said = run([executable, "-P", "-c", code], timeout=PATIENCE).strip()
    if Path(said).resolve() != executable.resolve():
        raise GuestError(f"The signed interpreter starts another one ({said}).", OTHER_PYTHON)
    if ENTITLEMENT not in run([codesign, "-d", "--entitlements", "-", "--xml", executable], timeout=PATIENCE):
        raise GuestError("The signed interpreter does not carry the entitlement.", "Please report this.")


def _sweep(keep: Path) -> None:
    """Remove the copies of interpreters that are ours no more. One that still runs goes on running."""
    for folder in keep.parent.iterdir():
        if folder != keep and not folder.name.startswith(".new-"):
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":  # what `snowshed doctor --fix` runs
    try:
        print(make(anew="--anew" in sys.argv))
    except SnowshedError as error:
        sys.exit(str(error))

"""A private apt: resolves and downloads Debian packages of any architecture, and installs nothing.

The host's own apt does the work on state that is ours alone (its lists, an empty package status, no hooks), so it
needs neither root nor a package manager for the guest. From the host it takes what reaches the archive (proxies,
timeouts, credentials in ``auth.conf``) and, unless told otherwise, the mirror. Signatures are always verified.

    apt = PrivateApt(Arch.AARCH64)
    apt.update()
    packages = apt.resolve(["gcc", "libc6-dev"])
    files = apt.download(packages)

Downloads land in one archive folder under the user's cache, shared by all architectures and suites and by every
caller; a file there is used again when its SHA-256 fits.

Sources: apt.conf(5) for the options and the order in which configuration files count, apt-get(8) for
``--print-uris`` and ``indextargets``, apt-helper's own help for ``download-file``.
"""

from __future__ import annotations

import fcntl
import hashlib
import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

import msgspec

from .. import paths, process
from ..errors import GuestError, UserError
from ..model.machine import Arch
from .progress import Report, silent

DEFAULT_SUITE = "trixie"
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
SUITE_NAMES = (
    {"bullseye", "bookworm", "trixie", "forky", "duke"}
    | {f"{age}stable" for age in ("oldold", "old", "", "un")}
    | {"testing", "sid"}
)
BATCH = 6 << 20
"""Bytes that one call of the downloader fetches: what a progress bar moves by."""

_LOCALE = {"LC_ALL": "C.UTF-8", "LANGUAGE": ""}
_NOT_FROM_HOST = ("Acquire::IndexTargets", "Acquire::Languages", "Acquire::ForceHash", "Acquire::By-Hash")
_APT_HINT = "Install it: `apt-get install apt`. Images are made from Debian packages, on Debian or Ubuntu."


class Package(msgspec.Struct, frozen=True, order=True):
    """One package as the archive has it: `architecture` is Debian's name or ``all``, `size` bytes of the file."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int
    uri: str

    @property
    def file_name(self) -> str:
        """The file's name in the archive folder: an epoch's colon is written %3a, as apt does."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


class PrivateApt:
    """Debian packages of `suite` for `arch` from `mirror` (a URI; empty: the one of this host's apt).

    `provided` names packages that count as installed: they satisfy dependencies and are never chosen. Raises
    `UserError` where apt, the mirror or the archive's keyring is missing.
    """

    def __init__(
        self, arch: Arch, suite: str = DEFAULT_SUITE, mirror: str = "", *, provided: Iterable[str] = ()
    ) -> None:
        self.arch = arch
        self.suite = check_suite(suite)
        self.mirror = check_mirror(mirror) if mirror else host_mirror()
        self._provided = tuple(sorted(provided))
        key = hashlib.sha256(f"{self.mirror} {self.suite}".encode()).hexdigest()[:12]
        self._root = paths.packages_root() / f"apt-{arch.debian}-{key}"
        self._keyring = find_keyring()

    @property
    def archives(self) -> Path:
        """The folder of downloaded packages."""
        return paths.packages_root() / "archives"

    def update(self) -> bool:
        """Bring the package lists up to date; False where the mirror is out of reach and older lists are there.

        Raises `UserError` where there are no lists at all, or their signature does not verify.
        """
        with self._prepared() as config:
            try:
                self._apt_get(config, "update", "-qq")
            except GuestError as error:
                if _is_signature_error(error.message) or not self._has_lists():
                    raise _update_error(error, self.mirror, self.suite) from error
                return False
        return True

    def resolve(self, names: Sequence[str]) -> tuple[Package, ...]:
        """All packages that `names` need, themselves included and nothing only recommended, sorted by name.

        Uses the lists of the last `update`. Raises `UserError` for a package that does not exist or cannot be had.
        """
        with self._prepared() as config:
            try:
                text = self._apt_get(config, "install", "--print-uris", "-qq", *names)
            except GuestError as error:
                raise UserError(
                    f"Debian {self.suite} on this mirror cannot provide all packages for {self.arch.debian}: "
                    f"{error.message.partition(': ')[2]}",
                    "Check the package names, --suite and --mirror; the mirror must carry this architecture.",
                ) from error
        return parse_uris(text)

    def missing_size(self, packages: Sequence[Package]) -> int:
        """Bytes that `download` would fetch for `packages`."""
        return sum(package.size for package in packages if not _is_file_of(package, self.archives))

    def download(self, packages: Sequence[Package], report: Report = silent) -> list[Path]:
        """The files of `packages`, in their order; what is not in the archive folder yet is downloaded and verified.

        Raises `GuestError` when a download fails, and leaves nothing half-downloaded under a final name.
        """
        report("packages", 0.0)
        self.archives.mkdir(parents=True, exist_ok=True)
        with _locked(self.archives / "lock"):
            missing = [package for package in packages if not _is_file_of(package, self.archives)]
            total = sum(package.size for package in missing)
            done = 0
            for batch in in_batches(missing, BATCH):
                self._fetch(batch)
                done += sum(package.size for package in batch)
                report("packages", done / total)
        report("packages", 1.0)
        return [self.archives / package.file_name for package in packages]

    def _fetch(self, batch: Sequence[Package]) -> None:
        helper = process.find("apt-helper", _APT_HINT, folders=["/usr/lib/apt"])
        partial = self.archives / "partial"
        partial.mkdir(exist_ok=True)
        arguments = [word for p in batch for word in (p.uri, str(partial / p.file_name), f"SHA256:{p.sha256}")]
        with self._prepared() as config:
            try:
                process.run([helper, "-qq", "download-file", *arguments], env=_environment(config))
            except GuestError as error:
                raise GuestError(
                    f"Packages could not be downloaded from {self.mirror}: {error.message.partition(': ')[2]}",
                    "Check the network and the mirror; what has arrived is kept for the next try.",
                ) from error
            finally:
                for package in batch:
                    _keep_if_right(package, partial, self.archives)

    @contextmanager
    def _prepared(self) -> Iterator[Path]:
        """The private state with its configuration file written; one process at a time."""
        for folder in ("lists/partial", "archives/partial"):
            (self._root / folder).mkdir(parents=True, exist_ok=True)
        with _locked(self._root / "snowshed.lock"):
            (self._root / "status").write_text(status_text(self._provided, self.arch))
            (self._root / "sources.list").write_text(
                f"deb [arch={self.arch.debian} signed-by={self._keyring}] {self.mirror} {self.suite} main\n"
            )
            config = self._root / "apt.conf"
            config.write_text(config_text(self._root, self.arch, _host_acquire_options()))
            yield config

    def _apt_get(self, config: Path, *words: str) -> str:
        program = process.find("apt-get", _APT_HINT)
        return process.run([program, *words], env=_environment(config))

    def _has_lists(self) -> bool:
        return any((self._root / "lists").glob("*_Packages*"))


def check_suite(suite: str) -> str:
    """`suite`, if a Debian suite can be called that. Raises `UserError`."""
    if not suite.replace("-", "").isalnum():
        raise UserError(f"{suite!r} is not the name of a Debian suite.", f"Use a name such as {DEFAULT_SUITE}.")
    return suite


def check_mirror(mirror: str) -> str:
    """`mirror` with one slash at its end, if apt can read from it. Raises `UserError`."""
    scheme, separator, _ = mirror.partition(":")
    if not separator or not scheme.replace("+", "").isalpha() or any(c in mirror for c in " \t\n[]\"'"):
        raise UserError(
            f"{mirror!r} is not the address of a Debian mirror.", "Give a URI: http://…, https://…, file:/…."
        )
    return mirror.rstrip("/") + "/"


def host_mirror() -> str:
    """The mirror from which this machine's apt gets Debian itself. Raises `UserError` where there is none."""
    program = process.find("apt-get", _APT_HINT)
    form = "$(ORIGIN)|$(LABEL)|$(RELEASE)|$(REPO_URI)"
    text = process.run([program, "indextargets", "--format", form, "Created-By: Packages"], env=_LOCALE)
    mirror = choose_mirror(text)
    if mirror is None:  # nothing is listed before the first `apt-get update` (apt 3.0): then, what that would fetch
        mirror = choose_unasked(process.run([program, "update", "--print-uris"], env=_LOCALE))
    if mirror is None:
        raise UserError(
            "This machine's apt has no Debian mirror to take packages for the guest from.",
            "Name one with --mirror: the URI that holds Debian's `dists` and `pool`.",
        )
    return mirror


def choose_mirror(targets: str) -> str | None:
    """The mirror of Debian's main archive among apt's index targets, one ``origin|label|release|uri`` a line.

    Origin and label are empty where the host has not fetched its lists yet: then the suite's name decides.
    """
    for line in targets.splitlines():
        origin, label, release, uri = line.split("|", 3)
        ours = (origin, label) == ("Debian", "Debian") or (not origin and release in SUITE_NAMES)
        if ours and not release.endswith(("-security", "-backports")) and not uri.startswith("cdrom:"):
            return check_mirror(uri)
    return None


def choose_unasked(uris: str) -> str | None:
    """The mirror of Debian's main archive in the output of ``apt-get update --print-uris``, by the suite's name."""
    for line in uris.splitlines():
        mirror, separator, rest = line.partition(" ")[0].strip("'").partition("/dists/")
        if separator and rest.partition("/")[0] in SUITE_NAMES and not mirror.startswith("cdrom:"):
            return check_mirror(mirror)
    return None


def find_keyring() -> Path:
    """The archive's public keys. Raises `UserError`."""
    for keyring in KEYRINGS:
        if keyring.exists():
            return keyring
    raise UserError(
        "The public keys of the Debian archive are not on this machine.",
        "Install them: `apt-get install debian-archive-keyring`.",
    )


def config_text(root: Path, arch: Arch, acquire: str) -> str:
    """The configuration file of a private apt in `root`; `acquire` are the host's own ``Acquire`` lines.

    The host's configuration files are not read at all: their hooks and pins are meant for the host.
    """
    return f"""{acquire}
Dir::Etc::Parts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "{root}";
Dir::State::Lists "{root}/lists";
Dir::State::status "{root}/status";
Dir::State::extended_states "{root}/extended_states";
Dir::Cache "{root}";
Dir::Cache::archives "{root}/archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Dir::Log "{root}";
APT::Architecture "{arch.debian}";
APT::Architectures "{arch.debian}";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
Acquire::ForceHash "SHA256";
"""


def status_text(provided: Iterable[str], arch: Arch) -> str:
    """A package status in which only `provided` are installed, in a version that satisfies everybody."""
    return "".join(
        f"Package: {name}\nStatus: install ok installed\nPriority: optional\nSection: misc\n"
        f"Maintainer: nobody <nobody@localhost>\nArchitecture: {arch.debian}\nMulti-Arch: allowed\n"
        f"Version: 99:0\nDescription: comes with the image\n\n"
        for name in provided
    )


def parse_uris(text: str) -> tuple[Package, ...]:
    """The packages in the output of ``apt-get install --print-uris``, sorted: ``'URI' file size SHA256:hash``."""
    found = []
    for line in text.splitlines():
        uri, file, size, digest = shlex.split(line)
        name, version, architecture = unquote(file).removesuffix(".deb").split("_")
        kind, _, sha256 = digest.partition(":")
        if kind != "SHA256":
            raise GuestError(f"The mirror has no SHA-256 of {name}.", "Use a mirror that was made by Debian's tools.")
        found.append(Package(name, version, architecture, sha256, int(size), uri))
    return tuple(sorted(found))


def in_batches(packages: Sequence[Package], limit: int) -> Iterator[list[Package]]:
    """`packages` in groups of about `limit` bytes, at least one in each."""
    batch: list[Package] = []
    size = 0
    for package in packages:
        batch.append(package)
        size += package.size
        if size >= limit:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _host_acquire_options() -> str:
    """How this host reaches archives: its ``Acquire`` options, as lines of a configuration file."""
    program = process.find("apt-config", _APT_HINT)
    lines = process.run([program, "dump"], env=_LOCALE).splitlines()
    return "\n".join(line for line in lines if line.startswith("Acquire::") and not line.startswith(_NOT_FROM_HOST))


def _environment(config: Path) -> dict[str, str]:
    return {**_LOCALE, "APT_CONFIG": str(config)}


def _is_signature_error(text: str) -> bool:
    return any(word in text for word in ("NO_PUBKEY", "signature", "not signed", "Sub-process /usr/bin/sqv"))


def _update_error(error: GuestError, mirror: str, suite: str) -> UserError:
    if _is_signature_error(error.message):
        return UserError(
            f"The package lists of {mirror} for {suite} are not signed by a key that this machine knows.",
            "If the suite is newer than this machine, upgrade debian-archive-keyring; else check --mirror.",
        )
    return UserError(
        f"The package lists of {mirror} for {suite} cannot be had: {error.message.partition(': ')[2]}",
        "Check the network, --mirror and --suite.",
    )


def _is_file_of(package: Package, folder: Path) -> bool:
    file = folder / package.file_name
    try:
        if file.stat().st_size != package.size:
            return False
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest() == package.sha256
    except FileNotFoundError:
        return False


def _keep_if_right(package: Package, partial: Path, archives: Path) -> None:
    if _is_file_of(package, partial):
        (partial / package.file_name).replace(archives / package.file_name)
    for leftover in partial.glob(f"{package.file_name}*"):
        leftover.unlink(missing_ok=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on `file`: waits for whoever holds it, ends with our process in any case."""
    with file.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield

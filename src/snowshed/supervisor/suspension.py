"""Memory on disk: ``suspend.state``, bound to the machine and the disks that it belongs to, and used once.

Order of writing: the memory into a temporary file, synced; then the manifest that says what it fits, synced; then the
rename that makes it valid. A power cut at any point leaves either a whole suspended machine or none. Order of using:
the file is renamed ``.consumed`` and the folder synced *before* the machine continues, so that nothing ever resumes
old memory over a newer disk.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from threading import Event

import msgspec

from .. import durable
from ..errors import GuestError, UserError
from ..paths import BuilderPaths
from . import alongside

FORMAT = 2
"""Of the manifest, and of the checksum in it."""


class DiskMark(msgspec.Struct, frozen=True):
    """What would differ if a disk image had been written or replaced: inode, bytes, nanoseconds of its last change."""

    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, path: Path) -> DiskMark:
        facts = path.stat()
        return cls(facts.st_ino, facts.st_size, facts.st_mtime_ns)


class Manifest(msgspec.Struct, frozen=True):
    """What the memory in ``suspend.state`` fits: the machine's fingerprint and its disks; and what the file is like:
    bytes, and `alongside.checksum` (hypervisors notice damage to devices, but none to memory pages)."""

    fingerprint: str
    disks: dict[str, DiskMark]
    length: int
    checksum: int
    format: int = FORMAT


class UnsavedError(UserError):
    """A guest whose memory could not be saved, and that runs on. Its journal says so already."""


class Suspension:
    """The suspended memory of one builder, if there is any."""

    def __init__(self, paths: BuilderPaths) -> None:
        self._paths = paths
        self.temporary = paths.suspend_state.with_name("suspend.state.new")
        self._checksum = 0

    @property
    def exists(self) -> bool:
        return self._paths.suspend_state.exists()

    def begin(self) -> Path:
        """The path of a new file to save memory into."""
        self.abandon()
        return self.temporary

    async def take(self, saving: Awaitable[None], *, in_order: bool) -> None:
        """Let `saving` write the file that was begun, bring it to the disk meanwhile, and learn its checksum.

        `in_order`: it is written from its beginning to its end. Raises `GuestError`, and whatever `saving` raises.
        """
        written = Event()
        beside = asyncio.gather(
            asyncio.to_thread(alongside.synced, self.temporary, written),
            asyncio.to_thread(alongside.checksum, self.temporary, written, in_order=in_order),
            return_exceptions=True,
        )
        try:
            await saving
        finally:
            written.set()
            synced, summed = await beside
        for outcome in (synced, summed):
            if isinstance(outcome, OSError):
                raise _unsaved(outcome) from outcome
            if isinstance(outcome, BaseException):
                raise outcome
        assert isinstance(summed, int)
        self._checksum = summed

    def commit(self, fingerprint: str, disks: tuple[Path, ...]) -> None:
        """Make the memory that was taken the one to resume from. The VM must be gone: its disks are looked at."""
        marks = {str(path): DiskMark.of(path) for path in disks}
        manifest = Manifest(fingerprint, marks, self.temporary.stat().st_size, self._checksum)
        durable.write(self._paths.suspend_manifest, msgspec.json.encode(manifest))
        self.temporary.replace(self._paths.suspend_state)
        durable.sync(self._paths.state)

    def abandon(self) -> None:
        """Forget memory that was saved and not committed."""
        self.temporary.unlink(missing_ok=True)

    def check(self, fingerprint: str) -> None:
        """Raise `UserError` with the reason if the saved memory does not fit the machine or its disks any more."""
        manifest = self._manifest()
        if manifest.format != FORMAT:
            raise _unfit("another version of snowshed saved it")
        if manifest.fingerprint != fingerprint:
            raise _unfit("the machine's configuration, its image or the hypervisor changed")
        if not self.exists:
            raise _unfit("suspend.state is gone")
        if self._paths.suspend_state.stat().st_size != manifest.length:
            raise _unfit("suspend.state is not as long as it was written")
        for name, mark in manifest.disks.items():
            if not Path(name).exists() or DiskMark.of(Path(name)) != mark:
                raise _unfit(f"{Path(name).name} was changed meanwhile")

    def verify(self) -> None:
        """Read the whole file and raise `UserError` if it is not what was written. Takes a while: use a thread."""
        if alongside.checksum(self._paths.suspend_state) != self._manifest().checksum:
            raise _unfit("suspend.state is damaged")

    def _manifest(self) -> Manifest:
        try:
            return msgspec.json.decode(self._paths.suspend_manifest.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise _unfit("suspend.json, which says what it belongs to, cannot be read") from error

    def consume(self) -> None:
        """Make sure that this memory is never used again: before the machine continues."""
        self._paths.suspend_state.replace(self._paths.suspend_consumed)
        self._paths.suspend_manifest.unlink(missing_ok=True)
        durable.sync(self._paths.state)

    def discard(self) -> None:
        """Remove every trace of suspended memory."""
        for path in (self._paths.suspend_state, self._paths.suspend_manifest):
            path.unlink(missing_ok=True)
        self.sweep()

    def forget_used(self) -> None:
        """Remove consumed memory. A file system may take a tenth of a second for a large file."""
        with suppress(OSError):
            self._paths.suspend_consumed.unlink()

    def sweep(self) -> None:
        """Remove what is of no use to anybody any more: consumed memory, and half-written one after a crash."""
        with suppress(OSError):
            self.abandon()
        self.forget_used()


def _unsaved(error: OSError) -> GuestError:
    hint = "Make room; the guest can go on meanwhile." if error.errno == errno.ENOSPC else ""
    return GuestError(f"The guest's memory could not be saved: {error.strerror or error}.", hint)


def _unfit(why: str) -> UserError:
    return UserError(f"The suspended memory does not fit any more: {why}.", "The builder boots anew instead.")

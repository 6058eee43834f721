"""A host of the test's own: the directories that an installation changes are layers over this machine's, in a mount
namespace, and vanish with it. Needs root and overlayfs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

LAYERED = ("/etc", "/nix", "/root", "/home", "/var/lib")
REPOSITORY = Path(__file__).resolve().parents[1]
SEEN = Path("/mnt/repository")
"""Where every user of the host sees this checkout, wherever it lies."""

SCRIPT = """
set -e
mount -t tmpfs layers "$1"
cd "$1"
mount -t tmpfs mnt /mnt
mkdir -m 755 /mnt/repository
mount --bind "$2" /mnt/repository
shift 2
base=$(pwd)
for folder in "$@"; do
    name=$(echo "$folder" | tr / _)
    mkdir "$name.upper" "$name.work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$base/$name.upper,workdir=$base/$name.work" "$folder"
done
chmod 755 /root
rm -rf /root/.local/share/snowshed /root/.config/snowshed  # in the layer: root of this machine may have builders too
echo ready
exec sleep infinity
"""


def _python() -> str:
    """This interpreter, by the path that everybody on the host can take."""
    here = Path(sys.executable)
    return str(SEEN / here.relative_to(REPOSITORY)) if here.is_relative_to(REPOSITORY) else str(here)


SNOWSHED = ("env", f"PYTHONPATH={SEEN}/src", "PYTHONDONTWRITEBYTECODE=1", _python(), "-m", "snowshed.cli")


def why_not() -> str:
    """Why there can be no such host here; empty where there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "layers over /etc and users of its own need root on Linux"
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True)
    return "" if probe.returncode == 0 else f"no mount namespace here: {probe.stderr.strip()}"


class Host:
    """A host while it lasts."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._left: list[subprocess.Popen[bytes]] = []

    def path(self, path: str) -> Path:
        """How a file of that host is reached from here."""
        return Path(f"/proc/{self._pid}/root{path}")

    def argv(self, words: Sequence[str | Path], user: str = "root") -> list[str]:
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"] if user != "root" else []
        home = "/root" if user == "root" else f"/home/{user}"
        clean = [
            "env",
            "-i",
            f"--chdir={home}",
            f"HOME={home}",
            f"USER={user}",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL=C.UTF-8",
        ]
        return ["nsenter", f"--target={self._pid}", "--mount", "--", *clean, *who, *map(str, words)]

    def run(self, *words: str | Path, user: str = "root", patience: float = 300) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(words, user), capture_output=True, text=True, timeout=patience, stdin=subprocess.DEVNULL
        )

    def ok(self, *words: str | Path, user: str = "root", patience: float = 300) -> str:
        """What a command says that has to succeed."""
        done = self.run(*words, user=user, patience=patience)
        assert done.returncode == 0, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def snowshed(self, *words: str, user: str = "root") -> subprocess.CompletedProcess[str]:
        return self.run(*SNOWSHED, *words, user=user)

    def leave_running(self, *words: str | Path, log: Path, user: str = "root") -> subprocess.Popen[bytes]:
        """Start a daemon; it ends with the host."""
        with log.open("ab") as output:
            child = subprocess.Popen(self.argv(words, user), stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        self._left.append(child)
        return child

    def end(self) -> None:
        for child in self._left:
            child.terminate()
            child.wait(timeout=30)

    def add_user(self, name: str) -> None:
        self.ok("useradd", "--create-home", name)

    def with_nix_users(self) -> None:
        """Users of a multi-user Nix, as its installers make them."""
        self.ok("groupadd", "--system", "nixbld")
        for number in range(1, 3):
            user = f"nixbld{number}"
            self.ok("useradd", "--system", "-g", "nixbld", "-G", "nixbld", "-d", "/var/empty", "-M", user)


@contextmanager
def host(folder: Path) -> Iterator[Host]:
    """A host with its layers in `folder`."""
    layers = folder / "layers"
    layers.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", SCRIPT, "sh", layers, REPOSITORY, *LAYERED],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "ready\n", "the layers cannot be mounted"
        here = Host(holder.pid)
        try:
            yield here
        finally:
            here.end()
    finally:
        holder.kill()
        holder.wait(timeout=30)
        holder.stdout.close()

"""The Debian guest's own user land, without the machine: an image's root unpacked, entered by chroot as the user that
ssh comes in as. It is as quick as the host is. Needs root and erofs-utils."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from snowshed.guest.contract import contract
from snowshed.images import manifest, store

SSH = """
exec 3<&0
cat <&3 3<&- | unshare --mount --propagation=private sh -c "$@" 3<&- &
exec >&- 3<&-
wait $!
"""
"""Like ssh: whoever ends it closes the input of what runs over there, and no more."""

ENTER = """
set -e
tree=$1
shift
for place in dev proc; do mount --rbind /$place "$tree/$place"; done
exec chroot --userspec=1000:1000 "$tree" /usr/bin/busybox env -i HOME=/data/home PATH=/usr/bin:/usr/sbin /bin/sh -c "$1"
"""


def unpack(image: store.Image, tree: Path) -> Path:
    """The files of the image's root, in the new folder `tree`."""
    fsck = shutil.which("fsck.erofs", path="/usr/sbin:/usr/bin:/sbin")
    assert fsck is not None, "erofs-utils has it"
    tree.mkdir()
    root = image.path / manifest.ROOT
    subprocess.run([fsck, f"--extract={tree}", root], check=True, capture_output=True)
    return tree


class Userland:
    """A guest of `image` in `folder`; `ssh` is a command line that runs the word after it there, as ssh would."""

    def __init__(self, image: store.Image, folder: Path) -> None:
        self.tree = tree = unpack(image, folder / "guest")
        self.home = tree / contract().data_dir.lstrip("/") / "home"
        self.home.mkdir(parents=True, exist_ok=True)
        os.chown(self.home, 1000, 1000)
        (tree / "tmp").chmod(0o1777)
        shutil.copy("/etc/resolv.conf", tree / "run/resolv.conf")
        (tree / "run/snowshed").mkdir()
        (tree / "run/snowshed/settings.env").touch()
        folder.chmod(0o755)
        self.ssh = ("sh", "-c", SSH, "ssh", ENTER, "sh", str(tree))

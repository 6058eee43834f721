"""Shell scripts about a guest's data disk, which run as root in the guest. Pure."""

from __future__ import annotations

from .contract import contract

WORKSHOP = f"{contract().data_dir}/home/image-workshop"
"""What images that are made in a guest leave there for the next one (`images.inside`): tools and packages."""

_PATH = "PATH=$PATH:/usr/bin:/usr/sbin:/run/current-system/sw/bin; "
_USED = f"stat -f -c '%b %f %S' {contract().data_dir}"

USED = _PATH + _USED
"""Blocks of the file system, those that are free, and the bytes of one."""

FREE = f"{_PATH}stat -f -c '%a %S' {contract().data_dir}"
"""Blocks that builds can still take of the file system, and the bytes of one."""

TIDY = f"{_PATH}sync; fstrim {contract().data_dir}; {_USED}"
"""Writes everything out, gives freed blocks back, and says what `USED` says."""

MARK = f"""
{_PATH}
while read -r device place _; do [ "$place" != {contract().data_dir} ] || break; done </proc/mounts
printf '%s\\n' "$1" | dd of="$device" conv=notrunc,fsync
"""
"""Writes $1 where the disk has room for a boot loader."""

FORGET_WORKSHOP = """
forget_workshop() {
    rm -rf "$1.old"
    [ -d "$1" ] || return 0
    until ln -s $$ "$1/lock" 2>/dev/null; do
        other=$(readlink "$1/lock") || break
        ! grep -q image-workshop "/proc/$other/cmdline" 2>/dev/null || return 0
        rm -f "$1/lock"
    done
    mv "$1" "$1.old" && rm -rf "$1.old"
}
"""
"""Takes a workshop away unless an image is being made in it: by the lock of those (`images/inside/receive`), as one of
them. On a disk that is full to the last block there is no lock, nor anybody who could work there."""

COLLECT = f"""
{_PATH}
{FORGET_WORKSHOP}
forget_workshop {WORKSHOP}
export NIX_REMOTE='unix:///nix/var/nix/daemon-socket/socket?root={contract().data_dir}'
nix-store --gc "$@" 2>&1 && sync && fstrim {contract().data_dir}
"""
"""Deletes what no build needs and what images left, and gives the blocks back; $@ are options for Nix."""

COLLECT_UNLESS_BUSY = f"""
tries=20
while [ "$(grep -slx nix-daemon /proc/[0-9]*/comm | wc -l)" -gt 1 ]; do
    [ $((tries -= 1)) -gt 0 ] || exit 0
    sleep 0.1
done
{COLLECT}
"""
"""The same when Nix's daemon has no client: each has a process of its own there, and needs a moment to end."""

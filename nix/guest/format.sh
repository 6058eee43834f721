# Makes a file system on a blank data disk, and touches no other. See data-disk.nix.
#
# Given: DATA, LABEL.
kind=$(blkid --probe --output value --match-tag TYPE "$DATA" || :)
if [ -z "$kind" ] && cmp --silent --bytes=1048576 "$DATA" /dev/zero; then
    mkfs.ext4 -q -F -m 1 -L "$LABEL" -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$DATA"
fi

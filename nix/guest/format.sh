# Makes a file system on a blank data disk, and touches no other. See data-disk.nix.
#
# Given: DATA, LABEL.

# Signatures of file systems, volumes and partitions lie in the first and the last MiB.
blank() {
    head --bytes=1M "$DATA" | cmp --silent --bytes=1048576 - /dev/zero &&
        tail --bytes=1M "$DATA" | cmp --silent --bytes=1048576 - /dev/zero
}

kind=$(blkid --probe --output value --match-tag TYPE "$DATA" || :)
if [ -z "$kind" ] && blank; then
    mkfs.ext4 -q -F -m 1 -L "$LABEL" -E nodiscard,lazy_itable_init=1,lazy_journal_init=1 "$DATA"
fi

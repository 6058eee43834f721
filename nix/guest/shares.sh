# Mounts the host's shared directories: `tag:ro:/mnt/tag` or `tag:rw:/mnt/tag`. See shares.nix.
#
# Given: SETTINGS.
# shellcheck disable=SC1090  # written by the host
[ ! -e "$SETTINGS" ] || . "$SETTINGS"

for share in ${SNOWSHED_SHARES:-}; do
    IFS=: read -r tag mode place <<< "$share"
    mkdir -p "$place"
    mountpoint -q "$place" || mount -t virtiofs -o "$mode,nosuid,nodev" "$tag" "$place" ||
        echo "the share $tag cannot be mounted" >&2
done

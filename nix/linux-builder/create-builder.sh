# What nix.linux-builder of nix-darwin runs, as root, in the builder's working directory: makes a directory there that
# keeps that module's promises, and becomes the builder, in the foreground.
#
# The promises: the user's key in /etc/nix/builder_ed25519, the guest's host key that nixpkgs publishes, and a disk
# under the name $HOST_NAME.qcow2, whose removal wipes the builder. The disk is raw; that name is a link to it.
#
# Given in the environment: SNOWSHED, CONFIG, HOST_NAME, HOST_KEY, KEYS_OF_NIX.
set -euo pipefail

fail() {
    printf 'create-builder: %s\n  %s\n' "$1" "$2" >&2
    exit 2
}

[ "$(id -u)" = 0 ] || fail "The builder is root's, and this is another user." "Run create-builder with sudo."

disk=$PWD/$HOST_NAME.qcow2
state=$PWD/snowshed

if [ -f "$disk" ] && [ ! -L "$disk" ]; then
    [ "$(head -c 3 "$disk")" != QFI ] || fail "$disk is a qcow2 disk, from the builder of nixpkgs." \
        "Move it out of the way to begin with an empty one; moved back, it serves that builder again."
    fail "$disk is in the way: it is no disk of snowshed's." "Move it away."
fi

umask 077
mkdir -p "$state/ssh"
if [ ! -L "$disk" ]; then
    # Wiped, or new.
    rm -f "$state/disk.img" "$state/suspend.state" "$state/suspend.json"
    ln -s snowshed/disk.img "$disk"
fi

# The user's key, where nixpkgs' builder keeps it too: neither way of a switch makes a new one.
mkdir -p keys
if [ ! -s keys/builder_ed25519 ]; then
    rm -f keys/builder_ed25519 keys/builder_ed25519.pub
    ssh-keygen -q -t ed25519 -N "" -C builder@localhost -f keys/builder_ed25519
fi
for name in builder_ed25519 builder_ed25519.pub; do
    mode=0600
    [ "$name" = builder_ed25519 ] || mode=0644
    cmp -s "keys/$name" "$KEYS_OF_NIX/$name" || install -m $mode "keys/$name" "$KEYS_OF_NIX/$name"
done
install -m 0600 keys/builder_ed25519 "$state/ssh/id_ed25519"
install -m 0644 keys/builder_ed25519.pub "$state/ssh/id_ed25519.pub"

install -m 0600 "$HOST_KEY" "$state/ssh/ssh_host_ed25519_key"
install -m 0644 "$HOST_KEY.pub" "$state/ssh/ssh_host_ed25519_key.pub"

exec "$SNOWSHED" run -b linux-builder --config "$CONFIG" --state-dir "$state"

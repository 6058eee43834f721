#!/bin/sh
# Starts snowshed for launchd. It lies outside the Nix store, under a name of its own for the list of background
# items, because its job may start before the volume with the store is unlocked and mounted.
case $1 in
/nix/store/*) /bin/wait4path /nix/store && /bin/wait4path "$1" ;;
/nix/* | /run/current-system/*) /bin/wait4path "$1" ;;
esac
exec "$@"

# Takes the named members of the seed disk into $RUN_DIR. See seed.nix.
#
# Given: SEED, RUN_DIR, REQUIRED, OPTIONAL, PRIVATE (names of members), SAY (tells the host).
fail() {
    "$SAY" failed boot "$1"
    exit 1
}
take() {
    tar --extract --file "$SEED" --no-same-owner --no-same-permissions -- "$@"
}

[ -e "$SEED" ] || fail "there is no seed disk: this guest does not know its keys"
umask 077
mkdir -p "$RUN_DIR"
cd "$RUN_DIR"
# shellcheck disable=SC2086  # names without blanks
take $REQUIRED 2>/dev/null || fail "the seed disk cannot be read"
for name in $OPTIONAL; do
    take "$name" 2>/dev/null || :
done
chmod 0755 .
chmod 0644 -- *
for name in $PRIVATE; do
    [ ! -e "$name" ] || chmod 0600 -- "$name"
done
"$SAY" boot

# Registers what runs programs of $FOREIGN, by trying, and tells Nix and the host what this machine can build. See
# foreign.nix.
#
# Given: SETTINGS, FEATURES and PLATFORMS (files for Nix), FOREIGN (a system), NATIVE (other systems of this processor),
# MAGIC and MASK (of programs of FOREIGN), PROBE (one of them), EMULATOR, TABLE (binfmt_misc), ROSETTA (a virtiofs tag),
# ROSETTA_DIR, ROSETTA_CACHE, TAGS (where the kernel lists tags), KVM, SAY (tells the host).
#
# Flags of the table: F opens the interpreter now, so that a build's sandbox need not have it; P keeps argv[0] for
# qemu-user, which Rosetta does not want (Apple, "Running Intel Binaries in Linux VMs with Rosetta").
# shellcheck disable=SC1090  # written by the host
[ ! -e "$SETTINGS" ] || . "$SETTINGS"
why=

forget() {
    [ ! -e "$TABLE/snowshed" ] || printf -- '-1' > "$TABLE/snowshed"
}
runs() {
    forget
    if [ ! -x "$2" ]; then
        why="$why; $1 is not in this guest"
        return 1
    fi
    printf ':snowshed:M::%s:%s:%s:%s' "$MAGIC" "$MASK" "$2" "$3" > "$TABLE/register"
    status=0
    "$PROBE" || status=$?
    [ "$status" != 42 ] || return 0
    why="$why; $1 does not run a program that only ends (status $status)"
    return 1
}
rosetta() {
    [ -n "${SNOWSHED_ROSETTA:-}" ] || return 1
    if ! grep -qsx "$ROSETTA" "$TAGS"/*/tag; then
        why="$why; the host lends no Rosetta"
        return 1
    fi
    mkdir -p "$ROSETTA_DIR"
    mountpoint -q "$ROSETTA_DIR" || mount -t virtiofs -o ro "$ROSETTA" "$ROSETTA_DIR" || return 1
    runs Rosetta "$ROSETTA_DIR/rosetta" OCF
}

: > "$PLATFORMS"
case " ${SNOWSHED_EMULATE:-} ${SNOWSHED_ROSETTA:+x86_64-linux} " in
*" $FOREIGN "*)
    if rosetta; then
        by=rosetta
        printf 'extra-sandbox-paths = %s /run/rosettad=%s?\n' "$ROSETTA_DIR" "$ROSETTA_CACHE" > "$PLATFORMS"
    elif runs qemu-user "$EMULATOR" POF; then
        by=qemu-user
    else
        by="nothing ${why#; }"
        forget
    fi
    case $by in
    nothing*) ;;
    *) printf 'extra-platforms = %s%s\n' "$NATIVE" "$FOREIGN" >> "$PLATFORMS" ;;
    esac
    $SAY emulates "$FOREIGN" "$by"
    ;;
esac

# Machines in this machine: only where the host means them to run, which may be slower than anybody wants.
features="benchmark big-parallel"
if [ -n "${SNOWSHED_KVM:-}" ]; then
    [ -e "$KVM" ] || modprobe -q kvm_intel || modprobe -q kvm_amd || :
    if [ -e "$KVM" ]; then
        features="$features kvm nixos-test"
        $SAY features kvm
    fi
fi
printf 'system-features = %s\n' "$features" > "$FEATURES"

# Registers what runs programs of $FOREIGN, by trying, and tells Nix what this machine can build. See foreign.nix.
#
# Given: SETTINGS, FEATURES and PLATFORMS (files for Nix), FOREIGN (a system), MAGIC and MASK (its programs), PROBE (one of them),
# EMULATOR, TABLE (binfmt_misc), ROSETTA (a virtiofs tag), ROSETTA_DIR, TAGS (where the kernel lists tags), KVM.
# shellcheck disable=SC1090  # written by the host
[ ! -e "$SETTINGS" ] || . "$SETTINGS"

forget() {
    [ ! -e "$TABLE/snowshed" ] || printf -- '-1' > "$TABLE/snowshed"
}
runs() {
    [ -x "$1" ] || return 1
    forget
    printf ':snowshed:M::%s:%s:%s:PCF' "$MAGIC" "$MASK" "$1" > "$TABLE/register" && "$PROBE"
}
rosetta() {
    grep -qsx "$ROSETTA" "$TAGS"/*/tag || return 1
    mkdir -p "$ROSETTA_DIR"
    mountpoint -q "$ROSETTA_DIR" || mount -t virtiofs -o ro "$ROSETTA" "$ROSETTA_DIR" || return 1
    runs "$ROSETTA_DIR/rosetta"
}

platforms=
case " ${SNOWSHED_EMULATE:-} ${SNOWSHED_ROSETTA:+x86_64-linux} " in
*" $FOREIGN "*)
    if rosetta || runs "$EMULATOR"; then
        platforms=$FOREIGN
    else
        forget
        echo "nothing here runs programs of $FOREIGN" >&2
    fi
    ;;
esac

# Machines in this machine: only where the host means them to run, which may be slower than anybody wants.
features="benchmark big-parallel"
if [ -n "${SNOWSHED_KVM:-}" ]; then
    [ -e "$KVM" ] || modprobe -q kvm_intel || modprobe -q kvm_amd || :
    [ ! -e "$KVM" ] || features="$features kvm nixos-test"
fi
printf 'system-features = %s\n' "$features" > "$FEATURES"
printf 'extra-platforms = %s\n' "$platforms" > "$PLATFORMS"

# Builds for other systems: Rosetta where the host lends it and it works, qemu-user elsewhere. Found out at every boot,
# by running a program of the other kind; Nix is told of what ran, and of `kvm` where there is one.
#
# NixOS's own modules for this (virtualisation.rosetta, boot.binfmt) decide when the guest is built.
# Flags of the kernel's table (binfmt_misc): P keeps argv[0], C takes the program's credentials, F opens the
# interpreter now, so that a build's sandbox need not have it.
{
  contract,
  lib,
  pkgs,
  utils,
  ...
}:
let
  early = import ./early.nix { inherit contract; };
  foreign = if pkgs.stdenv.hostPlatform.isAarch64 then "x86_64-linux" else "aarch64-linux";
  processor = lib.removeSuffix "-linux" foreign;
  magic = utils.binfmtMagics.${foreign};
  probe = (import ./probes.nix { inherit pkgs; }).${foreign};

  # Static, and for one processor only: F alone does not carry the libraries of a dynamic one into a sandbox.
  emulator = pkgs.pkgsStatic.qemu-user.override { hostCpuTargets = [ "${processor}-linux-user" ]; };
in
{
  # Where `rosettad` serves Rosetta's cache; the host names the socket in it.
  systemd.tmpfiles.settings.snowshed."/run/rosettad".d.mode = "0755";

  systemd.services.snowshed-foreign = early {
    description = "What this machine can build";
    before = [ "nix-daemon.socket" ];
    path = [
      pkgs.gnugrep
      pkgs.util-linux
    ];
    script = ''
      table=/proc/sys/fs/binfmt_misc
      features="benchmark big-parallel"
      platforms=

      forget() { [ ! -e $table/snowshed ] || printf -- '-1' > $table/snowshed; }
      runs() {
        forget
        printf '%s' ':snowshed:M::${magic.magicOrExtension}:${magic.mask}:'"$1"':PCF' > $table/register
        ${probe}
      }
      rosetta() {
        grep -qsx ${contract.shares.rosetta} /sys/fs/virtiofs/*/tag || return 1
        mkdir -p /run/rosetta
        mountpoint -q /run/rosetta || mount -t virtiofs -o ro ${contract.shares.rosetta} /run/rosetta
        runs /run/rosetta/rosetta
      }
      emulator() { runs ${emulator}/bin/qemu-${processor}; }

      mountpoint -q $table || mount -t binfmt_misc binfmt_misc $table
      case " ''${SNOWSHED_EMULATE:-} " in
        *" ${foreign} "*)
          if rosetta || emulator; then
            platforms=${foreign}
          else
            echo "nothing here runs programs of ${foreign}" >&2
            forget
          fi ;;
      esac
      [ ! -e /dev/kvm ] || features="$features kvm nixos-test"

      printf 'system-features = %s\nextra-platforms = %s\n' "$features" "$platforms" \
        > ${contract.run_dir}/found.conf
    '';
  };
}

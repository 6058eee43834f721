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
  boot.kernelModules = [ "binfmt_misc" ];

  # Where `rosettad` serves Rosetta's cache; the host names the socket in it.
  systemd.tmpfiles.settings.snowshed."/run/rosettad".d.mode = "0755";

  systemd.services.snowshed-foreign = early {
    description = "What this machine can build";
    before = [ "nix-daemon.socket" ];
    path = [
      pkgs.gnugrep
      pkgs.kmod
      pkgs.util-linux
    ];
    environment = {
      FEATURES = "${contract.run_dir}/features.conf";
      PLATFORMS = "${contract.run_dir}/platforms.conf";
      FOREIGN = foreign;
      MAGIC = magic.magicOrExtension;
      MASK = magic.mask;
      PROBE = "${probe}";
      EMULATOR = "${emulator}/bin/qemu-${processor}";
      TABLE = "/proc/sys/fs/binfmt_misc";
      ROSETTA = contract.shares.rosetta;
      ROSETTA_DIR = "/run/rosetta";
      TAGS = "/sys/fs/virtiofs";
      KVM = "/dev/kvm";
    };
    script = ''
      mountpoint -q "$TABLE" || mount -t binfmt_misc binfmt_misc "$TABLE"
    ''
    + builtins.readFile ./foreign.sh;
  };
}

# Builds for other systems: Rosetta where the host lends it and it works, qemu-user elsewhere. Found out at every boot,
# by running a program of the other kind; Nix is told of what ran, and of `kvm` where there is one.
#
# NixOS's own modules for this (virtualisation.rosetta, boot.binfmt) decide when the guest is built.
# The host is told what came of it. Flags of the kernel's table (binfmt_misc) are in ./foreign.sh.
{
  contract,
  lib,
  pkgs,
  say,
  utils,
  ...
}:
let
  early = import ./early.nix { inherit contract; };
  foreign = if pkgs.stdenv.hostPlatform.isAarch64 then "x86_64-linux" else "aarch64-linux";
  processor = lib.removeSuffix "-linux" foreign;
  cache = "${contract.data_dir}/rosetta";
  magic = utils.binfmtMagics.${foreign};
  probe = (import ./probes.nix { inherit contract pkgs; }).${foreign};

  # Static, and for one processor only: F alone does not carry the libraries of a dynamic one into a sandbox.
  emulator = pkgs.pkgsStatic.qemu-user.override { hostCpuTargets = [ "${processor}-linux-user" ]; };
in
{
  boot.kernelModules = [ "binfmt_misc" ];

  # Where Rosetta looks for the socket of its daemon, which keeps what was translated once.
  systemd.tmpfiles.settings.snowshed."/run/rosettad".d.mode = "0755";
  systemd.services.snowshed-rosettad = {
    description = "Keeps what Rosetta translated";
    wantedBy = [ "multi-user.target" ];
    after = [ "snowshed-foreign.service" ];
    unitConfig = {
      ConditionPathExists = "/run/rosetta/rosettad";
      RequiresMountsFor = [ contract.data_dir ];
    };
    serviceConfig = {
      ExecStartPre = [
        "${pkgs.coreutils}/bin/mkdir -p ${cache}"
        "${pkgs.coreutils}/bin/rm -f ${cache}/uds/rosetta.sock"
      ];
      ExecStart = "/run/rosetta/rosettad daemon ${cache}";
      Restart = "on-failure";
    };
    # Everybody may ask it; it makes its socket only when it is up.
    postStart = ''
      for _ in $(seq 200); do
        ! chmod go+w ${cache}/uds/rosetta.sock 2> /dev/null || exit 0
        sleep 0.05
      done
    '';
  };

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
      ROSETTA_CACHE = "${cache}/uds";
      NATIVE = lib.optionalString pkgs.stdenv.hostPlatform.isx86_64 "i686-linux ";
      KVM = "/dev/kvm";
      SAY = "${say} --fact";
    };
    script = ''
      mountpoint -q "$TABLE" || mount -t binfmt_misc binfmt_misc "$TABLE"
    ''
    + builtins.readFile ./foreign.sh;
  };
}

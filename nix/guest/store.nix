# The two stores. The system's is read-only and comes from outside (./closure.nix, ./image.nix); builds happen in the
# one on the data disk, which the world sees as an ordinary /nix/store. They never mix: the collector cannot reach the
# system, and nothing of the system gets in the way of a build.
{ contract, pkgs, ... }:
let
  data = contract.data_dir;
in
{
  systemd.services.nix-daemon = {
    environment = {
      NIX_REMOTE = "local?root=${data}";
      TMPDIR = "${data}/build";
    };
    unitConfig.RequiresMountsFor = [ data ];
  };

  systemd.services.snowshed-build-dir = {
    description = "An empty directory for builds";
    unitConfig.RequiresMountsFor = [ data ];
    requiredBy = [ "nix-daemon.service" ];
    before = [ "nix-daemon.service" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    # What an interrupted build left is of no use to anyone.
    script = ''
      rm -rf ${data}/build
      mkdir -p ${data}/build
    '';
  };

  nix.settings = {
    build-dir = "${data}/build";
    # What Nix was told is valid has to be on the disk: a VM can go at any moment.
    fsync-store-paths = true;
    post-build-hook = pkgs.writeShellScript "snowshed-sync" ''
      exec ${pkgs.coreutils}/bin/sync --file-system ${data}/nix/store
    '';
  };
}

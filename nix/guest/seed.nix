# The seed disk, an uncompressed tar written afresh by the host at every start: settings and keys.
#
# Only the members that the contract names are taken, and only into /run. The device is readable by root alone, and so
# is the host key.
{
  contract,
  lib,
  pkgs,
  say,
  ...
}:
let
  names = contract.seed;
  required = [
    names.settings
    names.host_key
    names.authorized_keys
  ];
in
{
  systemd.services.snowshed-seed = {
    description = "Settings and keys from the seed disk";
    unitConfig = {
      DefaultDependencies = false;
      RequiresMountsFor = [ "/run" ];
    };
    wantedBy = [ "sysinit.target" ];
    wants = [ "dev-snowshed-seed.device" ];
    after = [
      "dev-snowshed-seed.device"
      "local-fs.target"
    ];
    before = [
      "nix-daemon.socket"
      "shutdown.target"
      "sysinit.target"
    ];
    conflicts = [ "shutdown.target" ];
    path = [ pkgs.gnutar ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    environment = {
      SEED = "/dev/snowshed/seed";
      RUN_DIR = contract.run_dir;
      REQUIRED = toString required;
      OPTIONAL = toString (lib.subtractLists required (lib.attrValues names));
      PRIVATE = toString ([ names.host_key ] ++ lib.optional (names ? netrc) names.netrc);
      SAY = "${say}";
    };
    script = builtins.readFile ./seed.sh;
  };
}

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
  optional = lib.subtractLists [ names.settings names.host_key names.authorized_keys ] (lib.attrValues names);
  private = [ names.host_key ] ++ lib.optional (names ? netrc) names.netrc;
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
    script = ''
      fail() { ${say} failed boot "$1"; exit 1; }
      take() { tar --extract --file /dev/snowshed/seed --no-same-owner --no-same-permissions "$@"; }

      [ -b /dev/snowshed/seed ] || fail "there is no seed disk"
      umask 077
      mkdir -p ${contract.run_dir}
      cd ${contract.run_dir}
      take ${names.settings} ${names.host_key} ${names.authorized_keys} || fail "the seed disk cannot be read"
      for name in ${toString optional}; do
        take "$name" 2>/dev/null || :
      done
      chmod 0755 .
      chmod 0644 -- *
      for name in ${toString private}; do
        [ ! -e "$name" ] || chmod 0600 "$name"
      done
      ${say} boot
    '';
  };
}

# The one who logs in: trusted by Nix, and nothing else. No sudo, no password; the home is on the data disk.
{ contract, lib, ... }:
let
  home = "${contract.data_dir}/home";
in
{
  users = {
    mutableUsers = false;
    # There is no one else: what cannot be mended from outside is thrown away.
    allowNoPasswordLogin = true;
    users.${contract.user} = {
      isNormalUser = true;
      uid = 1000;
      inherit home;
      createHome = false;
      # `*` and not `!`: sshd refuses a locked account.
      hashedPassword = "*";
    };
  };
  security.sudo.enable = lib.mkDefault false;

  systemd.services.snowshed-home = {
    description = "A home on the data disk";
    unitConfig.RequiresMountsFor = [ contract.data_dir ];
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    script = ''
      install -d -o ${contract.user} -g users -m 0700 ${home}
    '';
  };
}

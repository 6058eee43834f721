# The user's shared directories, as the seed says. Whether a share may be written is for the host to enforce.
{ contract, pkgs, ... }:
{
  systemd.services.snowshed-shares = {
    description = "The host's shared directories";
    wantedBy = [ "multi-user.target" ];
    requires = [ "snowshed-seed.service" ];
    after = [ "snowshed-seed.service" ];
    path = [ pkgs.util-linux ];
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
    };
    environment.SETTINGS = "${contract.run_dir}/${contract.seed.environment}";
    script = builtins.readFile ./shares.sh;
  };
}

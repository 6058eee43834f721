# How ssh reaches each builder.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
in
{
  config = lib.mkIf cfg.enable {
    # Before what others say, since ssh takes the first word on anything; and what they say without a host is said of
    # all.
    programs.ssh.extraConfig = lib.mkBefore (
      lib.concatMapStrings (builder: builder.sshConfig) (lib.attrValues cfg.described) + "Host *\n"
    );
    environment.systemPackages = [ cfg.package ];
  };
}

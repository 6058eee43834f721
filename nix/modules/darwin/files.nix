# How ssh reaches each builder.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;

  file = _: builder: lib.nameValuePair "ssh/ssh_config.d/100-${builder.hostName}.conf" { text = builder.sshConfig; };
in
{
  config = lib.mkIf cfg.enable {
    environment.etc = lib.mapAttrs' file cfg.described;
    environment.systemPackages = [ cfg.package ];
  };
}

# Files in /etc: how ssh reaches each builder, and where `snowshed` finds those of the system.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;

  filesOf = name: builder: {
    "ssh/ssh_config.d/100-${builder.hostName}.conf".text = builder.sshConfig;
    "snowshed/${name}.json".source = builder.settingsFile;
  };
in
{
  config = lib.mkIf cfg.enable {
    environment.etc = lib.mkMerge (lib.mapAttrsToList filesOf cfg.described);
    environment.systemPackages = [ cfg.package ];
  };
}

# How ssh reaches each builder, and where `snowshed` finds those of the system.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
in
{
  config = lib.mkIf cfg.enable {
    programs.ssh.extraConfig = lib.concatMapStrings (builder: builder.sshConfig) (lib.attrValues cfg.described);
    environment.etc = lib.mapAttrs' (
      name: builder: lib.nameValuePair "snowshed/${name}.json" { source = builder.settingsFile; }
    ) cfg.described;
    environment.systemPackages = [ cfg.package ];
  };
}

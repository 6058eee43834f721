# The builders' own user, without privileges, and the directories that are theirs. A fixed user and not a dynamic one:
# root's Nix and, where that is wanted, everybody's ssh reach into the directory.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;

  directory = mode: owner: {
    d = {
      inherit mode;
      user = owner;
      group = owner;
    };
  };
in
{
  options.services.snowshed.user = lib.mkOption {
    type = lib.types.str;
    default = "snowshed";
    description = "The user and group that the builders run as.";
  };

  config = lib.mkIf cfg.enable {
    users.users.${cfg.user} = {
      isSystemUser = true;
      group = cfg.user;
      extraGroups = [ "kvm" ];
      home = cfg.workingDirectory;
    };
    users.groups.${cfg.user} = { };

    systemd.tmpfiles.settings.snowshed = {
      ${cfg.workingDirectory} = directory "0755" "root";
    }
    // lib.mapAttrs' (_: builder: lib.nameValuePair builder.state (directory "0711" cfg.user)) cfg.described;
  };
}

# Nix on this host.
{ config, lib, ... }:
let
  cfg = config.services.snowshed;
  settings = import ../shared/nix-settings.nix { inherit (cfg) workingDirectory; };
in
{
  config = lib.mkIf cfg.enable {
    nix.distributedBuilds = lib.mkDefault true;
    nix.settings = lib.mkIf config.nix.distributedBuilds (
      lib.mapAttrs (name: value: if name == "builders" then value else lib.mkDefault value) settings
    );

    assertions = [
      {
        assertion = config.nix.enable -> config.nix.distributedBuilds;
        message =
          "services.snowshed: Nix asks no builder while nix.distributedBuilds is false: remove that, "
          + "or set services.snowshed.enable = false.";
      }
    ];
  };
}

# services.snowshed: its own options, and those of the builder `default` beside them.
#
# What is said at the top is said of `builders.default`, which is where everything else reads it.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.snowshed;

  ofBuilder = import ./builder.nix {
    inherit lib;
    name = "default";
  };

  builder = { name, ... }: {
    options = import ./builder.nix { inherit lib name; };
  };

  inherited = lib.removeAttrs ofBuilder [ "enable" ];

  # What somebody said at the top, with the priority of a default.
  said = option: lib.mkIf (option.highestPrio < (lib.mkOptionDefault null).priority) (lib.mkDefault option.value);

  given = lib.mapAttrs (
    name: _:
    let
      option = options.services.snowshed.${name};
    in
    if lib.isOption option then said option else lib.mapAttrs (_: said) option
  ) inherited;
in
{
  options.services.snowshed = inherited // {
    enable = lib.mkEnableOption "Linux builders for Nix in virtual machines";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../../packages/snowshed.nix { };
      defaultText = lib.literalExpression "inputs.snowshed.packages.\${system}.default";
      description = "The snowshed that runs the builders.";
    };

    workingDirectory = mkOption {
      type = types.str;
      default = "/var/lib/snowshed";
      description = ''
        Where the builders keep their disks and keys, each in a directory of its name. It stays when the service is
        turned off.
      '';
    };

    builders = mkOption {
      type = types.attrsOf (types.submodule builder);
      default = { };
      example = lib.literalExpression ''
        {
          intel = { system = "x86_64-linux"; port = 31223; };
        }
      '';
      description = ''
        Builders by name. The options beside this one are those of the builder `default`;
        `builders.default.enable = false` leaves it out.
      '';
    };
  };

  config.services.snowshed.builders.default = lib.mkIf cfg.enable given;
}

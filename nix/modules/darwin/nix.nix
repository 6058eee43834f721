# Nix on the Mac: managed by nix-darwin, by Determinate's module, by Determinate without it, or by nobody here.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.services.snowshed;
  settings = import ../shared/nix-settings.nix { inherit (cfg) workingDirectory; };
  determinate = options ? determinateNix;
  byDeterminate = determinate && config.determinateNix.enable;
  byHand = !config.nix.enable && !byDeterminate;

  line = name: value: "${name} = ${if lib.isBool value then lib.boolToString value else toString value}\n";
  text = lib.concatStrings (lib.mapAttrsToList line settings);

  softly = lib.mapAttrs (name: value: if name == "builders" then value else lib.mkDefault value) settings;
in
{
  options.services.snowshed.supportDeterminateNix = lib.mkOption {
    type = lib.types.bool;
    default = false;
    description = ''
      Whether Nix on this host is Determinate Nix without its nix-darwin module: then the builders are made known by
      `/etc/nix/nix.custom.conf`. With that module imported, this is found out.
    '';
  };

  config = lib.mkIf cfg.enable (
    lib.mkMerge [
      (lib.mkIf config.nix.enable {
        nix.distributedBuilds = lib.mkDefault true;
        nix.settings = lib.mkIf config.nix.distributedBuilds softly;
      })

      (lib.optionalAttrs determinate {
        determinateNix.customSettings = lib.mkIf byDeterminate softly;
      })

      (lib.mkIf (byHand && cfg.supportDeterminateNix) {
        environment.etc."nix/nix.custom.conf" = {
          inherit text;
          # The file as Determinate's installer leaves it, by version.
          knownSha256Hashes = [
            "6787fade1cf934f82db554e78e1fc788705c2c5257fddf9b59bdd963ca6fec63"
            "3bd68ef979a42070a44f8d82c205cfd8e8cca425d91253ec2c10a88179bb34aa"
          ];
        };
      })

      (lib.mkIf (byHand && !cfg.supportDeterminateNix) {
        warnings = [
          (
            "services.snowshed: nothing here manages Nix (nix.enable is false), so Nix has to be told of the builders: set "
            + "services.snowshed.supportDeterminateNix = true for Determinate Nix, or put these lines into its nix.conf:\n"
            + text
          )
        ];
      })
    ]
  );
}

# Names in `settings` that snowshed does not know, with which a builder does not start; and those that the modules
# themselves have to know of, which have options for that.
{ lib, ... }:
b:
let
  known = import ../known-settings.nix;
  options = {
    driver = "driver";
    on_demand = "onDemand.enable";
    port = "port";
    rosetta = "rosetta";
    shares = "sharedDirectories";
    system = "system";
  };
  twice = lib.attrValues (lib.intersectAttrs b.more options);

  tables = lib.filterAttrs (_: lib.isAttrs) (lib.intersectAttrs (lib.removeAttrs known [ "" ]) b.settings);
  unknown =
    lib.subtractLists known."" (lib.attrNames b.settings)
    ++ lib.concatLists (
      lib.mapAttrsToList (
        table: settings: map (name: "${table}.${name}") (lib.subtractLists known.${table} (lib.attrNames settings))
      ) tables
    );
in
[
  {
    assertion = unknown == [ ];
    message =
      "there is no setting ${lib.concatStringsSep ", " unknown}: `snowshed config schema` lists those that there are, for "
      + "the option settings.";
  }
  {
    assertion = twice == [ ];
    message = "what is said in settings is the option ${lib.concatStringsSep ", " twice}: say it there.";
  }
]

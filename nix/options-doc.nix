# Every option of the modules, for docs/options.md: names, types, defaults, examples, descriptions.
#
# The modules are evaluated without a system around them, so this takes nothing but nixpkgs.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");

  # What our modules ask of a system and no more.
  around = {
    _module.check = false;
    _module.args = {
      pkgs = throw "options are documented without packages";
    };
  };

  listed =
    module:
    lib.filter (option: lib.hasPrefix "services." option.name && option.visible && !option.internal) (
      lib.optionAttrSetToDocList
        (lib.evalModules {
          modules = [
            module
            around
          ];
        }).options
    );

  shown = option: {
    inherit (option) name type;
    description = option.description or "";
    default = (option.default or { }).text or null;
    example = (option.example or { }).text or null;
  };

  # Options of builders.<name> are those at the top.
  once = lib.filter (option: !lib.hasInfix ".builders.<name>." option.name);
in
{
  darwin = map shown (once (listed ./modules/darwin));
  nixos = map shown (once (listed ./modules/nixos));
  virby = map shown (lib.filter (o: lib.hasPrefix "services.virby." o.name) (listed ./modules/compat/virby.nix));
  darwinVz = map shown (
    lib.filter (o: lib.hasPrefix "services.darwin-vz." o.name) (listed ./modules/compat/darwin-vz.nix)
  );
}

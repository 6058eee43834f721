# A macOS system under nix-darwin, for the configurations that darwin.nix and refusals.nix evaluate.
{ nixpkgs, nix-darwin }:
let
  lib = import (nixpkgs + "/lib");
in
{
  inherit lib;

  module = ../../nix/modules/darwin;

  system =
    modules:
    (import (nix-darwin + "/eval-config.nix") {
      inherit lib;
      modules = modules ++ [
        {
          nixpkgs.source = nixpkgs;
          nixpkgs.system = lib.mkDefault "aarch64-darwin";
          system.stateVersion = 6;
        }
      ];
    }).config;
}

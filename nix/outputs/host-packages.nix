# What runs on a host: the command, and on a Mac the package that takes the place of nixpkgs' builder.
pkgs:
let
  inherit (pkgs) lib;
  snowshed = pkgs.callPackage ../packages/snowshed.nix { };
in
{
  inherit snowshed;
  default = snowshed;
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isDarwin {
  linux-builder = import ../linux-builder { inherit lib pkgs snowshed; };
}

# What runs on a host: the command, the guest images that any host can make, and on a Mac the package in the place of
# nixpkgs' builder.
pkgs:
let
  inherit (pkgs) lib;
  snowshed = pkgs.callPackage ../packages/snowshed.nix { };
  image = system: pkgs.callPackage ../packages/debian-image.nix { inherit snowshed system; };
in
{
  inherit snowshed;
  default = snowshed;
  debian-image-aarch64-linux = image "aarch64-linux";
  debian-image-x86_64-linux = image "x86_64-linux";
}
// lib.optionalAttrs pkgs.stdenv.hostPlatform.isDarwin {
  linux-builder = import ../linux-builder { inherit lib pkgs snowshed; };
}

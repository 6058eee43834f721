# What a builder boots: the image or the paths that were given, a NixOS guest with the user's extraConfig, or the image
# that belongs to this snowshed.
{
  lib,
  pkgs,
  snowshed,
}:
builder:
let
  ownSystem = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-linux";
  system = if builder.system != null then builder.system else ownSystem;

  guest = import ../../guest/eval.nix {
    nixpkgs = pkgs.path;
    inherit system;
    modules = [ builder.extraConfig ];
  };

  image = pkgs.callPackage ../../packages/debian-image.nix {
    inherit snowshed system;
    # krunkit starts no kernel itself.
    efi = builder.driver == "krunkit";
  };

  files = guest.config.system.boot.loader;
  build = guest.config.system.build;
in
if builder.extraConfig != null then
  {
    kernel = "${build.kernel}/${files.kernelFile}";
    initrd = "${build.initialRamdisk}/${files.initrdFile}";
    system_path = "${build.toplevel}";
  }
else if builder.kernelPath != null then
  {
    kernel = builder.kernelPath;
    initrd = builder.initrdPath;
    system_path = builder.systemPath;
  }
else if builder.image != null then
  { inherit (builder) image; }
else
  { image = "${image}"; }

# What a builder boots directly, if it does: the paths that were given, or a NixOS guest with the user's extraConfig.
{ lib, pkgs }:
builder:
let
  ownSystem = "${pkgs.stdenv.hostPlatform.parsed.cpu.name}-linux";

  guest = import ../../guest/eval.nix {
    nixpkgs = pkgs.path;
    system = if builder.system != null then builder.system else ownSystem;
    modules = [ builder.extraConfig ];
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
else
  {
    kernel = builder.kernelPath;
    initrd = builder.initrdPath;
    system_path = builder.systemPath;
  }

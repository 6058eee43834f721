# The options of nixpkgs' builder that people set in nix.linux-builder.config. None of them changes the guest: they
# become settings. The ones without an effect here are accepted and say so.
{
  config,
  lib,
  modulesPath,
  ...
}:
let
  inherit (lib) mkOption types;
  builder = config.virtualisation.darwin-builder;

  number = default: description: mkOption {
    type = types.ints.positive;
    inherit default description;
  };
in
{
  imports = [ "${modulesPath}/virtualisation/disk-size-option.nix" ];

  options.virtualisation = {
    cores = number 4 "Processor cores of the guest.";
    memorySize = number builder.memorySize "Memory of the guest in MiB.";

    darwin-builder = {
      memorySize = number 8192 "Memory of the guest in MiB.";
      diskSize = number (100 * 1024) "Size of the disk in MiB.";
      min-free = number (5 * 1024 * 1024 * 1024) "Free bytes on the disk below which garbage is collected.";
      max-free = number (7 * 1024 * 1024 * 1024) "Free bytes at which that ends.";
      hostPort = mkOption {
        type = types.port;
        default = 31022;
        description = "The port on 127.0.0.1.";
      };
      workingDirectory = mkOption {
        type = types.str;
        default = ".";
        description = "Without effect: the directory that create-builder is run in is used.";
      };
    };
  };

  config = {
    networking.hostName = lib.mkOverride 900 "nixos";
    virtualisation.diskSize = lib.mkDefault builder.diskSize;
    warnings = lib.optional (builder.workingDirectory != ".") (
      "virtualisation.darwin-builder.workingDirectory has no effect with snowshed: set "
      + "nix.linux-builder.workingDirectory instead."
    );
  };
}

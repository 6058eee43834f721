# Evaluated by test_documented.py: configurations that the documentation shows, as it shows them, with our flake's own
# outputs for `inputs.snowshed`. `blocks` are files, each a function of `inputs`: a module, or a whole flake.
{
  nixpkgs,
  nix-darwin,
  blocks ? [ ],
}:
let
  lib = import (nixpkgs + "/lib");

  outputs = import ../../nix/outputs {
    self = outputs // {
      outPath = ../..;
    };
    nixpkgs = {
      inherit lib;
      outPath = nixpkgs;
      legacyPackages = lib.genAttrs lib.systems.flakeExposed (system: import nixpkgs { inherit system; });
    };
  };

  # What of others the pages set.
  others = {
    options.nix-rosetta-builder.enable = lib.mkEnableOption "nix-rosetta-builder";
    options.services.hydra-queue-builder-dev = lib.mkOption { type = lib.types.anything; };
  };

  mac =
    modules:
    import (nix-darwin + "/eval-config.nix") {
      inherit lib;
      modules = modules ++ [
        others
        {
          nixpkgs.source = nixpkgs;
          nixpkgs.hostPlatform = "aarch64-darwin";
          system.stateVersion = 6;
        }
      ];
    };

  pc =
    modules:
    import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = modules ++ [
        others
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          boot.loader.grub.enable = false;
          fileSystems."/".device = "/dev/vda";
          fileSystems."/".fsType = "ext4";
          system.stateVersion = "26.05";
        }
      ];
    };

  isTheirs = module: lib.isAttrs module || baseNameOf module != "configuration.nix";
  inputs = {
    snowshed = outputs;
    # Without the user's own configuration, which the page only names.
    nix-darwin.lib.darwinSystem = { modules }: mac (lib.filter isTheirs modules);
  };

  toplevel = system: system.config.system.build.toplevel.drvPath;
in
{
  mac = map (block: toplevel (mac [ (import block inputs) ])) blocks;
  pc = map (block: toplevel (pc [ outputs.nixosModules.default (import block inputs) ])) blocks;
  flake = map (block: toplevel ((import block inputs).outputs inputs).darwinConfigurations.mac) blocks;
}

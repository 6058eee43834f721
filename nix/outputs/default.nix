# The flake's outputs: which there are for which system. What they are is beside this file and in ../.
{ self, nixpkgs, ... }:
let
  inherit (nixpkgs) lib;

  guests = [
    "aarch64-linux"
    "x86_64-linux"
  ];
  macs = [
    "aarch64-darwin"
    # As long as nixpkgs has it.
    "x86_64-darwin"
  ];
  hosts = lib.intersectLists (macs ++ guests) lib.systems.flakeExposed;

  on = systems: make: lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});

  guest =
    boot: system:
    import ../guest/eval.nix {
      inherit boot system;
      nixpkgs = nixpkgs.outPath;
    };
in
{
  packages = lib.recursiveUpdate (on hosts (import ./host-packages.nix)) (
    lib.genAttrs guests (system: import ./guest-packages.nix { guest = boot: guest boot system; })
  );

  # Guests of one's own: (inputs.snowshed.lib.guest { nixpkgs; system; modules; }).config.system.build.toplevel
  lib.guest = import ../guest/eval.nix;

  nixosConfigurations = lib.listToAttrs (
    map (system: lib.nameValuePair "guest-${system}" (guest "closure" system)) guests
  );

  nixosModules = {
    default = ../modules/nixos;
    guest-closure = ../guest/closure.nix;
    guest-image = ../guest/image.nix;
  };

  darwinModules = {
    default = ../modules/darwin;
    darwin-vz = ../modules/compat/darwin-vz.nix;
    virby = ../modules/compat/virby.nix;
  };

  overlays.default = final: _: { snowshed = final.callPackage ../packages/snowshed.nix { }; };

  checks = on hosts (
    pkgs:
    import ./checks.nix {
      inherit pkgs;
      source = self.outPath;
      packages = self.packages.${pkgs.stdenv.hostPlatform.system};
    }
  );

  devShells = on hosts (pkgs: {
    default = import ./shell.nix pkgs;
  });

  formatter = on hosts (pkgs: pkgs.nixfmt-tree);
}

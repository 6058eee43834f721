# Evaluated by test_nixos.py: a NixOS host with builders.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");

  system =
    modules:
    (import (nixpkgs + "/nixos/lib/eval-config.nix") {
      system = null;
      modules = modules ++ [
        ../../nix/modules/nixos
        {
          nixpkgs.hostPlatform = "x86_64-linux";
          boot.loader.grub.enable = false;
          fileSystems."/" = {
            device = "/dev/vda";
            fsType = "ext4";
          };
          system.stateVersion = "26.05";
        }
      ];
    }).config;

  host = system [
    {
      services.snowshed = {
        enable = true;
        onDemand.enable = true;
        builders.arm = {
          system = "aarch64-linux";
          port = 31223;
          sharedDirectories.scratch = {
            path = "/srv/scratch";
            readOnly = false;
          };
        };
      };
    }
  ];

  messages = modules: map (a: a.message) (lib.filter (a: !a.assertion) (system modules).assertions);
in
{
  host = {
    toplevel = host.system.build.toplevel.drvPath;
    units = lib.mapAttrs (_: unit: unit.text) (
      lib.filterAttrs (name: _: lib.hasPrefix "snowshed-" name) host.systemd.units
    );
    settings = lib.mapAttrs (_: b: b.settings) host.services.snowshed.described;
    inherit (host.services.snowshed) plan;
    ssh = host.programs.ssh.extraConfig;
    nix = {
      inherit (host.nix) distributedBuilds;
      inherit (host.nix.settings) builders build-poll-interval;
    };
    user = { inherit (host.users.users.snowshed) isSystemUser group extraGroups; };
    builderGroup = host.users.groups.nixbld.members;
  };

  # Shared directories by another way: the guest boots from the host's store.
  lent = (system [
    {
      services.snowshed = {
        enable = true;
        kernelPath = "/nix/store/kernel/bzImage";
        initrdPath = "/nix/store/initrd/initrd";
        systemPath = "/nix/store/system";
        memory = "12GiB";
        workingDirectory = "/srv/builders";
      };
    }
  ]).systemd.units."snowshed-default.service".text;

  # What the wrapped command adds to the path of its unit.
  programs = map lib.getName host.services.snowshed.package.programs;

  failures = messages [
    {
      services.snowshed = {
        enable = true;
        driver = "vz";
        rosetta = true;
        accelerator = "hvf";
      };
    }
  ];

  nothing = (system [ ]).systemd.services ? snowshed-default;
}

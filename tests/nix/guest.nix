# Evaluated by test_guest.py: the NixOS guest for both systems and both ways to boot.
{ nixpkgs }:
let
  lib = import (nixpkgs + "/lib");

  guest =
    system: boot: modules:
    (import ../../nix/guest/eval.nix {
      inherit
        boot
        modules
        nixpkgs
        system
        ;
    }).config;

  ours = c: lib.filterAttrs (name: _: lib.hasPrefix "snowshed-" name) c.systemd.services;
  arm = guest "aarch64-linux" "closure" [ ];
in
{
  derivations = {
    aarch64-closure = arm.system.build.toplevel.drvPath;
    x86_64-closure = (guest "x86_64-linux" "closure" [ ]).system.build.toplevel.drvPath;
    aarch64-image = (guest "aarch64-linux" "image" [ ]).system.build.image.drvPath;
    x86_64-image = (guest "x86_64-linux" "image" [ ]).system.build.image.drvPath;
  };

  units = lib.mapAttrs (_: unit: unit.text) (
    lib.filterAttrs (
      name: _:
      lib.hasPrefix "snowshed-" name
      || lib.elem name [
        "data.mount"
        "nix-daemon.service"
        "sshd.service"
      ]
    ) arm.systemd.units
  );

  scripts = lib.mapAttrs (_: service: service.script) (lib.filterAttrs (_: s: s.script != "") (ours arm));

  sshd = {
    inherit (arm.services.openssh) authorizedKeysFiles;
    inherit (arm.services.openssh.settings)
      AllowUsers
      LoginGraceTime
      MaxStartups
      PasswordAuthentication
      PerSourcePenalties
      SetEnv
      UsePAM
      ;
    generator = arm.systemd.generators.systemd-ssh-generator;
  };

  nix = {
    inherit (arm.nix) extraOptions;
    inherit (arm.nix.settings) build-dir builders-use-substitutes fsync-store-paths trusted-users;
  };

  fileSystems = lib.mapAttrs (_: fs: { inherit (fs) device fsType options; }) {
    inherit (arm.fileSystems) "/" "/data" "/nix/store";
  };

  udev = arm.services.udev.extraRules;
  user = { inherit (arm.users.users.builder) hashedPassword extraGroups; };
  sudo = arm.security.sudo.enable;
  initrd = {
    systemd = arm.boot.initrd.systemd.enable;
    modules = arm.boot.initrd.availableKernelModules;
  };
  waitOnline = arm.systemd.network.wait-online.enable;

  # A user's own module is part of it, and what may not be changed is refused.
  extra = (guest "aarch64-linux" "closure" [ { environment.variables.SNOW = "deep"; } ]).environment.variables.SNOW;
  refused = map (a: a.message) (
    lib.filter (a: !a.assertion)
      (guest "aarch64-linux" "closure" [
        { services.openssh.settings.PasswordAuthentication = lib.mkForce true; }
      ]).assertions
  );
}

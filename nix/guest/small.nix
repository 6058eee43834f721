# What a builder has no use for.
{
  lib,
  modulesPath,
  pkgs,
  ...
}:
{
  imports = [ "${modulesPath}/profiles/minimal.nix" ];

  environment.defaultPackages = lib.mkForce [ ];
  boot.enableContainers = false;
  boot.swraid.enable = false;
  fonts.fontconfig.enable = false;
  hardware.enableRedistributableFirmware = false;
  i18n.defaultLocale = "C.UTF-8";
  i18n.extraLocales = lib.mkForce [ ];
  networking.resolvconf.enable = false;
  networking.wireless.enable = false;
  nix.registry = lib.mkForce { };
  nixpkgs.flake.setFlakeRegistry = false;
  nixpkgs.flake.setNixPath = false;
  programs.nano.enable = false;
  security.polkit.enable = false;
  services.lvm.enable = false;
  services.fstrim.enable = false;
  services.getty.autologinUser = null;
  system.disableInstallerTools = true;
  system.switch.enable = false;
  systemd.oomd.enable = lib.mkDefault true;
  systemd.services."getty@tty1".enable = false;
  systemd.services."serial-getty@hvc0".enable = false;

  # The same guest from the same nixpkgs, however it was fetched.
  system.name = lib.mkDefault "snowshed";
  system.nixos.revision = null;
  system.nixos.versionSuffix = "";
  system.systemBuilderArgs.allowSubstitutes = true;
  system.stateVersion = lib.mkDefault "26.05";

  environment.systemPackages = [
    pkgs.e2fsprogs
    pkgs.gitMinimal
  ];
}

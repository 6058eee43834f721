# A raw EFI image: an EFI system partition with one unified kernel, and a root partition that grows to the size of the
# disk at every boot. The builder's copy of it is its data disk.
{
  config,
  contract,
  lib,
  modulesPath,
  pkgs,
  ...
}:
let
  efiArch = lib.toUpper pkgs.stdenv.hostPlatform.efiArch;
  uki = "${config.system.build.uki}/${config.system.boot.loader.ukiFile}";
in
{
  imports = [
    ./default.nix
    "${modulesPath}/image/repart.nix"
  ];

  boot.kernelParams = [
    # The last one that exists is where the stages are announced.
    "console=ttyAMA0"
    "console=ttyS0"
    "console=hvc0"
  ];
  boot.initrd = {
    availableKernelModules = [ "vfat" ];
    systemd.repart.enable = true;
    systemd.repart.device = "/dev/vda";
  };
  systemd.repart.partitions.root.Type = "root";

  fileSystems."/" = {
    device = "/dev/disk/by-label/${contract.labels.root}";
    fsType = "ext4";
    autoResize = true;
    options = [
      "discard"
      "noatime"
      "nodelalloc"
    ];
  };

  system.image.id = "snowshed";
  image.repart = {
    name = "snowshed";
    # Firmware reads no other.
    sectorSize = 512;
    partitions = {
      "10-esp" = {
        contents."/EFI/BOOT/BOOT${efiArch}.EFI".source = uki;
        repartConfig = {
          Type = "esp";
          Format = "vfat";
          SizeMinBytes = "128M";
        };
      };
      "20-root" = {
        storePaths = [ config.system.build.toplevel ];
        repartConfig = {
          Type = "root";
          Format = "ext4";
          Label = contract.labels.root;
          Minimize = "guess";
        };
      };
    };
  };
}

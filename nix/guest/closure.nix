# Direct boot of a closure: the hypervisor loads kernel and initrd, and the system's store is the host's, shared
# read-only. Root is memory, and what lasts is on the data disk, which looks the same as under any other guest.
{ contract, ... }:
{
  imports = [
    ./default.nix
    ./data-disk.nix
  ];

  fileSystems = {
    "/" = {
      device = "none";
      fsType = "tmpfs";
      options = [
        "mode=0755"
        "size=50%"
      ];
    };
    "/nix/store" = {
      device = contract.shares.nix_store;
      fsType = "virtiofs";
      options = [
        "ro"
        "nodev"
        "nosuid"
      ];
      neededForBoot = true;
    };
  };

  # Memory is the host's to give: nothing large lands there.
  boot.tmp.useTmpfs = false;
}
